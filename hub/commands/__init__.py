"""ACTING: the life cycle of commands, and leases; pure."""
