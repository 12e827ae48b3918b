"""CITY: what no single site can see: one card, one plate in two places; pure."""
