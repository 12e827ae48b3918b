"""RULES: what people see of rules: their tests, what these cover, why one stands, whom nobody tells."""
