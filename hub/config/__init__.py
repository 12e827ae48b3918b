"""SETTINGS: read once from hub.toml and HUB_* variables, each value knowing where it came from."""
