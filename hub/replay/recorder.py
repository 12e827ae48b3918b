"""Recording: what the broker says, as it comes, on a connection of its own; the hub's sessions are not touched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import aiomqtt

from hub import __version__
from hub.bridge import paho_client
from hub.bridge.frames import decode_packets
from hub.bridge.paho_client import ClientConfig
from hub.clock import Clock
from hub.errors import ConfigError, UnavailableError
from hub.model.records import Batch, NewRevision, SessionCaughtUp, SessionConnected, Started, Tick
from hub.replay.recording import Recorder

SESSION: Final = "recording"
TAKE_SECONDS: Final = 0.005
"""Messages that came within this belong to one record: the moment of a message is that exact."""
TICK_NS: Final = 1_000_000_000


async def record(
    config: ClientConfig,
    filters: Sequence[str],
    content: NewRevision,
    recorder: Recorder,
    life: tuple[Clock, float | None, Callable[[Recorder], None]],
) -> None:
    """Write what comes on ``filters`` until ``life`` (clock, seconds or None for ever, who is told) is over.

    UnavailableError ``broker_lost`` or ``broker_unreachable``; what was heard until then is in the file.
    """
    clock, seconds, tell = life
    frames: list[bytes] = []
    client = paho_client.open_client(config)
    paho_client.when_received(client, frames.append)
    recorder.add(Started(__version__, [SESSION]))
    recorder.add(content.revision, bodies=content.bodies)
    try:
        async with client:
            await _subscribe(client, filters)
            recorder.add(SessionConnected(SESSION, 1, session_present=False))
            recorder.add(SessionCaughtUp(SESSION, 1))
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(paho_client.watch(client), name="hub.record.watch")
                await _take(client, frames, recorder, clock, (seconds, tell))
                watching.cancel()
    except* aiomqtt.MqttError as errors:
        reason = paho_client.explain(errors.exceptions[0])
        raise UnavailableError("broker_lost", reason, host=config.host, port=config.port) from errors


async def _subscribe(client: aiomqtt.Client, filters: Sequence[str]) -> None:
    codes = await client.subscribe([(each, 1) for each in filters])
    refused = [each for each, code in zip(filters, codes, strict=True) if getattr(code, "is_failure", False)]
    if refused:
        raise ConfigError(
            "subscription_refused",
            f"the broker refuses {', '.join(refused)}",
            hint="the user {mqtt.username_prefix}-record must be allowed to read them",
        )


async def _take(
    client: aiomqtt.Client,
    frames: list[bytes],
    recorder: Recorder,
    clock: Clock,
    life: tuple[float | None, Callable[[Recorder], None]],
) -> None:
    """Move what came into the file, and acknowledge it; a tick each second, and then it is safe from a kill."""
    seconds, tell = life
    began = ticked = clock.monotonic_ns()
    while seconds is None or clock.monotonic_ns() - began < seconds * 1e9:
        await clock.sleep(TAKE_SECONDS)
        _write(client, frames, recorder)
        if clock.monotonic_ns() - ticked >= TICK_NS:
            ticked = clock.monotonic_ns()
            recorder.add(Tick())
            recorder.flush()
            tell(recorder)
    _write(client, frames, recorder)


def _write(client: aiomqtt.Client, frames: list[bytes], recorder: Recorder) -> None:
    if not frames:
        return
    raw = b"".join(frames)
    frames.clear()
    messages = decode_packets(raw)
    recorder.add(Batch(SESSION, 1, session_present=False, settled=0, packets=raw), messages)
    paho_client.ack(client, [message.packet_id or 0 for message in messages])
