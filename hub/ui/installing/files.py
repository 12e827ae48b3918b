"""The files of an installation: written where there is none, and left alone where there is one."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hub.clock import SystemClock
from hub.config.settings import SECRETS_FILE
from hub.registry.brokers.broker import BrokerUser, Roster
from hub.registry.brokers.grants import ANY, SourceTopics, of_hub
from hub.registry.brokers.mosquitto import Mosquitto
from hub.registry.brokers.mosquitto_files import ACL, CONFIG, PASSWORDS, Listeners, configuration, write_acl
from hub.registry.hashing import PASSWORD_ROUNDS, hash_secret
from hub.services.valkey import valkey_conf
from hub.ui.installing.belonging import ROOT, give
from hub.ui.installing.choices import NOTIFY_PORT, Choices, RedisChoice, Secrets, section, values_of
from hub.ui.installing.readme import readme
from hub.ui.installing.units import units

PUBLIC, PRIVATE = 0o644, 0o600


class Outcome(StrEnum):
    """What became of a file."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    """It is another than we would write now: somebody's own words, or an older version's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One file, and what became of it; ``lacks``: lines of ours whose settings one that was there does not say."""

    file: Path
    outcome: Outcome
    what: str
    lacks: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    file: str
    text: str
    mode: int
    what: str


def install(directory: Path, choices: Choices, secrets: Secrets) -> list[Written]:
    """Make what is missing of an installation, and tell of every file; nothing that exists is changed.

    As root, who gives it to its account afterwards, in a guarded directory.
    """
    for name in ("data", "device_profiles", "rules", "notify"):
        (directory / name).mkdir(exist_ok=True, mode=0o750)
    (directory / "broker").mkdir(exist_ok=True, mode=0o700)
    if (owner := _another(choices.account)) is not None:  # what is written there depends on whose it is
        os.chown(directory / "broker", owner, -1)
    planned = [*_settings(directory, choices, secrets), *_redis(directory, choices, secrets)]
    planned += [
        _Planned(file=f"systemd/{name}", text=text, mode=PUBLIC, what="systemd unit / systemd 单元")
        for name, text in units(directory, choices).items()
    ]
    planned += [
        _Planned(
            file="README.md", text=readme(directory, choices), mode=PUBLIC, what="what to do on which day / 使用说明"
        )
    ]
    written = [_put(directory / each.file, each) for each in planned]
    written[1] = replace(written[1], lacks=_lacking(planned[1].text, values_of(directory)))
    written[2:2] = _broker(directory / "broker", choices, secrets)
    return written


def give_to(directory: Path, account: str) -> None:
    """Let everything belong to the account that the units run as, when it is another than ours."""
    if (owner := _another(account)) is not None:
        give(directory, owner)


def _another(account: str) -> int | None:
    return pwd.getpwnam(account).pw_uid if os.geteuid() == ROOT and account != "root" else None


def _settings(directory: Path, choices: Choices, secrets: Secrets) -> Iterator[_Planned]:
    """Yield the settings last: where they are, all that was chosen is, whatever ends us."""
    text = _secrets_toml(choices, secrets)
    yield _Planned(file=SECRETS_FILE, text=text, mode=PRIVATE, what="passwords, for our eyes only / 密码，仅本账户可读")
    yield _Planned(file="hub.toml", text=_hub_toml(directory, choices), mode=PUBLIC, what="settings / 设置")


def _hub_toml(directory: Path, choices: Choices) -> str:
    redis = f'\n[redis]\nchild_dir = "{directory}/valkey"\n' if choices.redis is RedisChoice.VALKEY else ""
    tls = ""
    if choices.tls is not None:
        cert, key = (_quoted(str(file)) for file in (choices.tls.cert_file, choices.tls.key_file))
        tls = f'listen = "{choices.tls.host}"\ntls_port = {choices.tls.port}\ncert_file = {cert}\nkey_file = {key}\n'
    series = ""
    if choices.influx is not None:
        url, org, bucket = map(_quoted, (choices.influx.url, choices.influx.org, choices.influx.bucket))
        series = f'\n[timeseries]\nstore = "influxdb"\nurl = {url}\norg = {org}\nbucket = {bucket}\n'
    return f"""\
# The settings of this hub. `hub config show` prints every setting and where it came from; passwords are in
# {SECRETS_FILE}. What is not here has its default. / 本集线器的设置；密码在 {SECRETS_FILE}。
partition = "{choices.partition}"
data_dir = "{directory}/data"
profiles_dir = "{directory}/device_profiles"
rules_dir = "{directory}/rules"

[mqtt]
port = {choices.mqtt_port}

[broker]
keeper = "mosquitto"
directory = "{directory}/broker"
{tls}
[http]
port = {choices.http_port}

# Who is told what, and by which way: README.md. / 通知谁、以何种方式，见 README.md。
[notify]
dir = "{directory}/notify"
http = {{port = {NOTIFY_PORT}}}
{redis}{series}"""


def _secrets_toml(choices: Choices, secrets: Secrets) -> str:
    url = f"url = {_quoted(choices.redis_url or f'redis://:{secrets.redis}@127.0.0.1:{choices.redis_port}/0')}"
    if choices.redis is RedisChoice.ELSEWHERE and not choices.redis_url:
        url = '# url = "redis://…": fill it in / 请填写'
    token = f"\n[timeseries]\ntoken = {_quoted(choices.influx.token)}\n" if choices.influx is not None else ""
    passwords = "\n".join(f'{name} = "{password}"' for name, password in secrets.mqtt.items())
    return f"""\
# Made by `hub init`, once; keep a copy where only you can read it. / 由 hub init 生成一次；请妥善备份。
[mqtt.passwords]
{passwords}

[redis]
{url}
{token}"""


def _quoted(text: str) -> str:
    """Return what somebody chose as TOML says it: a string of JSON is one of its own."""
    return json.dumps(text, ensure_ascii=False)


def _lacking(text: str, said: Mapping[str, Any]) -> list[str]:
    """Return the settings of ``text``, each below the name of its table, that ``said`` does not know."""
    found: list[str] = []
    table, known = "", said
    for line in text.splitlines():
        if line.startswith("["):
            table, known = line, section(said, line.strip("[]"))
        elif not line.startswith("#") and (name := line.partition(" = ")[0]) and name not in known:
            found += [*([table] if table and table not in found else []), line]
    return found


def _redis(directory: Path, choices: Choices, secrets: Secrets) -> Iterator[_Planned]:
    """Yield what a Redis of ours needs before it first starts: the wheel's makes its own configuration."""
    match choices.redis:
        case RedisChoice.SERVER:
            (directory / "redis").mkdir(exist_ok=True, mode=0o700)
            text = valkey_conf(directory / "redis", choices.redis_port, SecretStr(secrets.redis))
            yield _Planned(file="redis/redis.conf", text=text, mode=PRIVATE, what="Redis / Redis 配置")
        case RedisChoice.VALKEY:
            (directory / "valkey").mkdir(exist_ok=True, mode=0o700)
            yield _Planned(file="valkey/password", text=secrets.redis, mode=PRIVATE, what="Valkey / Valkey 密码")
        case RedisChoice.ELSEWHERE:
            pass


def _broker(directory: Path, choices: Choices, secrets: Secrets) -> Iterator[Written]:
    """Write the broker's files; from then on the hub keeps them (`hub broker plan`), devices and all."""
    what = {
        CONFIG: "mosquitto / mosquitto 配置",
        ACL: "who may do what / 访问规则",
        PASSWORDS: "users, hashed / 用户（散列）",
    }
    listeners = Listeners(port=choices.mqtt_port, tls=choices.tls)
    known = {name for name in what if (directory / name).exists()}
    if PASSWORDS not in known:
        asyncio.run(Mosquitto(directory, listeners, SystemClock()).write(_hub_alone(choices, secrets)))
    elif missing := what.keys() - known:  # of devices the hub knows more: it adds what is theirs
        texts = {CONFIG: configuration(directory, listeners), ACL: write_acl(_hub_alone(choices, secrets).users, ())}
        for name in missing:
            _put(directory / name, _Planned(file="", text=texts[name], mode=PRIVATE, what=""))
    for name, words in what.items():
        outcome = Outcome.UNCHANGED if name in known else Outcome.CREATED
        yield Written(file=directory / name, outcome=outcome, what=words)


def _hub_alone(choices: Choices, secrets: Secrets) -> Roster:
    """Return the users of a hub that knows no device yet."""
    users: dict[str, BrokerUser] = {}
    for connection, password in secrets.mqtt.items():
        user, grant = f"hub-{connection}", of_hub(connection, choices.partition, [ANY], SourceTopics())
        made = hash_secret(password, rounds=PASSWORD_ROUNDS)
        users[user] = BrokerUser(user=user, password_hash=made, reads=grant.reads, writes=grant.writes)
    return Roster(users=users)


def _put(path: Path, planned: _Planned) -> Written:
    """Write a whole file where there is none; a crash leaves none."""
    if path.exists():
        same = path.read_bytes() == planned.text.encode()  # of people: in whatever charset they write
        return Written(file=path, outcome=Outcome.UNCHANGED if same else Outcome.KEPT, what=planned.what)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, planned.mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        output.write(planned.text)
        output.flush()
        os.fchmod(descriptor, planned.mode)  # whatever the umask, and whatever is called like it by now
        os.fsync(descriptor)
    draft.replace(path)
    return Written(file=path, outcome=Outcome.CREATED, what=planned.what)
