"""Examples inside a network: a message and its envelope, or a command and what is sent, and whether that holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hub.errors import PoisonError
from hub.normalize.examples import payload_bytes, unreadable
from hub.normalize.networks.downlink import Order
from hub.normalize.networks.envelope import Envelope
from hub.normalize.networks.network import ExampleCommand, Expected, Network, NetworkExample, SourceRow
from hub.normalize.networks.source import CompiledSource, Route, compile_source


def check_example(network: Network, example: NetworkExample) -> list[str]:
    """Return what differs, a sentence each; nothing when the example holds."""
    wrong = [*unreadable(example.payload, [None if example.expect is None else example.expect.time])]
    if wrong:
        return wrong
    source = compile_source(SourceRow("example", network.network, example.params), network)
    payload = payload_bytes(example.payload)
    if example.sends is not None:
        return _differences(_sent(source, example.sends), (("topic", example.topic), ("payload", payload)))
    try:
        route = source.route(example.topic)
        envelope = None if route is None else route.stream.read(payload)
    except PoisonError as error:
        return [] if error.code == example.expect_error else [f"error: expected {example.expect_error}, got {error}"]
    if route is None or envelope is None:
        return [f"no stream means {example.topic!r}"]
    if example.expect is None:
        return [f"error: expected {example.expect_error}, got {envelope}"]
    wanted = (("class", example.class_), *_wanted(example.expect))
    return _differences((route.stream.carries, *_found(route, envelope)), wanted)


def _wanted(expected: Expected) -> Sequence[tuple[str, object]]:
    return (
        ("site", expected.site),
        ("device", expected.device),
        ("payload", None if expected.payload is None else payload_bytes(expected.payload)),
        ("port", expected.port),
        ("dedupe", expected.dedupe),
        ("time", _nanoseconds(expected.time)),
        ("command", expected.command),
        ("state", expected.state),
        ("says", expected.says),
    )


def _found(route: Route, envelope: Envelope) -> Sequence[object]:
    return (
        route.site,
        envelope.device or route.device,
        envelope.payload,
        envelope.port,
        envelope.dedupe,
        envelope.measured_at,
        envelope.command,
        envelope.state,
        dict(envelope.says or {}),
    )


def _sent(source: CompiledSource, words: ExampleCommand) -> Sequence[object]:
    if source.downlink is None:
        return ("nothing: the network takes no commands", b"")
    payload = payload_bytes(words.payload)
    order = Order(words.device, words.command, payload, words.port, words.id, words.expires_at, words.route)
    return source.downlink(order)


def _differences(found: Sequence[object], wanted: Sequence[tuple[str, object]]) -> list[str]:
    return [
        f"{what}: expected {expected!r}, got {actual!r}"
        for (what, expected), actual in zip(wanted, found, strict=True)
        if expected != actual
    ]


def _nanoseconds(text: str | None) -> int | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000
