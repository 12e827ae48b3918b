"""AUTHORING: what an integrator sees of a profile: which byte became what, which profile fits, a new one; pure."""
