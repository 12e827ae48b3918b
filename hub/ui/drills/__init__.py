"""DRILLS: a cause played through the real path, each hop timed, and a report that an inspector can read."""
