"""The publisher: the load generator in a process of its own, as fast as the broker takes it, or at a steady rate.

``python -m benchmarks.publisher ORDER``; ORDER and the answer on standard output are JSON.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from benchmarks.traffic import SITE, Traffic
from hub.clock import SystemClock
from hub.errors import UnavailableError
from simulators.load import Load, Pace, Target, logins_of
from simulators.mixture import Mixture


class Order(msgspec.Struct, frozen=True):
    """Publish ``count`` messages from ``first`` on; ``rate`` a second, 0 for as fast as they are taken."""

    port: int
    devices: int
    first: int
    count: int
    rate: float = 0
    connections: int = 1
    mixed: bool = False


class Published(msgspec.Struct, frozen=True):
    """What the broker took. ``due`` has for every event of a steady rate its device and when it was due, in ns.

    ``puback_ms`` is from due to PUBACK, p50 and p99.
    """

    count: int
    seconds: float
    due: list[tuple[str, int]]
    puback_ms: tuple[float, float] = (0.0, 0.0)


async def publish(order: Order) -> Published:
    """Let a process carry out ``order``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.publisher", msgspec.json.encode(order), stdout=asyncio.subprocess.PIPE
    )
    try:
        answer, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise UnavailableError("publisher_failed", returncode=process.returncode)
    return msgspec.json.decode(answer, type=Published)


async def carry_out(order: Order) -> Published:
    """Publish in the order of numbers; UnavailableError when the broker did not take all, or nobody subscribes."""
    traffic, clock = Traffic(order.devices), SystemClock()
    speech = _mixture(order, clock.wall_ns()) if order.mixed else traffic
    load = Load(speech, Pace(rate=order.rate, count=order.count, first=order.first), clock=clock)
    logins = logins_of(f"publisher-{clock.monotonic_ns()}", order.connections)
    tally = await load.run(Target(host="127.0.0.1", port=order.port, logins=logins))
    if tally.taken - tally.unheard != order.count:
        raise UnavailableError("not_all_were_taken", str(tally))
    seconds = (clock.monotonic_ns() - load.began_ns) / 1e9
    due: list[tuple[str, int]] = []
    if order.rate and not order.mixed:
        names = traffic.names()
        for index in range(order.count):
            number = order.first + index
            if traffic.is_event(number):
                due.append((names[number % order.devices], load.due_ns(index)))
    p50, p99 = (tally.latencies.percentile_ms(percent) or 0.0 for percent in (50, 99))
    return Published(tally.taken, seconds, due, (p50, p99))


def _mixture(order: Order, now_ns: int) -> Mixture:
    """Return a mixture that has said everything before ``order``: serial numbers go on where they were."""
    mixture = Mixture(SITE, order.devices)
    for number in range(order.first):
        mixture.say(number, now_ns)
    return mixture


if __name__ == "__main__":
    published = asyncio.run(carry_out(msgspec.json.decode(sys.argv[1], type=Order)))
    sys.stdout.buffer.write(msgspec.json.encode(published))
