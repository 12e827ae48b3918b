"""Time series, north: every point and event as a line of line protocol, in whichever store the installation has."""
