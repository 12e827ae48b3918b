"""PAGES: health, readiness and metrics over HTTP, of a hub and of every process beside it."""
