"""CITYWIDE: the city engine at work: event streams in, judged in one order, its events out once."""
