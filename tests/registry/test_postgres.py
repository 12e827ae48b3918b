"""A registry on a server: a server that goes away and comes back, writers at once, a hub that works with it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from hub.clock import SystemClock
from hub.errors import ConfigError, UnavailableError
from hub.registry import handshake
from hub.registry.nouns import Device, Site
from hub.registry.registry import Registry
from tests.chaos.town import SITE, Town, start
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import LOCKED_OUT, USER, PostgresServer
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

SSL_REQUEST, GSS_REQUEST = (80_877_103).to_bytes(4, "big"), (80_877_104).to_bytes(4, "big")


async def test_a_server_that_went_away_is_not_now_and_comes_back(postgres: PostgresServer) -> None:
    async with Registry(postgres.database()) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
        postgres.stop()
        try:
            with pytest.raises(UnavailableError, match="registry_unavailable"):
                await registry.revision()
        finally:
            postgres.start()
        assert await registry.revision() == 1
        postgres.restart()  # and without anybody asking meanwhile
        assert await registry.revision() == 1


async def test_a_server_that_only_reads_by_now_is_one_that_is_away(postgres: PostgresServer) -> None:
    url = postgres.database()
    async with Registry(url) as registry:
        await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
    async with Registry(f"{url}?options=-cdefault_transaction_read_only%3Don") as registry:  # a standby since
        assert await registry.revision() == 1
        with pytest.raises(UnavailableError, match="registry_unavailable"):
            await registry.look("list.unmasked", "list/*/*")


@pytest.mark.parametrize("words", ["", "?prepare_threshold=5", "?autocommit=true"])
async def test_a_server_that_is_not_there_is_told_without_its_password(words: str) -> None:
    url = f"postgresql://hub:planted-secret@127.0.0.1:1/hub{words}"
    with pytest.raises(UnavailableError) as caught:
        await Registry(url).__aenter__()
    assert "planted-secret" not in str(caught.value)
    assert "postgresql+psycopg://hub:***@127.0.0.1:1/hub" in str(caught.value)


@pytest.mark.parametrize(
    ("was", "is_now", "code"),
    [
        ("/hub_", "/elsewhere_", "registry_database_unknown"),
        (f"{USER}@", "stranger@", "registry_login_refused"),
        (f"{USER}@", f"{LOCKED_OUT}:planted-secret@", "registry_login_refused"),
        (f"{USER}@", f"{LOCKED_OUT}@", "registry_login_refused"),
    ],
    ids=["database", "user", "password", "no password"],
)
async def test_a_server_that_knows_us_or_the_database_not_is_for_a_person_to_mend(
    postgres: PostgresServer, was: str, is_now: str, code: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        await Registry(postgres.database().replace(was, is_now)).__aenter__()
    assert caught.value.code == code
    assert caught.value.hint
    assert "planted-secret" not in str(caught.value)


class Peer:
    """A server that speaks PostgreSQL's protocol only to refuse, in the words and with the code that it is told."""

    def __init__(self, code: str, said: str, *, asks_password: bool = False) -> None:
        fields = ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", code), (b"M", said))
        body = b"".join(name + text.encode() + b"\0" for name, text in fields) + b"\0"
        self._refusal = b"E" + (len(body) + 4).to_bytes(4, "big") + body
        self._asks_password = asks_password

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Listen; yield the URL of a database there."""
        async with await asyncio.start_server(self._refuse, "127.0.0.1", 0) as server:
            yield f"postgresql://hub:planted-secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/hub"

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while (await self._packet(reader))[:4] in {SSL_REQUEST, GSS_REQUEST}:
                writer.write(b"N")
            if self._asks_password:
                writer.write(b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big"))
                await reader.readexactly(1)
                await self._packet(reader)
            writer.write(self._refusal)

    async def _packet(self, reader: asyncio.StreamReader) -> bytes:
        return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        (Peer("3D000", "Datenbank »hub« existiert nicht"), "registry_database_unknown"),
        (Peer("28P01", "пользователь hub не прошёл проверку", asks_password=True), "registry_login_refused"),
        (Peer("28000", "ロール hub は存在しません"), "registry_login_refused"),
        (Peer("28000", "没有用于主机 ::1, 用户 hub, 数据库 hub 的 pg_hba.conf 记录"), "registry_login_refused"),
        (Peer("42501", "droit refusé pour la base de données hub"), "registry_login_refused"),
        (Peer("57P03", "database hub does not exist yet: starting up"), "registry_unavailable"),
        (Peer("53300", "sorry, too many clients already"), "registry_unavailable"),
    ],
    ids=["database", "password", "user", "no entry", "not allowed", "starting", "full"],
)
async def test_what_a_server_refuses_is_known_by_its_code_in_whatever_language_it_says_so(
    peer: Peer, code: str
) -> None:
    async with peer.serve() as url:
        with pytest.raises((ConfigError, UnavailableError)) as caught:
            await Registry(url).__aenter__()
    assert caught.value.code == code
    assert "planted-secret" not in str(caught.value)


async def test_where_more_than_one_attempt_is_made_the_code_of_the_last_counts() -> None:
    """Such as one over TLS and one without; or, as here, at one host after the other."""
    async with Peer("57P03", "starting up").serve() as one, Peer("28000", "no such role").serve() as other:
        ports = ",".join(str(make_url(url).port) for url in (one, other))
        words = {"host": "127.0.0.1,127.0.0.1", "port": ports, "user": "hub", "dbname": "hub"}
        assert await asyncio.to_thread(handshake.sqlstate_of, words) == "28000"


def test_a_server_that_says_nothing_is_not_waited_for_when_it_is_asked_for_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handshake, "PATIENCE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = {"host": "127.0.0.1", "port": server.getsockname()[1], "user": "hub", "dbname": "hub"}
        assert handshake.sqlstate_of(words) == ""


async def test_a_server_that_says_one_byte_after_the_other_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "PATIENCE_SECONDS", 0.2)
    said: list[bytes] = []
    left = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await reader.read(4096)
            writer.write(b"E" + (20_000).to_bytes(4, "big"))
            while not (reader.at_eof() or writer.is_closing()) and len(said) < 100:  # left by a FIN or by a reset
                said.append(b"S")
                writer.write(said[-1])
                await SystemClock().sleep(0.1)
        left.set()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        words = {"host": "127.0.0.1", "port": port, "user": "hub", "dbname": "hub", "sslmode": "disable"}
        assert await asyncio.to_thread(handshake.sqlstate_of, words | {"gssencmode": "disable"}) == ""
        await left.wait()
    assert len(said) < 30


async def test_of_two_writers_at_once_the_second_sees_what_the_first_wrote(url: str) -> None:
    gate = Device(site="s1", id="gate-1", kind="access_controller")

    async def add(registry: Registry) -> bool:
        try:
            await registry.add_devices([gate])
        except ConfigError:
            return False
        return True

    async with Registry(url) as one, Registry(url) as other:
        await one.add_site(Site(id="s1", zone="Asia/Shanghai"))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(add(registry)) for registry in (one, other, one, other)]
        assert sorted(task.result() for task in tasks) == [False, False, False, True]
        assert await one.revision() == 2


@needs_mosquitto
async def test_a_hub_works_with_its_registry_on_a_server(
    tmp_path: Path, postgres: PostgresServer, mosquitto: Mosquitto, valkey: ValkeyServer
) -> None:
    url = postgres.database()
    town = Town(tmp_path, mosquitto, valkey, settings=f'[registry]\nurl = "{url}"')
    try:
        await start(town)
        async with Registry(url) as registry:
            await registry.add_site(Site(id=SITE, zone="Asia/Shanghai"))
            await registry.add_devices([Device(site=SITE, id="env-1", kind="environment_sensor")])

        async def is_heard() -> bool:
            async with town.client() as client:
                await client.publish(f"hub/{SITE}/env-1/telemetry", b'{"values": {"temperature": 20}}', qos=1)
            return (await town.hub.metrics()).get('hub_messages_applied_total{timeliness="live"}', 0) > 0

        await wait_until(is_heard)
    finally:
        town.hub.kill()
