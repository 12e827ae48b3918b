"""``hub broker``: who may connect, as the registry says and as the broker has it; and the difference mended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict

import typer

from hub.errors import ConfigError
from hub.keeping import Keeper, keeper_of
from hub.registry.brokers.broker import Drift
from hub.registry.registry import Registry
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of
from hub.ui.printing import say_json, say_table

app = typer.Typer()
SHOWN = 20
RESTART = "mosquitto must be restarted: it reads its listeners only when it starts / 须重启 mosquitto 才能生效"


@app.command()
def plan(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show how the broker differs from the registry, and change nothing; exit code 1 when it differs."""
    drift = asyncio.run(_with_keeper(desk_of(context), Keeper.drift))
    tell(drift, as_json=as_json)
    if drift:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def apply(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Mend what `hub broker plan` shows: write the files whole, have them read, cut off who was revoked."""
    tell(asyncio.run(_with_keeper(desk_of(context), Keeper.apply)), as_json=as_json)


@app.command()
def kick(context: typer.Context, users: list[str]) -> None:
    """Cut users off; they may come again. `hub devices revoke` keeps them out."""
    asyncio.run(_with_keeper(desk_of(context), lambda keeper: keeper.broker.kick(users)))


def tell(drift: Drift, *, as_json: bool) -> None:
    """Say what differs."""
    if as_json:
        say_json({**asdict(drift), "differs": bool(drift)})
        return
    say_table(
        ("what / 差异", "how many", "which"),
        (
            (what, str(len(names)), ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else ""))
            for what, names in (
                ("to add / 新增", drift.added),
                ("to rotate / 轮换", drift.rotated),
                ("other topics / 主题变更", drift.regranted),
                ("to revoke / 吊销", drift.revoked),
                ("certificates to revoke or take back / 证书吊销列表", drift.certificates),
                ("files / 文件", drift.files),
                ("works with older files / 未重新加载", ("mosquitto",) if drift.is_stale else ()),
            )
            if names
        ),
        empty="the broker is as the registry says / 消息代理与登记一致",
    )
    if drift.needs_restart:
        typer.echo(RESTART, err=True)


async def bring_in_step(desk: Desk, registry: Registry) -> None:
    """Tell the broker at once what has just changed, where the hub keeps it; else nothing happens."""
    keeper = keeper_of(desk.settings, registry, desk.clock)
    if keeper is not None:
        await keeper.apply()


async def _with_keeper(desk: Desk, work: Callable[[Keeper], Awaitable[Drift | None]]) -> Drift:
    async with desk.registry() as registry:
        keeper = keeper_of(desk.settings, registry, desk.clock)
        if keeper is None:
            hint = 'broker.keeper = "mosquitto" in hub.toml lets the hub keep its files'
            raise ConfigError("broker_not_kept", "nobody keeps the broker's files here", hint=hint)
        return await work(keeper) or Drift()
