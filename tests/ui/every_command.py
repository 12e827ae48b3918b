"""Every command of the CLI: how it is called to see whether it shows anybody, or why it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from hub.ui.cli.main import COMMANDS
from hub.ui.desk.later import loaded
from tests.ui.gatehouse import DRIVER, LANE
from tests.ui.installation import GATE, SITE

if TYPE_CHECKING:
    from typer._click import Command

ONCE = ("",)
CALLED: Mapping[str, Sequence[str]] = {
    "events list": ONCE,
    "alarms list": ONCE,
    "alarms show": ONCE,
    "trace": ("access.passage", "access.card_told", "access.card_known"),
    "dead-letters list": ONCE,
    "dead-letters show": (LANE,),
    "telemetry query": (f"plate_reader {LANE}", f"event {GATE}"),
    "commands list": ONCE,
    "commands show": ONCE,
    "twin show": (f"{SITE}/{LANE}",),
    "notify list": ONCE,
    "test list": ONCE,
    "drill list": ONCE,
    "coverage": ONCE,
    "sites list": ONCE,
    "divisions list": ONCE,
    "places list": ONCE,
    "places show": (f"{SITE} b1",),
    "places export": ONCE,
    "devices list": ONCE,
    "devices export": ONCE,
    "devices pending": ONCE,
    "devices over-quota": ONCE,
    "sources list": ONCE,
    "profiles list": ONCE,
    "profiles replay": ONCE,
    "rules list": ONCE,
    "rules sentence": ("card-known plate-watched",),
    "rules explain": ("alarm", f"card-known --device {SITE}/{GATE}"),
    "rules stats": ONCE,
    "rules replay": ONCE,
    "lists show": ONCE,
    "codes resolve": (DRIVER,),
    "scenes list": ONCE,
    "scenes show": (f"vehicles --site {SITE}",),
    "scenes check": (f"vehicles --site {SITE}",),
    "params show": ("", f"plate-watched --device {SITE}/{LANE}"),
    "registry show": ONCE,
    "audit": ONCE,
    "config show": ONCE,
    "journal show": ("--last 500",),
    "city list": ONCE,
    "city status": ONCE,
}
"""Those that show what the hub heard or keeps, with the words of each call; ``Gatehouse.words`` adds what they need."""

SLOW = frozenset({"rules replay", "rules list", "profiles replay", "profiles list", "devices pending", "scenes check"})
"""Those that read every rule, or do everything again: they are called as programs call them only, for time's sake."""

_ANSWERS = "it changes something, and answers with no more than whoever calls it said"
_MAKES = "it makes an installation or plays one, with servers of its own"
_FILE = "it writes a file for the one who asks; the audit tells of it"
_SECRET = "it shows or makes secrets of devices; the audit tells of it"
_OWN = "it tells of files or payloads of the one who asks"
_ASKED = "tests/ui/test_unmasking.py calls it by a test of its own"

NOT_CALLED: Mapping[str, str] = {
    **dict.fromkeys(("init", "run", "demo", "restore", "sim load", "sim devices", "sim scenario", "city run"), _MAKES),
    **dict.fromkeys(("backup", "record", "alarms dossier", "alarms seal"), _FILE),
    **dict.fromkeys(("devices export-credentials", "devices rotate", "sources rotate"), _SECRET),
    **dict.fromkeys(("events tail", "profiles new", "rules plan"), _ASKED),
    "events forward": "it runs until it is stopped; tests/ui/test_forward_cli.py receives what leaves the house",
    **dict.fromkeys(
        ("events deliveries list", "notify ledger"), "it lists ids, and what receivers answered to what had left masked"
    ),
    "drill fire": "it plays a fire with doubles of detectors, and reports on nothing else",
    "notify run": "it runs until it is stopped; tests/ui/test_notify_cli.py receives what leaves the house",
    **dict.fromkeys(
        (
            "profiles decode", "profiles guess", "profiles show", "profiles check", "profiles test", "profiles schema",
            "alarms verify",
            "events schema",
            "rules check", "rules test", "notify check", "city check", "city test", "sources directory",
        ),
        _OWN,
    ),
    **dict.fromkeys(("doctor", "broker plan"), "it looks at servers and at who may connect, not at what was said"),
    "status": "it tells how processes are and counts, and of no message what it said",
    **dict.fromkeys(
        (
            "alarms ack", "alarms clear", "alarms comment", "alarms shelve", "commands send", "commands confirm",
            "commands cancel", "twin set", "twin unset", "events deliveries retry",
            "events deliveries drop", "notify test", "notify retry", "notify drop", "dead-letters retry",
            "test start", "test end", "drill start", "drill end", "sites add", "sites locate", "sites code",
            "sites remove", "divisions set", "places add", "places import", "places locate", "places set-fact",
            "places clear-fact", "devices add", "devices import",
            "devices adopt", "devices enable", "devices disable", "devices retire",
            "devices remove", "devices revoke", "broker apply", "broker kick", "sources add", "sources remove",
            "sources revoke",
            "rules apply", "lists add", "lists remove", "lists import", "lists tidy", "codes new", "codes link",
            "codes unlink", "codes move-in", "codes move-out", "codes forget", "params set", "params unset",
            "scenes enable", "scenes disable",
            "registry load", "journal repair", "journal adopt",
        ),
        _ANSWERS,
    ),
}  # fmt: skip
"""Those that are not called, and why."""


@cache
def commands() -> Mapping[str, Sequence[str]]:
    """Return every command by its words, with the names of its options and arguments."""
    found: dict[str, Sequence[str]] = {}
    for name, does in COMMANDS.items():
        found |= dict(_below((name,), loaded(name, does, f"hub.ui.cli.{name.replace('-', '_')}")))
    return found


def _below(words: Sequence[str], command: Command) -> Iterator[tuple[str, Sequence[str]]]:
    subcommands: Mapping[str, Command] = getattr(command, "commands", {})
    for name, each in subcommands.items():
        yield from _below((*words, name), each)
    if not subcommands:
        yield " ".join(words), [str(parameter.name) for parameter in command.params]
