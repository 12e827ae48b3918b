"""Foreign networks: whose topics they are, what their envelopes hold, how a command is addressed; pure."""
