"""Commands into a foreign network: the topic they go to, and what the network wants around them."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from hub.errors import ConfigError, PoisonError
from hub.model.values import Scalar
from hub.normalize.encode import written
from hub.normalize.networks.filters import ANY, fill
from hub.normalize.networks.network import NetworkDownlink

_HOLE = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[a-z0-9]+)?)\}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WILD = frozenset("+#\0")


class Order(NamedTuple):
    """A command as its device's profile wrote it, and where it goes.

    ``device`` is the network's name of the device, ``route`` what stood in the other holes of the topic on which the
    device was last heard, ``expires_at`` wall-clock ms.
    """

    device: str
    command: str
    payload: bytes
    port: int | None
    id: str
    expires_at: int
    route: Mapping[str, str]


_Value = Callable[[Order], object]


class CompiledDownlink:
    """Addresses and wraps the commands of one source."""

    def __init__(self, words: NetworkDownlink, params: Mapping[str, Scalar]) -> None:
        self._commands = words.commands
        self._params = params
        try:
            self._topic = self._text(words.topic)
            self._wrap = None if words.wrap is None else self._tree(words.wrap)
            self._merge = None if words.merge is None else tuple(words.merge.split("."))
            _check_merge(words, self._merge)
        except ConfigError as error:
            error.fields.setdefault("path", ("downlink",))
            raise
        holes = _HOLE.findall(msgspec.json.encode([words.topic, words.wrap]).decode())
        self.needs_port = "port" in holes
        """Whether a command that names no port cannot be sent."""
        self.filters = _filters(words, params)
        """Every topic that a command may go to, as a broker's access list names them."""

    def __call__(self, order: Order) -> tuple[str, bytes]:
        """Return topic and payload.

        PoisonErrors: ``unaddressable`` when something that a hole needs is not known, ``unknown_command``,
        ``unwrappable`` for a payload that does not fit into the envelope.
        """
        topic = str(self._topic(order))
        if _WILD & set(topic) or "" in topic.split("/"):
            raise PoisonError("unaddressable", f"{topic!r} is no topic to publish to")
        if self._wrap is None:
            return topic, order.payload
        document = self._wrap(order)
        if self._merge is not None:
            self._join(document, order.payload)
        return topic, msgspec.json.encode(document)

    def _join(self, document: object, payload: bytes) -> None:
        fields = _as_json(payload)
        at: Any = document  # _check_merge walked it
        for step in self._merge or ():
            at = at[step]
        if not isinstance(fields, dict) or not isinstance(at, dict):
            raise PoisonError("unwrappable", "the network wants the fields of a JSON object")
        both = sorted(at.keys() & fields.keys())
        if both:
            raise PoisonError("unwrappable", f"{both[0]!r} is the network's own field")
        at.update(fields)

    # ------------------------------------------------------------------------------------------------------- templates

    def _tree(self, template: object) -> _Value:
        if isinstance(template, str):
            whole = _HOLE.fullmatch(template)
            return self._hole(whole[1]) if whole else self._text(template)
        if isinstance(template, Mapping):
            fields = {key: self._tree(value) for key, value in template.items()}
            return lambda order: {key: value(order) for key, value in fields.items()}
        if isinstance(template, list | tuple):
            items = [self._tree(value) for value in template]
            return lambda order: [value(order) for value in items]
        return lambda _: template

    def _text(self, template: str) -> _Value:
        values = {hole: self._hole(hole) for hole in _HOLE.findall(template)}
        return lambda order: _HOLE.sub(lambda hole: written(values[hole[1]](order)), template)

    def _hole(self, name: str) -> _Value:
        own = _OWN.get(name)
        if own is not None:
            return own
        if name == "command":
            return self._command
        if "." in name:
            raise ConfigError("bad_template", f"there is no {name!r}", hint=f"known: {', '.join(_OWN)}")
        fixed = self._params.get(name, ANY)
        return (lambda order: _routed(name, order)) if fixed == ANY else lambda _: fixed

    def _command(self, order: Order) -> str:
        found = self._commands.get(order.command)
        if found is None:
            known = ", ".join(self._commands) or "none"
            raise PoisonError("unknown_command", f"the network has no {order.command!r}; it has: {known}")
        return found


def _filters(words: NetworkDownlink, params: Mapping[str, Scalar]) -> tuple[str, ...]:
    topic = fill(words.topic, params)
    named = [topic.replace("{command}", name) for name in dict.fromkeys(words.commands.values())] or [topic]
    return tuple("/".join(ANY if "{" in level else level for level in each.split("/")) for each in named)


def network_id(command: str) -> str:
    """Return the UUID that stands for a command where a network wants one: itself, or one made of it."""
    try:
        return str(UUID(command))
    except ValueError:
        return str(UUID(bytes=hashlib.blake2b(command.encode(), digest_size=16).digest(), version=4))


def _check_merge(words: NetworkDownlink, path: tuple[str, ...] | None) -> None:
    at: object = words.wrap
    for step in path or ():
        at = at.get(step) if isinstance(at, Mapping) else None
    if path is not None and not isinstance(at, Mapping):
        raise ConfigError("bad_template", f"merge: there is no object {words.merge!r} in wrap")


def _routed(name: str, order: Order) -> str:
    found = order.route.get(name)
    if found is None:
        problem = f"{name} is not known: set it for the source, or wait until the device was heard"
        raise PoisonError("unaddressable", problem)
    return found


def _port(order: Order) -> int:
    if order.port is None:
        raise PoisonError("unaddressable", "the profile names no port for this command, and the network needs one")
    return order.port


def _whole_number(order: Order) -> int:
    if not (order.device.isascii() and order.device.isdigit()):
        raise PoisonError("unaddressable", f"the network calls its devices by numbers, not {order.device!r}")
    return int(order.device)


def _as_text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise PoisonError("unwrappable", "the payload is no text") from None


def _as_json(payload: bytes) -> object:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PoisonError("unwrappable", "the payload is no JSON") from None


def _iso(order: Order) -> str:
    moment = _EPOCH + timedelta(milliseconds=order.expires_at)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_OWN: Mapping[str, _Value] = {
    "device": lambda order: order.device,
    "device.int": _whole_number,
    "id": lambda order: order.id,
    "id.uuid": lambda order: network_id(order.id),
    "port": _port,
    "expires_at": lambda order: order.expires_at,
    "expires_at.iso": _iso,
    "payload.base64": lambda order: binascii.b2a_base64(order.payload, newline=False).decode(),
    "payload.hex": lambda order: order.payload.hex(),
    "payload.text": lambda order: _as_text(order.payload),
    "payload.json": lambda order: _as_json(order.payload),
}
