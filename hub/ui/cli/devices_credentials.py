"""What lets devices in, for people: shown once, rotated, revoked, exported."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import orjson
import segno
import typer

from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.keeping import authority_of, keeper_of, source_topics
from hub.registry import credentials
from hub.registry.brokers.broker import BrokerUser
from hub.registry.certificates import Issued
from hub.registry.credentials import Secret, Terms
from hub.registry.registry import Registry
from hub.ui.cli.broker import bring_in_step
from hub.ui.desk.desk import AsJson, Desk, as_duration, desk_of
from hub.ui.printing import say_done, say_json
from hub.ui.words import moment
from hub.whole import write_whole

ONCE = "Shown once: only its hash is kept. / 仅显示一次：系统只保存散列值。"
HERE = (
    "That host is of use on this machine alone: devices elsewhere need broker.tls_port and broker.names in hub.toml. /"
    " 该地址仅限本机使用：其他机器上的设备需在 hub.toml 中设置 broker.tls_port 与 broker.names。"
)
COLUMNS = ("site", "device", "host", "port", "tls", "user", "client_id", "secret")

AsQr = Annotated[bool, typer.Option("--qr", help="A QR code too, for an installer's telephone.")]
Overlap = Annotated[str, typer.Option(help="So long the old one works too: 24h, 7d; 0 ends it at once.")]


def rotate(
    context: typer.Context,
    site: str,
    device: str,
    *,
    overlap: Overlap = "24h",
    certificate: Annotated[bool, typer.Option("--certificate", help="A client certificate and its key.")] = False,
    csr: Annotated[Path | None, typer.Option(help="Sign this request (PEM): the key never leaves the device.")] = None,
    days: Annotated[int, typer.Option(min=1, help="How long a certificate holds.")] = 825,
    out: Annotated[Path | None, typer.Option(help="Where certificate, key and authority go.")] = None,
    qr: AsQr = False,
    as_json: AsJson = False,
) -> None:
    """Make the next secret of a device, or of the gateway that carries it; the first one, where it has none.

    While both work, the new secret belongs to another user with the same topics: the broker has room for one secret a
    user. The device changes user and secret together. With --overlap 0 the user stays, and the device is cut off until
    it has its new secret.
    """
    desk = desk_of(context)
    if certificate or csr is not None:
        request = "" if csr is None else _text(csr)
        terms = Terms(life=as_duration(f"{days}d"), overlap=span_of(overlap), request=request)
        authority = authority_of(desk.settings, desk.clock)
        made = desk.in_registry(lambda registry: credentials.certify(registry, authority, (site, device), terms))
        _show_paper(made, desk, out, as_json=as_json)
    else:
        span = span_of(overlap)
        secret = desk.in_registry(lambda registry: credentials.rotate(registry, (site, device), span))
        show([secret], desk.settings, qr=qr, as_json=as_json)
    tell_broker(desk)  # last: what was not shown would be lost if the broker cannot be told


def revoke(
    context: typer.Context,
    site: str,
    device: str,
    *,
    reason: Annotated[str, typer.Option(help="Why; for the audit.")] = "",
    as_json: AsJson = False,
) -> None:
    """Take from a device, or from the gateway that carries it, all that lets it in; if it is connected, cut it off."""
    desk = desk_of(context)
    user, carried = desk.in_registry(lambda registry: _revoke(desk, registry, (site, device), reason))
    document = {"user": user, "devices": ["/".join(key) for key in carried]}
    say_done(f"revoked {user}, which carried {len(carried)} devices / 已吊销", document, as_json=as_json)


def export_credentials(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file, for our eyes only (0600).")],
    *,
    reason: Annotated[str, typer.Option(help="Why; for the audit.")] = "",
) -> None:
    """Write every user with its topics and the hash of its secret, for another broker. Secrets are kept nowhere.

    One JSON document a line: user, password_hash (PBKDF2 with SHA-512: $7$rounds$salt$hash), reads, writes.
    """
    desk = desk_of(context)
    count = desk.in_registry(lambda registry: _export(desk, registry, file, reason))
    typer.echo(f"{file}: {count:,} users")


# ------------------------------------------------------------------------------------------------------------ showing


def access(settings: Settings, secret: Secret) -> dict[str, object]:
    """Return what a device must be told to come in."""
    has_tls = settings.broker.tls_port is not None
    return {
        "host": settings.broker.names[0] if has_tls else settings.mqtt.host,
        "port": settings.broker.tls_port or settings.mqtt.port,
        "tls": has_tls,
        "user": secret.user,
        "client_id": secret.user,
        "secret": secret.secret,
    }


def show(made: Sequence[Secret], settings: Settings, *, qr: bool, as_json: bool) -> None:
    """Show new secrets, once."""
    for each in made:
        told = access(settings, each)
        if as_json:
            whole = {**told, "devices": ["/".join(key) for key in each.devices]}
            say_json({**whole, "replaces": each.replaces, "until": each.until})
            continue
        for name, value in told.items():
            typer.echo(f"{name:<10} {str(value).lower() if isinstance(value, bool) else value}")
        if each.until is not None:
            typer.echo(f"{each.replaces} works too until {moment(each.until)} / 旧用户在此之前仍可用")
        if qr:
            text = io.StringIO()
            segno.make(orjson.dumps(told), error="m", boost_error=False).terminal(text, compact=True)
            typer.echo(text.getvalue())
        typer.echo(ONCE, err=True)
    if not as_json and made and (settings.broker.tls_port is None or access(settings, made[0])["host"] == "localhost"):
        typer.echo(HERE, err=True)


def _show_paper(made: tuple[str, Issued], desk: Desk, out: Path | None, *, as_json: bool) -> None:
    user, paper = made
    authority = authority_of(desk.settings, desk.clock).certificate
    if out is not None:
        write_whole(out / "client.crt", paper.certificate)
        write_whole(out / "ca.crt", authority)
        if paper.key:
            write_whole(out / "client.key", paper.key)
    whole = {"user": user, **asdict(paper), "authority": authority, "port": desk.settings.broker.certificate_port}
    if as_json:
        say_json(whole)
        return
    typer.echo(f"user       {user}\nserial     {paper.serial}\nends       {moment(paper.not_after)}")
    typer.echo(f"written to {out}" if out is not None else f"{paper.certificate}{paper.key}")
    if paper.key:
        typer.echo("The key is kept nowhere else. / 私钥不会保存在别处。", err=True)


@contextmanager
def new_file(path: Path, *, is_only_copy: bool = False) -> Iterator[int]:
    """Make ``path`` for our eyes only, and take it away again when what should fill it fails.

    Not when somebody stops us who has seen secrets written that may count by now: nobody can make them again.
    ConfigError ``file_exists``: what is in it may be the only copy of secrets.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        hint = "a new file, in a directory that is there"
        raise ConfigError("file_unwritable", str(error.strerror), file=str(path), hint=hint) from error
    try:
        yield descriptor
    except BaseException as error:
        if isinstance(error, Exception) or not (is_only_copy and os.fstat(descriptor).st_size):
            path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def write_secrets(descriptor: int, settings: Settings, made: Sequence[Secret]) -> None:
    """Write a CSV of one row a device; on the disk when this returns."""
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    rows.writeheader()
    for secret in made:
        told = access(settings, secret)
        told["tls"] = "yes" if told["tls"] else "no"
        rows.writerows({"site": site, "device": device, **told} for site, device in secret.devices)
    with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file:
        file.write(text.getvalue())
    os.fsync(descriptor)


def write_users(descriptor: int, users: Iterable[BrokerUser]) -> None:
    """Write a line of JSON a user; on the disk when this returns."""
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.writelines(orjson.dumps(asdict(user), option=orjson.OPT_APPEND_NEWLINE) for user in users)
    os.fsync(descriptor)


# -------------------------------------------------------------------------------------------------------------- doing


def span_of(text: str) -> timedelta:
    """Return how long an overlap is, of which 0 is none."""
    return timedelta() if text == "0" else as_duration(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("file_unreadable", str(error), file=str(path), hint="a certificate request in PEM") from error


def tell_broker(desk: Desk) -> None:
    """Bring the broker in step, where the hub keeps it."""
    desk.in_registry(lambda registry: bring_in_step(desk, registry))


async def _revoke(
    desk: Desk, registry: Registry, key: tuple[str, str], reason: str
) -> tuple[str, Sequence[tuple[str, str]]]:
    found = await credentials.revoke(registry, key, reason)
    await cut_off(desk, registry, found[0])
    return found


async def cut_off(desk: Desk, registry: Registry, owner: str) -> None:
    """Cut off who has just lost what let them in, where the hub keeps the broker."""
    keeper = keeper_of(desk.settings, registry, desk.clock)
    if keeper is not None:
        await keeper.revoke(owner)


async def _export(desk: Desk, registry: Registry, file: Path, reason: str) -> int:
    await registry.look("credential.exported", "credential/", reason)
    roster = await credentials.read_roster(registry, source_topics(desk.settings, await registry.sources()))
    with new_file(file) as descriptor:
        write_users(descriptor, roster.users.values())
    return len(roster.users)
