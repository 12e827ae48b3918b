"""Backups: registry, journals, states and settings of an installation in one file, and an installation out of it."""
