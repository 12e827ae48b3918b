"""The README of an installation: what to do on which day, in English and Chinese."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from hub.ui.installing.choices import NOTIFY_PORT, Choices, RedisChoice, hub_command
from hub.ui.installing.units import CITY, FORWARD, NOTIFY, own_units


def readme(directory: Path, choices: Choices) -> str:
    """Return the page for whoever runs this installation."""
    units = own_units(choices)
    words = {
        "directory": directory,
        "hub": shlex.join(hub_command()),
        "pip": shlex.join([sys.executable, "-m", "pip"]),
        "partition": choices.partition,
        "mqtt_port": choices.mqtt_port,
        "http_port": choices.http_port,
        "notify_port": NOTIFY_PORT,
        "redis": _REDIS[choices.redis].format(directory=directory),
        "redis_zh": _REDIS_ZH[choices.redis].format(directory=directory),
        "start_redis": f"redis-server {directory}/redis/redis.conf &\n" if choices.redis is RedisChoice.SERVER else "",
        "redis_files": _REDIS_FILES[choices.redis],
        "series": choices.influx.url if choices.influx else f"{directory}/data/timeseries.sqlite",
        "links": " ".join(f"{directory}/systemd/{name}" for name in units),
        "units": " ".join(units),
        "again": "" if choices.account == "root" else f" --user {choices.account}",
        "beside": " ".join(f"{directory}/systemd/{name}" for name in (NOTIFY, FORWARD, CITY)),
    }
    return _PAGE.format(**words)


_REDIS = {
    RedisChoice.SERVER: "the distribution's redis-server with `{directory}/redis/redis.conf`",
    RedisChoice.VALKEY: "a Valkey that `hub run` starts and keeps running, in `{directory}/valkey`",
    RedisChoice.ELSEWHERE: "somebody else's: its address is in `secrets.toml`; `hub doctor` tells whether it is safe",
}
_REDIS_ZH = {
    RedisChoice.SERVER: "发行版的 redis-server，配置为 `{directory}/redis/redis.conf`",
    RedisChoice.VALKEY: "由 `hub run` 启动并看护的 Valkey，位于 `{directory}/valkey`",
    RedisChoice.ELSEWHERE: "外部的 Redis，地址在 `secrets.toml`；是否安全由 `hub doctor` 检查",
}

_REDIS_FILES = {
    RedisChoice.SERVER: "cp -a redis/appendonly* /srv/hub/redis/\n",
    RedisChoice.VALKEY: "cp -a valkey/appendonly* /srv/hub/valkey/\n",
    RedisChoice.ELSEWHERE: "",
}

_PAGE = """\
# The hub of partition {partition} / 分区 {partition} 的集线器

Made by `hub init`. Run it again at any time: it makes what is missing and changes nothing that is there.
由 `hub init` 生成。可随时再次运行：只补缺，不改动已有文件。

| | |
|---|---|
| settings / 设置 | `{directory}/hub.toml` |
| passwords / 密码 | `{directory}/secrets.toml` (0600) |
| broker / 消息代理 | mosquitto, `{directory}/broker/mosquitto.conf`, port {mqtt_port} |
| Redis | {redis} / {redis_zh} |
| time series / 时序库 | `{series}` |
| what was heard / 日志与状态 | `{directory}/data` |
| own profiles / 自有型号 | `{directory}/device_profiles`: replace those that ship, by name / 同名覆盖 |
| own rules / 自有规则 | `{directory}/rules`: the same / 同上 |
| who is told / 通知谁 | `{directory}/notify`: channels and routes / 通道与路由 |
| health / 健康 | http://127.0.0.1:{http_port}/readyz, /metrics; of `hub notify run`: port {notify_port} |

All commands below are given in this directory / 以下命令均在本目录执行：

```sh
cd {directory}
alias hub="{hub}"
```

As root too: what root makes here is given to the account that this directory belongs to.
也可用 root 执行：root 在此生成的文件会归本目录所属的账户所有。

## The first day / 第一天

With systemd (as root) / 用 systemd（root）：

```sh
install -m 644 {links} /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now {units}
hub doctor
```

Copies, not links: what the account of the hub may write must not tell root what to run.
须复制而非链接：集线器账户可写的文件，不得决定 root 运行什么。

`hub-mosquitto.service` stops the distribution's `mosquitto.service`, which listens on the same port; disable that one
(`systemctl disable mosquitto`). 它会停掉发行版自带的 mosquitto（端口相同），请将其禁用。

By hand, to try / 手工试运行：

```sh
mosquitto -c {directory}/broker/mosquitto.conf &      # not beside the distribution's: one port / 须先停止发行版自带的
{start_redis}hub run
```

Then `hub doctor`: it looks at the servers and at every setting that loses data silently, and says how to mend it.
然后运行 `hub doctor`：检查各服务器以及每一项会悄悄丢数据的设置，并给出修复办法。

## Add a site / 新增小区

```sh
hub sites add garden --en Garden --zh 花园
hub places add garden b1 --type building --zh 1号楼
hub places add garden b1-101 --type dwelling --parent b1 --zh 101室
```

A running hub takes it up within 6 seconds. 运行中的集线器 6 秒内生效。

## Add a device / 新增设备

```sh
hub profiles list                              # which models it knows / 已支持的型号
hub devices add garden smoke-1 --kind smoke_sensor --profile milesight/gs524n --place b1-101
hub devices import detectors.csv               # thousands at once, or none / 批量导入，全有或全无
hub devices pending                            # who speaks and is not registered / 未登记却在发言的设备
```

`--credentials` makes a device's secret for the broker, shown once; `hub devices rotate` and `revoke` change it, and
`hub broker plan` tells whether the broker knows. The hub keeps the files in `broker/`: what you write there is undone.
设备口令只显示一次；`broker/` 由 hub 维护，请勿手工修改。

Devices outside this machine need `tls_port` (or, by certificate, `certificate_port`) in `[broker]` of `hub.toml`, and
`names`, by which they call this machine; they trust `broker/ca.crt`. Then restart the hub, which writes the broker's
files, and after it mosquitto, which reads its ports only when it starts.
本机以外的设备：在 `hub.toml` 的 `[broker]` 中设置 `tls_port` 与 `names`（设备访问本机所用的名称或地址），并向设备提供
`broker/ca.crt`；先重启 hub（由它改写 broker 文件），再重启 mosquitto（端口只在启动时读取）。

```sh
systemctl restart hub && hub broker apply      # tls_port = 8883, names = ["hub.garden.example", "192.0.2.7"]
systemctl restart hub-mosquitto
```

## Tell people and others / 通知与转发

```yaml
# {directory}/notify/duty.yaml; addresses are secrets / 地址属机密: [notify.urls] duty = "tgram://…" in secrets.toml
channel: duty
---
route: grave
channels: duty
min_severity: high
```

```sh
hub notify check                               # escalations that nobody would be told of / 无人收到的升级
hub notify test duty                           # one message / 发送测试消息
install -m 644 {beside} /etc/systemd/system/ && systemctl daemon-reload
systemctl enable --now hub-notify              # once there are routes / 配好路由之后
systemctl enable --now hub-forward@city        # [forward.city] webhook = "https://…" in secrets.toml / 转发到外部系统
systemctl enable --now hub-city                # cards and plates across sites / 跨小区规则
```

By hand: `hub notify run`, `hub events forward city`, `hub city run`. What is new in `notify` holds within a minute.
手工运行同上；`notify` 中的改动一分钟内生效。

## Every day / 每天

```sh
hub alarms list                                # critical first / 最严重的在前
hub coverage --silent                          # dwellings without a living detector / 无有效探测器的住户
hub dead-letters list                          # what was not understood / 未能理解的消息
hub dead-letters retry --dry-run               # a profile was mended: what would be taken / 修正后可重新处理的
```

## Back up / 备份

```sh
hub backup /elsewhere/$(date +%F).tar.gz --with-secrets    # while the hub works; only you may read it / 无需停机
hub restore /elsewhere/2026-03-01.tar.gz /srv/again        # the old hub must not run on / 恢复到空目录；旧实例须停止
hub init /srv/again --yes{again:<33} # makes the broker's files and units again / 补全其余文件
```

Every night, in `/etc/cron.d/hub` (there a % is written \\%) / 每晚自动备份（其中 % 须写作 \\%）：

```
0 3 * * * root {hub} --config {directory}/hub.toml backup /elsewhere/$(date +\\%F).tar.gz --with-secrets
```

A copy of running SQLite files is none. What was measured is in it where it lies in `data` (`--no-points` leaves it
out); Redis and InfluxDB are not: events that nobody has read are backed up by nobody else. Ledgers of forwarders and of
`hub notify` are: after a restore what went out since goes out again, with the same ids.
运行中直接复制 SQLite 文件无效；备份含 `data` 中的本地时序库（`--no-points` 可省去），不含 Redis 与 InfluxDB；
含转发与通知的台账，恢复后其后的内容会以相同编号重发。

## Move to another machine / 迁移到另一台机器

Install the same version there, or a newer one. What the broker and Redis hold goes along: nothing is lost.
在新机上安装相同或更新的版本。代理与 Redis 中的内容一并带走，不丢数据。

```sh
systemctl stop 'hub-notify*' 'hub-forward@*' 'hub-city*' {units}
hub backup /elsewhere/move.tar.gz --with-secrets
hub restore /elsewhere/move.tar.gz /srv/hub    # there / 在新机上执行
cp -a broker/mosquitto.db /srv/hub/broker/     # from here to there / 从旧机复制到新机
{redis_files}```

There, where ports or names are others, edit `hub.toml` and `redis.url` in `secrets.toml`, and only then run
`hub init /srv/hub --yes`, which makes all else by them; go on as on the first day. Secrets and certificates of devices
hold, their broker has another address. Without those files (a machine that is lost) the hub goes on too: it tells
`device.broker_session_lost`, and for a minute `redis_forgot`. InfluxDB has backups of its own.
新机的端口或名称如有不同，先改 `hub.toml` 与 `secrets.toml` 中的 `redis.url`，再运行 `hub init /srv/hub --yes`，
其余同第一天。设备口令与证书继续有效，只需改代理地址。若旧机已失（没有上述文件），集线器照常继续，并会报告
`device.broker_session_lost` 与（一分钟内）`redis_forgot`。InfluxDB 须另行备份。

## Upgrade / 升级

Tables that a new version has brought up to date no older one reads: a backup is the only way back.
新版会升级数据表，旧版无法再读取：备份是唯一的退路。

```sh
hub backup /elsewhere/before.tar.gz --with-secrets
{pip} install --upgrade WHEEL         # or a directory: the new sources / 新版 wheel 文件或源码目录
hub profiles check && hub rules check          # do your own files still fit / 自有文件是否仍然适用
hub init {directory} --yes                     # makes what is new, tells what differs / 补新增文件，列出差异
                                               # units that differ: install them again / 有差异的单元须重新 install
systemctl restart hub 'hub-notify*' 'hub-forward@*' 'hub-city*'    # the rest comes after / 其间消息随后补上
hub doctor
```

## When something is wrong / 出问题时

`hub status` first: what is not well, and what to do now; http://127.0.0.1:{http_port}/readyz says the same to monitors.
Then `hub doctor`; `journalctl -u hub` tells the rest.
先运行 `hub status`：哪里不正常、现在该做什么（/readyz 供监控读取）；再运行 `hub doctor`；其余看 `journalctl -u hub`。
"""
