"""The registry's tables, one step a file: what a newer hub added to them, in the order of their numbers."""
