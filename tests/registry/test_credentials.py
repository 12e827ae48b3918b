"""Credentials in the registry: whose they are, how they follow one another, and that only hashes are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.errors import ConfigError
from hub.registry import credentials
from hub.registry.hashing import matches
from hub.registry.nouns import Device, Site, Source
from hub.registry.registry import Registry

KEY, DAY, NONE = ("s1", "gate-1"), timedelta(days=1), timedelta()


@pytest.fixture
async def furnished(registry: Registry) -> Registry:
    await registry.add_site(Site(id="s1", zone="Asia/Shanghai"))
    await registry.add_source(Source(id="lora", network="chirpstack"))
    await registry.add_devices(
        [
            Device(site="s1", id="gate-1", kind="access_controller"),
            Device(site="s1", id="smoke-1", kind="smoke_sensor", user="gateway-1"),
            Device(site="s1", id="smoke-2", kind="smoke_sensor", user="gateway-1"),
            Device(site="s1", id="smoke-3", kind="smoke_sensor", source="lora", network_id="24e124535b316056"),
        ]
    )
    return registry


async def let_in(registry: Registry, *secrets: credentials.Secret) -> list[bool]:
    """Whether the broker would be told to let each of ``secrets`` in."""
    users = (await credentials.read_roster(registry, {})).users
    return [each.user in users and matches(each.secret, users[each.user].password_hash) for each in secrets]


async def test_whoever_carries_devices_gets_one_secret_and_keeps_it(furnished: Registry) -> None:
    keys = {("s1", each) for each in ("gate-1", "smoke-1", "smoke-2", "smoke-3")}
    made = await credentials.make_secrets(furnished, keys)
    assert [(each.user, each.devices) for each in made] == [
        ("gateway-1", (("s1", "smoke-1"), ("s1", "smoke-2"))),
        ("s1/gate-1", (KEY,)),
    ]
    assert await credentials.make_secrets(furnished, keys) == []
    assert await let_in(furnished, *made) == [True, True]


async def test_rotations_go_to_and_fro_between_two_users(furnished: Registry) -> None:
    (first,) = await credentials.make_secrets(furnished, [KEY])
    second = await credentials.rotate(furnished, KEY, DAY)
    assert (first.user, second.user, second.replaces) == ("s1/gate-1", "s1/gate-1~2", "s1/gate-1")
    assert await let_in(furnished, first, second) == [True, True]


async def test_a_rotation_before_the_last_one_is_over_replaces_its_secret(furnished: Registry) -> None:
    (first,) = await credentials.make_secrets(furnished, [KEY])
    lost = await credentials.rotate(furnished, KEY, DAY)
    again = await credentials.rotate(furnished, KEY, DAY)
    assert (again.user, again.replaces) == (lost.user, first.user)
    assert await let_in(furnished, first, lost, again) == [True, False, True]


async def test_without_an_overlap_the_newest_user_stays(furnished: Registry) -> None:
    await credentials.make_secrets(furnished, [KEY])
    second = await credentials.rotate(furnished, KEY, DAY)
    third = await credentials.rotate(furnished, KEY, NONE)
    assert (third.user, third.replaces, third.until) == (second.user, "", None)
    assert await let_in(furnished, second, third) == [False, True]


async def test_secrets_that_could_not_be_handed_over_do_not_count(furnished: Registry) -> None:
    def full_disk(_: object) -> None:
        raise OSError(28, "no space left")

    with pytest.raises(OSError, match="no space left"):
        await credentials.make_secrets(furnished, [KEY], full_disk)
    assert len(await credentials.make_secrets(furnished, [KEY])) == 1


async def test_a_device_of_a_foreign_network_has_no_secret_of_ours(furnished: Registry) -> None:
    with pytest.raises(ConfigError, match="device_foreign"):
        await credentials.rotate(furnished, ("s1", "smoke-3"), DAY)
