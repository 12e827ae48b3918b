"""DEMO: the stage of `hub demo`, what is seen of it, and its books at the end."""
