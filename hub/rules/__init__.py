"""DECISIONS: rules as sentences, expressions, states and timers; pure."""
