"""Networks written in a test, in a line."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hub.errors import ConfigError, PoisonError
from hub.model.values import Scalar
from hub.normalize.networks.downlink import Order
from hub.normalize.networks.envelope import Envelope
from hub.normalize.networks.network import Network, SourceRow
from hub.normalize.networks.source import CompiledSource, compile_source


def network(stream: Mapping[str, object] | None = None, **words: object) -> Network:
    """Return a network of one stream; ``words`` replace or add."""
    head = {"network": "test", "version": "1.0.0", "label": {"en": "Test"}}
    streams = [{"filter": "n/{device}", "class": "telemetry", **(stream or {})}]
    return Network.model_validate({**head, "streams": streams, **words})


def source(words: Network, params: Mapping[str, Scalar] | None = None) -> CompiledSource:
    """Return a source of a network."""
    return compile_source(SourceRow("test", words.network, dict(params or {})), words)


def read(data: bytes, **stream: object) -> Envelope:
    """Return the envelope that such a stream reads."""
    return source(network(stream)).streams[0].read(data)


def poison(data: bytes, **stream: object) -> str:
    """Return the code of the error that a payload is."""
    with pytest.raises(PoisonError) as caught:
        read(data, **stream)
    return caught.value.code


def mistake(words: Network, params: Mapping[str, Scalar] | None = None) -> str:
    """Return the code of the error that a source of such a network is."""
    with pytest.raises(ConfigError) as caught:
        source(words, params)
    return caught.value.code


def order(payload: bytes = b"", device: str = "d1", command: str = "unlock", port: int | None = None) -> Order:
    """Return a command."""
    return Order(device, command, payload, port, "a-1", 1_658_136_855_775, {})
