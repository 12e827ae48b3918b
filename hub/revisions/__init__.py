"""CONTENT: what the hub works with, from its files and its registry, tried out before it becomes a revision."""
