"""Simulated devices: what the field says, for demos, tests and load."""
