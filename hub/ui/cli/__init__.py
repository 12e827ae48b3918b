"""The command line: one file per noun; what is only of one begins with its name, what several share is `ui/desk`."""
