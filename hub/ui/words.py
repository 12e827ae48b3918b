"""Events, alarms and moments in words that people read, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from typing_extensions import override

from hub.model.effects import AlarmState, Event, Transition
from hub.model.values import Scalar, Severity
from hub.outward import own_events

COLOURS = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}
SHOWN_ID = 8
"""So much of an id or a pseudonym is shown: it tells them apart, and commands take it."""
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Text:
    """One thing said in both languages."""

    en: str
    zh: str

    @override
    def __str__(self) -> str:
        return f"{self.en}\n{self.zh}"

    def plain(self) -> dict[str, str]:
        """Return it for programs."""
        return asdict(self)


def title(name: str, label: Mapping[str, str]) -> str:
    """Return what an event or alarm is called: ``zh / en``, or its name where neither a rule nor we gave a label."""
    told = own_events.label_of(name, label)
    return " / ".join(told[language] for language in ("zh", "en") if told.get(language)) or name


def label_of(en: str, zh: str) -> dict[str, str]:
    """Return a label of the names that were given."""
    return {language: text for language, text in (("en", en), ("zh", zh)) if text}


def place(noun: Event | AlarmState) -> str:
    """Return where it is, from the outside in; only the steps that are known."""
    where = noun.place
    inner = "" if where is None or where.id in {noun.site, noun.building} else title(where.id, where.label)
    return " › ".join(step for step in (noun.site, noun.building, inner, named(noun)) if step)


def named(noun: Event | AlarmState) -> str:
    """Return which device or part it is about; of a value the beginning of its pseudonym."""
    if noun.device or not noun.part:
        return f"{noun.device}#{noun.part}" if noun.part else noun.device
    return f"#{noun.part[:SHOWN_ID]}"


def moment(time: int) -> str:
    """Return wall-clock ns as local time of this machine, to the second."""
    return datetime.fromtimestamp(time // 1_000_000_000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment_in(zone: str, time: int) -> str:
    """Return wall-clock ns by the clocks of a time zone, to the second, with how far they are before UTC."""
    return datetime.fromtimestamp(time // 1_000_000_000, ZoneInfo(zone)).isoformat(" ")


def clock_time(time: int) -> str:
    """Return wall-clock ns as local time of day."""
    return moment(time)[11:]


def visible(text: str, also: str = "\u3000") -> str:
    """Return a text without what a terminal would obey or write backwards: a device said it, or another person.

    ``also`` is let through: the space of Chinese texts.
    """
    return text if text.isprintable() else "".join(each if each.isprintable() or each in also else "·" for each in text)


def details(data: Mapping[str, Scalar]) -> str:
    """Return data as ``name=value`` words, on one line."""
    return visible(" ".join(f"{name}={value}" for name, value in data.items()))


def marks(noun: Event | AlarmState) -> str:
    """Return in brackets what is out of the ordinary: found late, or raised in a test or drill."""
    return "".join(f" ({word})" for word in ("late", "test", "drill") if getattr(noun, word))


def sentence(event: Event) -> str:
    """Return an event as one line."""
    moved = "" if event.transition is Transition.OCCURRED else f" {event.transition}"
    told = details(event.data)
    return (
        f"{clock_time(event.time)} {event.severity:8} {title(event.name, event.label)}{moved}{marks(event)}"
        f"  {place(event)}{f'  {told}' if told else ''}"
    )


def since(time: int, now: int) -> str:
    """Return how long ago ``time`` was, in its two largest units."""
    seconds = max(0, (now - time) // 1_000_000_000)
    steps = (("d", seconds // 86_400), ("h", seconds // 3_600 % 24), ("m", seconds // 60 % 60), ("s", seconds % 60))
    told = [f"{count}{unit}" for unit, count in steps if count]
    return "".join(told[:2]) or "0s"


def sparkline(numbers: Sequence[float], width: int = 60) -> str:
    """Return ``numbers`` as a line of bars between their smallest and largest, the last of each ``width``-th shown."""
    if not numbers:
        return ""
    step = max(1, -(-len(numbers) // width))
    shown = numbers[step - 1 :: step] or numbers[-1:]
    low, high = min(shown), max(shown)
    span = (high - low) or 1
    return "".join(_BARS[min(len(_BARS) - 1, int((number - low) / span * len(_BARS)))] for number in shown)
