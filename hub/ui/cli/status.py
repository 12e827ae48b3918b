"""``hub status``: how the running processes are, and of what is not well, what to do now."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import typer
from rich.text import Text

from hub.ui.desk.desk import EXIT_FAILED, AsJson, desk_of
from hub.ui.printing import console_of, say_json, say_table
from hub.ui.standing import Standing, standings
from hub.ui.words import visible

FIGURES: Mapping[str, tuple[str, str]] = {
    "hub_messages_heard_total": ("heard / 已接收", "messages"),
    "hub_messages_applied_total": ("applied / 已处理", "messages"),
    "hub_messages_deduplicated_total": ("sent twice / 重复", "messages"),
    "hub_messages_dead_lettered_total": ("not understood / 死信", "messages: hub dead-letters list"),
    "hub_messages_refused_total": ("refused / 已拒绝", "messages"),
    "hub_engine_lag_records": ("heard, not applied yet / 待处理", "records"),
    "hub_outbox_waiting_records": ("wait for Redis or the store / 待投递", "records"),
    "hub_points_waiting": ("wait for the store / 待写入测点", "points"),
    "hub_points_rejected_total": ("refused by the store / 时序库拒收", "points"),
    "hub_rules_failed_total": ("rules that failed / 规则出错", "times: the log says which"),
    "hub_consumer_groups_lagging": ("readers too far behind / 落后的消费组", "groups"),
    "hub_broker_messages_dropped": ("dropped by the broker / 代理丢弃", "messages since it began"),
    "hub_deliveries_waiting": ("wait to be sent / 待发送", "deliveries"),
    "hub_deliveries_dead": ("given up / 已放弃", "deliveries: `retry` sends them"),
    "hub_loop_longest_stall_seconds": ("loop stood still / 循环停顿", "s at most within the last minute"),
    "hub_journal_size_bytes": ("journal / 日志大小", "bytes"),
}
"""What is shown of a process, where it has it; all of it is in /metrics."""


def status(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Tell how the running processes are, and of what is not well, what to do now; exit 1 when one is not ready.

    It asks /readyz and /metrics of the hub, and of the notifier and forwarders that were given a port.
    """
    settings = desk_of(context).settings
    found = asyncio.run(standings(settings))
    if as_json:
        say_json([each.plain() for each in found])
    else:
        console = console_of(sys.stdout.isatty)
        for each in found:
            for line in _lines(each):
                console.print(line)
        say_table(("process", "figure / 指标", "", ""), _rows(found, settings.data_dir), empty="")
    if not all(each.ready for each in found):
        raise typer.Exit(EXIT_FAILED)


def _lines(each: Standing) -> Iterator[Text]:
    word = Text("ready / 就绪", "green") if each.ready else Text("not ready / 未就绪", "bold red")
    yield Text.assemble(f"{each.process}  {each.page}  ", word)
    for reason in each.reasons:
        partition = f" ({reason['partition']})" if "partition" in reason else ""
        yield Text(visible(f"  {reason['code']}{partition}: {reason['detail']}"), "red")
        means, now = (reason.get(name, {"en": "", "zh": ""}) for name in ("means", "now"))
        for language, so in (("en", "now"), ("zh", "处理")):
            if isinstance(means, Mapping) and isinstance(now, Mapping):
                yield Text(f"    {means[language]}\n    {so}: {now[language]}")


def _rows(found: Sequence[Standing], data_dir: Path) -> Iterator[tuple[str, ...]]:
    for each in found:
        for name, (what, unit) in FIGURES.items():
            if name in each.figures:
                figure = each.figures[name]
                yield each.process, what, f"{figure:,.{0 if figure.is_integer() else 2}f}", unit
        if each.alarms:
            told = ", ".join(f"{count} {severity}" for severity, count in each.alarms.items() if count)
            yield each.process, "alarms / 活动告警", f"{sum(each.alarms.values())}", told
    if data_dir.exists():
        free = shutil.disk_usage(data_dir)
        left, unit = room(free.free, free.total)
        yield "disk", "free / 磁盘剩余", left, f"{unit}, {data_dir}"


def room(free: int, total: int) -> tuple[str, str]:
    """Return what is left of a disk, in a unit in which it is more than nothing."""
    size, name = (2**20, "MiB") if free < 2**30 else (2**30, "GiB")
    return f"{free / size:,.1f}", f"{name} of {total / size:,.1f}"
