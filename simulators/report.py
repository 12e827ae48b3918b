"""A report: what a simulated device wants to say, before it is published."""

from __future__ import annotations

from dataclasses import dataclass

from hub.model.values import TopicClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One message of a device; ``story`` names what it is part of, for people (``passage``, ``alarm`` …)."""

    site: str
    device: str
    topic_class: TopicClass
    payload: bytes
    story: str

    @property
    def topic(self) -> str:
        """The native topic: identity is here, never in the payload."""
        return f"hub/{self.site}/{self.device}/{self.topic_class}"
