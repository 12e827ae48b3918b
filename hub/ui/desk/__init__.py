"""DESK: what several commands share: settings and connections, asking a running hub, masking, whose a site is."""
