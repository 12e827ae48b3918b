"""``hub init DIR``: makes an installation, and changes nothing of one that is there."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hub.config.settings import DEFAULT_FILE, SECRETS_FILE
from hub.errors import ConfigError
from hub.ui.desk.desk import AsJson
from hub.ui.installing.asking import Flags, choose, refuse_change
from hub.ui.installing.belonging import account_of, refuse_unknown
from hub.ui.installing.choices import remembered, secrets_of
from hub.ui.installing.files import Outcome, Written, give_to, install
from hub.ui.installing.guarding import guarded
from hub.ui.printing import say_json, say_table
from hub.whole import alone_in

UNFINISHED = (SECRETS_FILE, *(f".{name}.draft" for name in (SECRETS_FILE, DEFAULT_FILE)))
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@-]+")


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Made when it is not there.")],
    *,
    partition: Annotated[str | None, typer.Option(help="Which partition its hub is (main).")] = None,
    mqtt_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Where mosquitto listens (1883).")] = None,
    http_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Health and metrics (8080).")] = None,
    redis: Annotated[
        str | None, typer.Option(help="redis-server (the distribution's), valkey (the wheel's), or a redis:// URL.")
    ] = None,
    redis_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of a Redis of its own (6380).")] = None,
    influxdb: Annotated[str | None, typer.Option(help="URL of InfluxDB; else points go to a local file.")] = None,
    influxdb_org: Annotated[str | None, typer.Option(help="Its organisation.")] = None,
    influxdb_bucket: Annotated[str | None, typer.Option(help="Its bucket (hub/autogen).")] = None,
    influxdb_token_file: Annotated[Path | None, typer.Option(help="A file that holds its token.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate of mosquitto's listener for devices.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    tls_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Where that listens (8883).")] = None,
    user: Annotated[str | None, typer.Option(help="The account that runs it; else whose DIR is, or who calls.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: flags and defaults.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an installation in DIR: settings, passwords, broker, Redis, systemd units, a README.

    Asks what no flag says. Called again it makes what is missing and tells what differs; secrets are never replaced.
    """
    flags = Flags(
        partition=partition,
        mqtt_port=mqtt_port,
        http_port=http_port,
        redis=redis,
        redis_port=redis_port,
        influxdb=influxdb,
        influxdb_org=influxdb_org,
        influxdb_bucket=influxdb_bucket,
        influxdb_token_file=influxdb_token_file,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_port=tls_port,
        yes=yes,
    )
    directory = directory.absolute()
    if not PLAIN_PATH.fullmatch(str(directory)):
        hint = "letters, digits and / . _ + @ - only: mosquitto, Redis and systemd each quote in ways of their own"
        raise ConfigError("path_invalid", "cannot be written into every file as it is", file=str(directory), hint=hint)
    if user is not None:
        refuse_unknown(user)
    with guarded(directory):
        account = user or account_of(directory / "hub.toml")
        written = _made(directory, flags, account)
    give_to(directory, account)
    if as_json:
        say_json([{**asdict(each), "file": str(each.file)} for each in written])
    else:
        _say(directory, written)


def _made(directory: Path, flags: Flags, account: str) -> list[Written]:
    try:
        known = remembered(directory, account)
    except (TypeError, ValueError) as error:  # whose words may be a part of a password
        file, hint = str(directory / DEFAULT_FILE), f"look for it there, and in redis.url of {SECRETS_FILE}"
        raise ConfigError("setting_invalid", "a port in it, or of an address, is none", file=file, hint=hint) from error
    if known is None:
        if _holds_something(directory):
            hint = "an empty directory, or one that `hub init` has made"
            raise ConfigError("directory_not_empty", "it holds something else", file=str(directory), hint=hint)
        known = choose(flags, account)
    else:
        refuse_change(directory / "hub.toml", known, flags)
    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    try:
        with alone_in(directory):  # of two at once each would keep some of the other's secrets for its own
            return install(directory, known, secrets_of(directory))
    except BaseException:  # what root has made by then would be in the account's way
        give_to(directory, account)
        raise


def _holds_something(directory: Path) -> bool:
    """Whether there is more than what an init leaves that was ended before its settings were whole."""
    found = directory.rglob("*") if directory.is_dir() else ()
    return any(path.name not in UNFINISHED and not (path.is_dir() and not path.is_symlink()) for path in found)


def _say(directory: Path, written: list[Written]) -> None:
    say_table(
        ("file", "", "what it is"),
        ((str(each.file.relative_to(directory)), each.outcome.value, each.what) for each in written),
    )
    counts = Counter(each.outcome for each in written)
    typer.echo(f"{counts[Outcome.CREATED]} created, {len(written) - counts[Outcome.CREATED]} were there: none changed")
    if counts[Outcome.KEPT]:
        typer.echo("kept: it differs from what this version writes; move it away and run init again to see ours")
    for each in written:
        if each.lacks:
            typer.echo(f"{each.file.name} does not say what this version writes; add / 缺少以下设置，请补上：")
            typer.echo("".join(f"  {line}\n" for line in each.lacks), nl=False)
    typer.echo(
        f"next: {directory}/README.md, and in that directory `hub doctor` / 下一步：见 README.md，并运行 hub doctor"
    )
