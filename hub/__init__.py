"""The hub for the devices of residential communities."""

__version__ = "0.1.0"
