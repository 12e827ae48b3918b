"""The nouns of the hub: what is heard, what the engine wants done, what the rims promise each other.

Times are integer nanoseconds. ``t`` is engine time (strictly increasing within a journal), ``received_at`` and
``measured_at`` are UTC wall clock. Structs of msgspec are used instead of dataclasses where a noun crosses the
journal or the outbox: they are their own wire form (encoding an event: 1.1 us, against 14 us for dataclass + json).
"""
