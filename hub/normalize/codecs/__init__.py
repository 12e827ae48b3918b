"""Wire formats: each codec turns a payload into one row of raw values; pure."""
