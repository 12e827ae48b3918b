"""NORTH: the sinks that deliver what the engine wants to Redis streams and time-series stores."""
