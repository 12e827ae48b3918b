"""The entry of the command line: global options, logging, and what an error tells the one who typed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from hub import __version__
from hub.errors import ConfigError, HubError, PoisonError, UnavailableError, ours
from hub.ui.desk.desk import EXIT_FAILED, Desk
from hub.ui.desk.later import later
from hub.ui.process.logs import LogLevel, configure_logging

EXIT_CONFIG, EXIT_INTERRUPTED = 2, 130

# What a person can do about a server that is not there; the error itself says which one and why.
ADVICE = {
    "redis_unreachable": "is Redis (or Valkey) running, and is redis.url right? `hub config show` tells; where it has "
    "redis.child_dir, `hub run` keeps it running: is that? `hub status`",
    "redis_login_refused": "the password in redis.url is not the server's",
    "control_unanswered": "is the hub of this partition running? `hub status` tells what holds it up",
    "broker_files_held": "is that a command that was stopped (Ctrl-Z)? `fg` lets it go on, `kill -9` ends it",
    "broker_not_reloaded": "is it the mosquitto whose files the hub keeps? its log tells what it did not like",
    "disk_full": "make room on the disk of data_dir; what was said is not done",
    "registry_unavailable": "is the registry's database running, and is registry.url right?",
    "store_unavailable": "is the time series store running, and is timeseries.url right?",
}


COMMANDS = {
    "init": "Make an installation in DIR: settings, passwords, broker, Redis, systemd units, a README.",
    "run": "Hear, journal, judge and deliver until SIGTERM or Ctrl-C.",
    "demo": "Run a whole community on this machine: servers, hub, devices, an operator; then close the books.",
    "events": "Events that rules raised.",
    "notify": "Messages to people: through which service, about what, when; and what became of each.",
    "alarms": "Active alarms: who saw them, who put them away, why they are there.",
    "trace": "Prove an event: what was heard, which bytes became which values, what the rule saw, what came of it.",
    "dead-letters": "Messages that will never work, with their bytes.",
    "telemetry": "Telemetry: what was measured.",
    "commands": "Commands to devices.",
    "twin": "Twins: what devices report, and what is desired of them.",
    "test": "Tests: what devices under test report is marked, sends nothing, and is no witness.",
    "drill": "Drills: the whole chain, marked; its commands are told, and leave only if you say so.",
    "coverage": "Tell in how many dwellings a detector is alive, by building and community.",
    "sites": "Sites: the communities of the registry.",
    "divisions": "Divisions: what cities and streets are called, by their standard codes.",
    "places": "Places: buildings, floors, dwellings, elevators, fire zones.",
    "devices": "Devices: add, import, adopt what is pending.",
    "broker": "The broker: plan and apply who may connect, to which topics.",
    "sources": "Foreign networks: ChirpStack, Zigbee2MQTT, uhppoted, topics of your own.",
    "profiles": "Device profiles: check, test, decode, guess, write a new one.",
    "rules": "Rules: as sentences, their tests, replay, plan and apply.",
    "scenes": "Scenes: packs of rules that a site switches on and off; what each needs there.",
    "lists": "Lists of plates, cards and people that rules read: plate in list('block').",
    "codes": "The five codes: which person, household, vehicle, device and place belong together.",
    "params": "Parameters of rules: for a profile, a site, a place and what is below it, a device.",
    "registry": "The registry's database: which version it has, what is in it.",
    "audit": "Who changed what, and who looked at what is secret or personal.",
    "status": "Tell how the running processes are, and of what is not well, what to do now.",
    "doctor": "Look for whatever loses data without a word, in servers, machine and files; say how it is mended.",
    "backup": "Save registry, journals, states, ledgers, history and settings in one file, while the hub works.",
    "restore": "Make an installation out of a backup.",
    "config": "Settings, and where each comes from.",
    "journal": "What was heard, and what to do when its file is damaged or lost.",
    "city": "What crosses sites: one card or plate in two places.",
    "sim": "Simulated devices: load for a broker and a hub.",
    "record": "Record what devices say, beside a running hub or without one.",
}
"""What each command does, in the order of its list; ``hub.ui.cli.alarms`` holds ``alarms``, when it is called."""

app = typer.Typer(
    cls=later({name: (does, f"hub.ui.cli.{name.replace('-', '_')}") for name, does in COMMANDS.items()}),
    name="hub",
    help="Ingests what the devices of residential communities say, judges it, and acts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _options(
    context: typer.Context,
    config_file: Annotated[Path | None, typer.Option("--config", help="Settings; else HUB_CONFIG or hub.toml.")] = None,
    log_level: Annotated[LogLevel, typer.Option(help="What is logged to standard error.")] = LogLevel.INFO,
    actor: Annotated[str, typer.Option(help="For whom you act; the audit also keeps who you are.")] = "",
    partition: Annotated[str, typer.Option(help="Which one, where a machine runs several and no site tells.")] = "",
) -> None:
    words = [*(() if config_file is None else ("--config", str(config_file))), "--log-level", log_level.value]
    context.obj = desk = Desk(config_file, actor, partition, words)
    context.call_on_close(desk.leave)
    configure_logging(log_level, sys.stderr)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the CLI and leave: 0 done, 1 not now (or it did not add up), 2 somebody must mend something, 130 Ctrl-C.

    Where a terminal has no letter for something (LANG=en_US, zh_CN.GBK) its number is shown, as on standard error.
    """
    _open_standard_files()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _check_text(words)
        app(args=words, prog_name="hub")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except (HubError, BaseExceptionGroup) as raised:
        error = next(ours(raised), None)
        if error is None:
            raise
        sys.exit(explain(error))
    except OSError as error:  # standard output on a full disk, a file that nobody may write
        sys.exit(explain(UnavailableError("file_failed", str(error))))


def _open_standard_files() -> None:
    """Let what is closed (``>&-``) be nothing at all: else the next file that is opened would be standard output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _check_text(words: Sequence[str]) -> None:
    """ConfigError for a word that is no text (a name in GBK where UTF-8 is spoken): no database takes it.

    A file may be called so.
    """
    for word in words:
        if not word.isascii() and word.encode(errors="replace").decode() != word and not os.path.exists(word):  # noqa: PTH110 -- Path raises for a long one
            raise ConfigError("word_invalid", f"{word!r} is no UTF-8", hint="set LANG to what the terminal speaks")


def explain(error: HubError) -> int:
    """Tell what was wrong and what to do on standard error; return the exit code."""
    typer.echo(f"hub: {error}", err=True)
    if isinstance(error, UnavailableError):
        typer.echo(f"  {ADVICE.get(error.code, 'it may work later: try again')}", err=True)
    return EXIT_CONFIG if isinstance(error, (ConfigError, PoisonError)) else EXIT_FAILED


if __name__ == "__main__":
    main()
