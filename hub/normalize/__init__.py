"""Meaning: device profiles compiled into handlers that turn payloads into canonical readings; pure."""
