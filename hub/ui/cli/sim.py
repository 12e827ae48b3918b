"""``hub sim``: many simulated devices under load against a real broker, and what the broker said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hub.errors import ConfigError
from hub.parts import tls_of
from hub.registry import credentials, many
from hub.registry.hashing import new_secret
from hub.registry.nouns import Device
from hub.registry.registry import Registry
from hub.ui.cli.devices_imports import DEVICE_COLUMNS
from hub.ui.cli.sim_scenario import TAKE_UP_SECONDS, scenario, simulated_site
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, as_life, desk_of
from hub.ui.printing import say_json, say_table
from hub.ui.process.signals import on_signals
from hub.ui.sheets import write_csv
from simulators.load import Load, Pace, Target, logins_of
from simulators.mixture import SMALLEST, Mixture
from simulators.native import NativeSensors
from simulators.tally import Tally

app = typer.Typer()
app.command("scenario")(scenario)

MOST_DEVICES, MOST_CONNECTIONS, MOST_RATE = 100_000, 1_000, 100_000
PERCENTILES = (50, 90, 99, 99.9)
TELL_SECONDS = 1.0

Devices = Annotated[int, typer.Option(min=1, max=MOST_DEVICES, help="How many.")]
SiteName = Annotated[str, typer.Option(help="The site that they are at.")]
Seed = Annotated[int, typer.Option(help="The same seed says the same.")]
Mix = Annotated[
    bool,
    typer.Option("--mix", help="Shipped device profiles in the proportions of a real community; else native JSON."),
]
Connections = Annotated[
    int, typer.Option(min=1, max=MOST_CONNECTIONS, help="MQTT connections; each carries its share of the devices.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who speaks, on how many connections."""

    speech: NativeSensors | Mixture
    connections: int

    @property
    def prefix(self) -> str:
        """What the users of the connections begin with."""
        return f"{self.speech.site}.gateway"

    def devices(self) -> list[Device]:
        """Return every device, carried by the user of its connection."""
        return [
            replace(device, user=f"{self.prefix}-{index % self.connections + 1}")
            for index, device in enumerate(self.speech.devices())
        ]


@app.command()
def load(
    context: typer.Context,
    *,
    devices: Devices = 1_000,
    rate: Annotated[float, typer.Option(min=0, max=MOST_RATE, help="Messages a second; 0: as many as it takes.")] = 100,
    duration: Annotated[str, typer.Option(help="Seconds, or 90s, 5m …")] = "60",
    connections: Connections = 20,
    site: SiteName = "load",
    mix: Mix = False,
    seed: Seed = 1,
    register: Annotated[bool, typer.Option("--register", help="Put site and devices into the registry first.")] = False,
    passwords: Annotated[
        Path | None, typer.Option(help="user:password a line, for a broker that asks; --register makes a new one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish at QoS 1 to the broker of the settings, on many connections, and count what it says to each message.

    A steady rate does not wait for the broker: latency is from due to PUBACK. Exit code 1 when a message was refused,
    not answered, or never sent for want of a connection. Devices that the registry does not know yet: --register, or
    `hub devices import` of what `hub sim devices` prints; until then what they say is a dead letter.
    """
    desk = desk_of(context)
    cast = _cast(site, devices, connections, seed, mix=mix)
    pace = _pace(rate, duration)
    console = Console(stderr=True, highlight=False)
    secrets = _secrets(passwords, cast, is_new=register)
    asyncio.run(_prepare(desk, cast, secrets, console, registers=register))
    tally, seconds = asyncio.run(_load(desk, Load(cast.speech, pace, clock=desk.clock), cast, secrets, console))
    document = _document(tally, seconds, cast)
    if as_json:
        say_json(document)
    else:
        say_table(("what", "found"), ((name, _cell(value)) for name, value in document.items()))
    if tally.taken < tally.published + tally.unsent:
        raise typer.Exit(EXIT_FAILED)


@app.command("devices")
def list_devices(
    *, devices: Devices = 1_000, connections: Connections = 20, site: SiteName = "load", mix: Mix = False
) -> None:
    """Print the devices of a load as a CSV file that `hub devices import` takes; the site must be there already."""
    cast = _cast(site, devices, connections, 1, mix=mix)
    rows = (asdict(replace(device, place="")) for device in cast.devices())
    write_csv(DEVICE_COLUMNS, ({name: row[name] for name in DEVICE_COLUMNS} for row in rows))


def _cast(site: str, devices: int, connections: int, seed: int, *, mix: bool) -> Cast:
    if mix and devices < SMALLEST:
        raise ConfigError("load_too_small", f"a mixture is at least {SMALLEST} devices", hint=f"--devices {SMALLEST}")
    speech = Mixture(site, devices, seed=seed) if mix else NativeSensors(site, devices, seed=seed)
    return Cast(speech=speech, connections=min(connections, devices))


def _pace(rate: float, duration: str) -> Pace:
    seconds = as_life(duration).total_seconds()
    return Pace(rate=rate, count=max(1, round(rate * seconds)) if rate else None, seconds=seconds if not rate else None)


# -------------------------------------------------------------------------------------------------- before the load


def _secrets(file: Path | None, cast: Cast, *, is_new: bool) -> dict[str, str] | None:
    """Return passwords by user; None: the broker asks for none."""
    if file is None:
        return None
    if not file.exists() and is_new:
        made = {f"{cast.prefix}-{number}": new_secret() for number in range(1, cast.connections + 1)}
        file.touch(mode=0o600, exist_ok=False)
        file.write_text("".join(f"{user}:{secret}\n" for user, secret in made.items()), encoding="utf-8")
        return made
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError("file_unreadable", str(error), file=str(file), hint="--register makes a new one") from error
    return {user: secret for user, colon, secret in (line.partition(":") for line in lines) if colon}


async def _prepare(
    desk: Desk, cast: Cast, secrets: Mapping[str, str] | None, console: Console, *, registers: bool
) -> None:
    """Register who is not registered, or tell of them."""
    async with Registry(desk.settings.registry_url()) as registry:
        devices = cast.devices()
        known = {many.key_of(device): device for device in await registry.devices()}
        fresh = [device for device in devices if known.get(many.key_of(device)) != device]
        if not registers:
            missing = sum(many.key_of(device) not in known for device in devices)
            if missing:
                console.print(
                    f"{missing:,} of {len(devices):,} devices are not registered here: what they say becomes dead "
                    "letters. Add --register, or `hub devices import` what `hub sim devices` prints."
                )
            return
        if cast.speech.site not in {site.id for site in await registry.sites()}:
            await registry.add_site(simulated_site(desk, cast.speech.site))
        await many.put_places(registry, cast.speech.places())
        if fresh:
            await many.put_devices(registry, fresh)
        if secrets is not None:
            await credentials.put_secrets(registry, secrets)
        if fresh:
            registered = f"registered {len(fresh):,} devices at site {cast.speech.site}"
            console.print(f"{registered}; the hub takes them up within {TAKE_UP_SECONDS:.0f} seconds")
            await desk.clock.sleep(TAKE_UP_SECONDS)


# ------------------------------------------------------------------------------------------------------------ the load


async def _load(
    desk: Desk, load: Load, cast: Cast, secrets: Mapping[str, str] | None, console: Console
) -> tuple[Tally, float]:
    mqtt = desk.settings.mqtt
    logins = logins_of(cast.prefix, cast.connections, secrets)
    target = Target(host=mqtt.host, port=mqtt.port, logins=logins, tls=tls_of(desk.settings))
    with on_signals(load.stop), _telling(console) as tell:
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(_tell(desk, load, tell), name="sim.tell")
            tally = await load.run(target)
            telling.cancel()
    return tally, (desk.clock.monotonic_ns() - load.began_ns) / 1e9


@contextmanager
def _telling(console: Console) -> Iterator[Callable[[str], None]]:
    """Show one line that changes on a terminal, a line each time elsewhere."""
    if not console.is_terminal:
        yield console.print
        return
    with console.status("") as status:
        yield status.update


async def _tell(desk: Desk, load: Load, tell: Callable[[str], None]) -> None:
    before = 0
    while True:
        await desk.clock.sleep(TELL_SECONDS)
        tally = load.tally
        p99 = _cell(tally.latencies.percentile_ms(99))
        tell(
            f"{tally.taken:,} PUBACKed, {(tally.taken - before) / TELL_SECONDS:,.0f} a second; PUBACK p99 {p99} ms; "
            f"refused {tally.refused.total():,}, unanswered {tally.unanswered:,}"
        )
        before = tally.taken


def _document(tally: Tally, seconds: float, cast: Cast) -> dict[str, object]:
    """Return what came of it, for people and programs alike."""
    latencies = tally.latencies
    return {
        "devices": len(cast.devices()),
        "connections": cast.connections,
        "seconds": round(seconds, 1),
        "published": tally.published,
        "pubacked": tally.taken,
        "pubacked_per_second": round(tally.taken / seconds, 1),
        "refused": dict(tally.refused),
        "unanswered": tally.unanswered,
        "unsent": tally.unsent,
        "nobody_subscribes": tally.unheard,
        "reconnects": tally.connects - cast.connections,
        "puback_ms": {f"p{percent:g}": latencies.percentile_ms(percent) for percent in PERCENTILES}
        | {"most": latencies.most_us / 1e3},
    }


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {_cell(each)}" for name, each in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
