"""How a registry of an older hub becomes a present one, and that the steps make exactly the tables of `schema.py`."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
import structlog
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hub.errors import ConfigError
from hub.model.values import PlaceType
from hub.registry import circumstances, logins, upgrading
from hub.registry.logins import Login
from hub.registry.nouns import Device, Entry, Params, Place, Site, Source
from hub.registry.registry import Registry
from hub.registry.schema import metadata
from tests.registry.conftest import sqlite_url

SITE = Site(id="s1", zone="Asia/Shanghai", label={"en": "Willow Court", "zh": "柳园"}, facts={"city": "Ningbo"})
LORA = Source(id="lora", network="chirpstack", params={"application": "17c82e96"})
GATE = Device(site="s1", id="gate-1", kind="access_controller", params={"doors": 2}, user="gate-1")
DETECTOR = Device(site="s1", id="smoke-9", kind="smoke_sensor", source="lora", network_id="24e124535b316056")
HOME = Place(
    site="s1",
    id="d1",
    type=PlaceType.DWELLING,
    facts={"care_watch": True},
    consents={"care_watch": "form 17"},
)

# Version 1, as the hub wrote it before there were sources.
FIRST = """
CREATE TABLE registry_state (id INTEGER NOT NULL, schema INTEGER NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (id));
CREATE TABLE places (site VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL, parent VARCHAR(64), type VARCHAR(32) NOT NULL,
    zone VARCHAR(64), partition VARCHAR(64), label JSON NOT NULL, facts JSON NOT NULL, PRIMARY KEY (site, id),
    FOREIGN KEY(site, parent) REFERENCES places (site, id));
CREATE TABLE devices (site VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL, kind VARCHAR(64) NOT NULL,
    profile VARCHAR(128) NOT NULL, place VARCHAR(64) NOT NULL, params JSON NOT NULL, serial VARCHAR(128),
    state VARCHAR(16) NOT NULL, user VARCHAR(64) NOT NULL, PRIMARY KEY (site, id), UNIQUE (serial),
    FOREIGN KEY(site, place) REFERENCES places (site, id));
CREATE INDEX devices_by_user ON devices (user);
CREATE TABLE credentials (user VARCHAR(64) NOT NULL PRIMARY KEY, password_hash VARCHAR(256) NOT NULL);
INSERT INTO registry_state VALUES (1, 1, 7);
INSERT INTO places VALUES ('s1', 's1', NULL, 'site', 'Asia/Shanghai', 'main', '{"en": "Willow Court", "zh": "柳园"}',
    '{"city": "Ningbo"}');
INSERT INTO devices VALUES ('s1', 'gate-1', 'access_controller', '', 's1', '{"doors": 2}', NULL, 'active', 'gate-1');
INSERT INTO credentials VALUES('gate-1', '$7$101$a$b');
"""
# What came with version 2, and with version 3, the last before Alembic: each as the hub of that time left its file.
SECOND = """
CREATE TABLE sources (id VARCHAR(64) NOT NULL PRIMARY KEY, network VARCHAR(64) NOT NULL,
    partition VARCHAR(64) NOT NULL, params JSON NOT NULL);
ALTER TABLE devices ADD COLUMN source VARCHAR(64);
ALTER TABLE devices ADD COLUMN network_id VARCHAR(128);
CREATE UNIQUE INDEX devices_by_network_id ON devices (source, network_id);
INSERT INTO places VALUES ('s1', 'd1', 's1', 'dwelling', NULL, NULL, '{}', '{"away": true}');
INSERT INTO sources VALUES('lora', 'chirpstack', 'main', '{"application": "17c82e96"}');
UPDATE registry_state SET schema = 2;
"""
THIRD = """
CREATE TABLE list_entries (site VARCHAR(64) NOT NULL, list VARCHAR(64) NOT NULL, value VARCHAR(128) NOT NULL,
    valid VARCHAR(64) NOT NULL, note VARCHAR(256) NOT NULL, PRIMARY KEY (site, list, value));
CREATE TABLE params (rule VARCHAR(64) NOT NULL, profile VARCHAR(128) NOT NULL, site VARCHAR(64) NOT NULL,
    place VARCHAR(64) NOT NULL, device VARCHAR(64) NOT NULL, "values" JSON NOT NULL,
    PRIMARY KEY (rule, profile, site, place, device));
ALTER TABLE places ADD COLUMN consents JSON DEFAULT '{}' NOT NULL;
INSERT INTO list_entries VALUES('','block','浙B12345','2026-03-01/','n');
INSERT INTO params VALUES('r','','s1','','','{"a": 1}');
UPDATE places SET facts = '{"care_watch": true}', consents = '{"care_watch": "form 17"}' WHERE id = 'd1';
UPDATE registry_state SET schema = 3;
"""


def left_behind(directory: Path, *statements: str) -> str:
    """Write the file of an older hub; return its URL."""
    (directory / "data").mkdir(parents=True)
    database = sqlite3.connect(directory / "data" / "registry.sqlite")
    database.executescript("".join(statements))
    database.close()
    return sqlite_url(directory)


def shape(connection: Connection) -> list[object]:
    """Return what tells the tables from those of `schema.py`."""
    return [*compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)]


async def test_the_steps_make_the_tables_of_the_schema(empty_url: str) -> None:
    async with Registry(empty_url) as registry, registry.transaction() as connection:
        assert await connection.run_sync(shape) == []
        assert await connection.run_sync(upgrading.version) == upgrading.HEAD


def test_the_newest_step_is_the_one_that_the_hub_looks_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(upgrading.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [upgrading.HEAD]


async def test_a_registry_of_the_first_hub_is_brought_up_to_date(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with Registry(left_behind(tmp_path, FIRST)) as registry:
            assert (await registry.sites(), await registry.devices()) == ([SITE], [GATE])
            assert await registry.revision() == 7
            await registry.add_source(LORA)
            await registry.add_devices([DETECTOR])
            async with registry.transaction() as connection:
                assert await connection.run_sync(shape) == []
    told = [(line["event"], line["was"], line["now"]) for line in logs]
    assert told == [("registry_upgraded", "0001", upgrading.HEAD)]


async def test_a_registry_from_before_there_were_lists_is_brought_up_to_date(tmp_path: Path) -> None:
    async with Registry(left_behind(tmp_path, FIRST, SECOND)) as registry:
        assert await registry.places() == [Place(site="s1", id="d1", type=PlaceType.DWELLING, facts={"away": True})]
        assert await registry.sources() == [LORA]
        await circumstances.put_entries(registry, [Entry(list="block", value="浙B12345")])
        await circumstances.set_fact(registry, ("s1", "d1"), "care_watch", value=True, consent="form 17")


async def test_the_last_registry_from_before_alembic_keeps_all_it_knew(tmp_path: Path) -> None:
    url = left_behind(tmp_path, FIRST, SECOND, THIRD)
    for _ in range(2):  # the second time there is nothing to do
        async with Registry(url) as registry:
            assert (await registry.sites(), await registry.devices()) == ([SITE], [GATE])
            assert await registry.places() == [HOME]
            held = Entry(list="block", value="浙B12345", valid="2026-03-01/", note="n")
            assert await circumstances.read_entries(registry) == [held]
            assert await circumstances.read_params(registry) == [Params(rule="r", values={"a": 1}, site="s1")]
            assert await registry.revision() == 7
            async with registry.transaction() as connection:
                known = Login(user="gate-1", owner="gate-1", password_hash="$7$101$a$b", made_at=0)
                assert await logins.logins(connection) == [known]
                assert await connection.run_sync(shape) == []


async def test_a_hub_from_before_alembic_sees_that_it_is_too_old(tmp_path: Path) -> None:
    async with Registry(sqlite_url(tmp_path)):
        pass
    database = sqlite3.connect(tmp_path / "data" / "registry.sqlite")
    assert database.execute("SELECT schema FROM registry_state").fetchone() == (4,)  # it knew 3, and refuses 4
    database.close()


async def test_a_registry_of_a_newer_hub_is_refused(empty_url: str) -> None:
    async with Registry(empty_url) as registry, registry.transaction() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="the registry has version 9999"):
        await Registry(empty_url).__aenter__()


async def test_hubs_that_start_at_once_upgrade_once(empty_url: str) -> None:
    async def open_it() -> int:
        async with Registry(empty_url) as registry:
            return await registry.revision()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(open_it()) for _ in range(8)]
    assert [task.result() for task in tasks] == [0] * 8


async def test_registries_that_are_made_at_once_are_made_each_for_itself(tmp_path: Path) -> None:
    async def make(name: str) -> int:
        (tmp_path / name).mkdir()
        async with Registry(sqlite_url(tmp_path / name)) as registry:
            await registry.add_site(SITE)
            return await registry.revision()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(make(name)) for name in ("east", "west", "north")]
    assert [task.result() for task in tasks] == [1, 1, 1]
