"""A registry on a server: a server that goes away and comes back, writers at once, a hub that works with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.errors import ConfigError, UnavailableError
from hub.registry.nouns import Device, Site
from hub.registry.refusals import refusal_of
from hub.registry.registry import Registry
from tests.chaos.town import SITE, Town, start
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import LOCKED_OUT, USER, PostgresServer
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until


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


async def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    url = "postgresql://hub:planted-secret@127.0.0.1:1/hub"
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


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('致命错误:  数据库 "hub" 不存在', "registry_database_unknown"),
        ('致命错误:  用户 "hub" Password 认证失败', "registry_login_refused"),
        ('致命错误:  角色 "hub" 不存在', "registry_login_refused"),
        ('致命错误:  没有用于主机 "::1", 用户 "hub", 数据库 "hub", SSL 的 pg_hba.conf 记录', "registry_login_refused"),
        ("致命错误:  数据库系统启动中", None),
        ("FATAL:  the database system is starting up", None),
        ("FATAL:  sorry, too many clients already", None),
        ("database is locked", None),
    ],
)
def test_what_a_server_says_in_chinese_is_understood_and_what_time_mends_is_waited_for(
    said: str, code: str | None
) -> None:
    found = refusal_of(UnavailableError("registry_unavailable", f"connection failed: {said}", url="shown"))
    assert (found and found.code) == code


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
@pytest.mark.timeout(90)
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

        await wait_until(is_heard, seconds=30)
    finally:
        town.hub.kill()
