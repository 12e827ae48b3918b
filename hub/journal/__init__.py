"""WHAT WAS HEARD: append and fsync, read from a cursor, checkpoints, the outbox, retention."""
