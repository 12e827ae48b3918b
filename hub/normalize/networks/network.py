"""The words of a foreign network: its streams of messages, and how a command is sent into it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from hub.catalogue import Label, Name, Words
from hub.durations import Duration
from hub.model.records import OutcomeKind
from hub.model.values import Scalar
from hub.normalize.examples import ExamplePayload
from hub.normalize.networks.envelope import EnvelopeClass
from hub.normalize.networks.filters import HOLE
from hub.normalize.sources import Paths, PathSource, PathTime, texts

FilterText = Annotated[str, Field(min_length=1, max_length=512)]
NetworkName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
DEVICE, SITE = "device", "site"

ABOUT_DEVICES = {
    EnvelopeClass.TELEMETRY,
    EnvelopeClass.SIGNAL,
    EnvelopeClass.AVAILABILITY,
    EnvelopeClass.HEARTBEAT,
}
"""Classes whose messages must name a device; an answer to a command may name the command instead."""

STATES = {
    EnvelopeClass.AVAILABILITY: {"online", "offline"},
    EnvelopeClass.NETWORK: {"online", "offline"},
    EnvelopeClass.RECEIPT: {OutcomeKind.DELIVERED.value, OutcomeKind.FAILED.value},
}
"""What a stream of a class can say."""


class Content(Words):
    """Where the device's own payload stands in an envelope; of several paths the first that is present."""

    path: Paths
    as_: Annotated[Literal["base64", "hex", "json", "text"], Field(alias="as")]


class State(Words):
    """What an availability, a network or a receipt says.

    ``path`` is where it stands; an availability that is no JSON object is the text itself. ``values`` lists what means
    what, ``else`` what everything else means, and nothing at all.
    """

    path: Paths | None = None
    values: Annotated[dict[str, str], BeforeValidator(texts)] = Field(default_factory=dict)
    otherwise: Annotated[str | None, Field(alias="else")] = None

    @property
    def words(self) -> set[str]:
        """Everything that it may say."""
        return {*self.values.values(), *([] if self.otherwise is None else [self.otherwise])}


class Stream(Words):
    """One sort of message. ``filter`` has holes: ``{device}``, ``{site}``, and parameters of the source.

    Without ``device`` the topic names the device; a topic that also names a site means our own device of that name.
    ``dedupe`` is the network's id of the message (several paths: only together), ``command`` its id of the command that
    the message is about. ``properties`` are what the network itself knows of the device: then these are read, not the
    device's profile. ``says`` are other words of the network on the device, which are kept beside those of the topic.
    """

    filter: FilterText
    class_: Annotated[EnvelopeClass, Field(alias="class")]
    device: Paths | None = None
    payload: Literal["whole"] | Content = "whole"
    port: str | None = None
    dedupe: Paths | None = None
    time: tuple[PathTime, ...] = ()
    command: Paths | None = None
    state: State | None = None
    properties: dict[Name, PathSource] = Field(default_factory=dict)
    says: dict[Name, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        in_topic = DEVICE in HOLE.findall(self.filter)
        if self.device is not None and in_topic:
            _refuse("the device is named twice: in the filter, and by device")
        if self.class_ in ABOUT_DEVICES and self.device is None and not in_topic:
            _refuse("say which device: a {device} in the filter, or device: path")
        if SITE in HOLE.findall(self.filter) and not in_topic:
            _refuse("a topic that names the site names the device, too")
        if self.class_ is EnvelopeClass.RECEIPT and self.command is None:
            _refuse("a receipt says which command it is about: command: path")
        return self

    @model_validator(mode="after")
    def _says_what_its_class_can(self) -> Self:
        can = STATES.get(self.class_)
        if (can is not None) != (self.state is not None):
            _refuse("state is for availability, network and receipt, and they need it")
        if self.state is not None and can is not None and not (self.state.words and self.state.words <= can):
            _refuse(f"state says one of: {', '.join(sorted(can))}")
        if self.properties and self.class_ is not EnvelopeClass.TELEMETRY:
            _refuse("properties are telemetry")
        return self


class Sleep(Words):
    """A device of the network hears nothing but what is sent within ``listens`` after it spoke.

    ``unless`` lists, by a word that streams say of it, which devices always listen; where they say nothing of it, a
    parameter of that name does, and else it sleeps.
    """

    listens: Duration
    unless: dict[Name, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)


class NetworkDownlink(Words):
    """How a command travels: its topic, and what is put around its payload.

    Holes of both: ``{device}`` (``{device.int}`` as a number), ``{id}`` (``{id.uuid}``), ``{port}``, ``{command}``,
    ``{expires_at}`` in ms (``{expires_at.iso}``), every parameter, and every hole of the filters, as the device was
    last heard. In ``wrap`` also ``{payload.base64}``, ``{payload.hex}``, ``{payload.text}`` and ``{payload.json}``.
    A text that is nothing but one hole becomes the value itself. Without ``wrap`` the payload travels as it is.
    ``merge`` is a path in ``wrap``: the fields of the payload, a JSON object, stand there beside the others.
    ``commands`` says what the network calls each command; then it takes no others. ``sleeps``: when its devices listen.
    """

    topic: FilterText
    wrap: dict[str, object] | None = None
    merge: str | None = None
    commands: dict[Name, Annotated[str, Field(min_length=1, max_length=128)]] = Field(default_factory=dict)
    sleeps: Sleep | None = None

    @model_validator(mode="after")
    def _merges_into_something(self) -> Self:
        if self.merge is not None and self.wrap is None:
            _refuse("merge needs wrap")
        return self


class ExampleCommand(Words):
    """A command as the engine sends it."""

    device: str
    command: Name
    payload: ExamplePayload
    port: int | None = None
    id: str = "3f2c4a6e9b1d4c7f8a0e5d6b7c8f9a01-1"
    expires_at: int = 1_796_000_000_000
    route: dict[Name, str] = Field(default_factory=dict)


class Expected(Words):
    """Exactly what an envelope holds; what is not written is expected to be nothing."""

    device: str = ""
    site: str = ""
    payload: ExamplePayload | None = None
    port: int | None = None
    dedupe: str | None = None
    time: str | None = None
    command: str = ""
    state: str = ""
    says: dict[Name, str] = Field(default_factory=dict)


class NetworkExample(Words):
    """A message of the network and what its envelope holds, or a command and what becomes of it; and the source."""

    name: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    params: dict[Name, Scalar] = Field(default_factory=dict)
    topic: FilterText
    payload: ExamplePayload
    class_: Annotated[EnvelopeClass | None, Field(alias="class")] = None
    expect: Expected | None = None
    expect_error: str | None = None
    sends: ExampleCommand | None = None

    @model_validator(mode="after")
    def _is_one_of_three(self) -> Self:
        if sum(each is not None for each in (self.expect, self.expect_error, self.sends)) != 1:
            _refuse("an example has expect and class, or expect_error, or sends")
        if (self.class_ is not None) != (self.expect is not None):
            _refuse("what is expected has a class")
        return self


class Network(Words):
    """A sort of foreign network. A *source* is one of them in an installation: it fills the ``params``.

    A parameter that is ``+`` is open: any level of a topic. ``session`` is the queue that its messages wait in, one for
    the whole network, so that they keep their order. ``ids: lower`` compares device names in lower case.
    """

    network: NetworkName
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    label: Label
    session: Literal["telemetry", "events"] = "telemetry"
    ids: Literal["exact", "lower"] = "exact"
    params: dict[Name, Scalar] = Field(default_factory=dict)
    streams: tuple[Stream, ...]
    downlink: NetworkDownlink | None = None
    examples: tuple[NetworkExample, ...] = ()

    @model_validator(mode="after")
    def _has_streams(self) -> Self:
        if not self.streams:
            _refuse("a network without streams says nothing")
        sleeps = None if self.downlink is None else self.downlink.sleeps
        said = {name for stream in self.streams for name in stream.says}
        unsaid = [] if sleeps is None else [name for name in sleeps.unless if name not in said]
        if unsaid:
            _refuse(f"sleeps: no stream says {unsaid[0]!r}")
        return self


class SourceRow(msgspec.Struct, frozen=True):
    """A source document: what the registry says of one foreign network of the installation."""

    source: str
    network: str
    params: dict[str, Scalar] = {}


def _refuse(message: str) -> None:
    raise ValueError(message)
