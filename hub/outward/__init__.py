"""OUTWARD: what leaves the house: events to webhooks, messages to people, each with a ledger of its deliveries."""
