"""Brokers that learn from the registry who may connect and which topics are theirs."""
