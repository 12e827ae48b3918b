"""Who is told what: channels, routes and templates as people write them, YAML documents that overlay by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from hub.durations import Duration
from hub.errors import ConfigError
from hub.model.effects import Transition
from hub.model.values import Severity
from hub.rules.calendars import Windows
from hub.rules.names import suggestion
from hub.sinks.streams import DOMAINS
from hub.yaml_documents import Document, load_tree, validate

NOUNS = ("channel", "route", "template")
SHIPPED = Path(str(files("hub"))) / "outward" / "templates"
PLACEHOLDERS = ("severity", "event", "moved", "where", "time", "marks", "to", "details", "id")
USUAL = (Transition.RAISED, Transition.OCCURRED, Transition.SEVERITY_CHANGED, Transition.REMINDED)
DEFAULT = "default"

Language = Literal["en", "zh"]


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _among(known: Collection[str], words: Sequence[str]) -> None:
    for word in words:
        if word not in known:
            message = f"{word!r} is none of {', '.join(known)}"
            raise ValueError(message)


def _filled(text: str) -> str:
    _among(PLACEHOLDERS, [name for _, name, _, _ in Formatter().parse(text) if name is not None])
    try:
        text.format(**dict.fromkeys(PLACEHOLDERS, "??"))  # no format is made of these, so none comes from a placeholder
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        message = f"placeholders are texts, which this does not fit: {error}"
        raise ValueError(message) from error
    return text


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Names = Annotated[list[Name], BeforeValidator(_listed)]
Words = Annotated[list[str], BeforeValidator(_listed)]
Text = Annotated[str, AfterValidator(_filled)]


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Channel(_Wish):
    """A way to people: its address is an Apprise URL out of ``url_file``, or of the settings (``notify.urls``)."""

    channel: Name
    url_file: str = ""
    languages: Annotated[list[Language], BeforeValidator(_listed), Field(min_length=1)] = ["zh", "en"]
    quiet: Windows | None = None
    dedupe: Duration = timedelta(minutes=10)


class Route(_Wish):
    """Which events go to which channels; all words that are given must hold. With ``to`` it is for escalations."""

    route: Name
    channels: Annotated[Names, Field(min_length=1)]
    min_severity: Severity = Severity.HIGH
    domains: Words = []
    places: Words = []
    transitions: Annotated[list[Transition], BeforeValidator(_listed)] = []
    to: Words = []
    tests: bool = False
    drills: bool = True
    template: Name = DEFAULT

    @model_validator(mode="after")
    def _domains_are_known(self) -> Self:
        _among(DOMAINS, self.domains)
        return self

    @property
    def moves(self) -> Sequence[Transition]:
        """The transitions that it is for."""
        return self.transitions or ([Transition.ESCALATED] if self.to else USUAL)


class Template(_Wish):
    """The words of a message in each language; without a title the body is all."""

    template: Name
    title: dict[Language, Text] = {}
    body: dict[Language, Text]

    @model_validator(mode="after")
    def _speaks_both(self) -> Self:
        if set(self.body) != {"en", "zh"}:
            message = "body needs both languages: {en: …, zh: …}"
            raise ValueError(message)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What an installation wishes: routes in order of their names, the others by name, and the channels' addresses."""

    channels: Mapping[str, Channel]
    routes: Sequence[Route]
    templates: Mapping[str, Template]
    urls: Mapping[str, SecretStr]


def read_wishes(directory: Path | None, urls: Mapping[str, SecretStr]) -> Wishes:
    """Return the wishes in ``directory`` over the templates that ship; ConfigError with file, line and hint.

    ``urls`` are the addresses that the settings know, by channel; ``url_file`` is looked for beside its document.
    """
    tree = load_tree([SHIPPED, *([] if directory is None else [directory])], NOUNS)
    documents = {noun: [each for (kind, _), each in tree.items() if kind == noun] for noun in NOUNS}
    channels = {each.name: validate(each, Channel) for each in documents["channel"]}
    templates = {each.name: validate(each, Template) for each in documents["template"]}
    routes = {each.name: validate(each, Route) for each in documents["route"]}
    for document in documents["route"]:
        route = routes[document.name]
        _must_exist(document, "channels", route.channels, channels)
        _must_exist(document, "template", [route.template], templates)
    found = dict(_addresses(documents["channel"], channels, urls))
    ordered = [routes[name] for name in sorted(routes)]
    return Wishes(channels=channels, routes=ordered, templates=templates, urls=found)


def _must_exist(document: Document, key: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            hint = suggestion(name, known)
            raise document.error("unknown_name", f"there is no {key.removesuffix('s')} {name!r}", path=[key], hint=hint)


def _addresses(
    documents: Sequence[Document], channels: Mapping[str, Channel], urls: Mapping[str, SecretStr]
) -> Iterator[tuple[str, SecretStr]]:
    """Yield the address of each channel that has one."""
    for document in documents:
        name, file = document.name, channels[document.name].url_file
        if file:
            path = Path(document.file).parent / file
            try:
                yield name, SecretStr(path.read_text(encoding="utf-8").strip())
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "is no text"
                raise ConfigError("url_unreadable", str(reason), file=str(path)) from error
        elif name in urls:
            yield name, urls[name]


def share_of(channel: str, number: int) -> str:
    """Return the channel of one of several recipients, from 0; the first has its name, and what waits for it."""
    return f"{channel}, {number + 1}" if number else channel


def apart(wishes: Wishes, recipients: Mapping[str, int]) -> Wishes:
    """Return ``wishes`` with a channel for each of so many recipients: who cannot be reached holds up nobody else."""
    shares = {name: [share_of(name, each) for each in range(recipients.get(name, 1))] for name in wishes.channels}
    return replace(
        wishes,
        channels={
            each: channel.model_copy(update={"channel": each})
            for name, channel in wishes.channels.items()
            for each in shares[name]
        },
        routes=[
            route.model_copy(update={"channels": [each for name in route.channels for each in shares[name]]})
            for route in wishes.routes
        ],
    )
