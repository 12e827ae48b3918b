"""Which rules of an installation, and which channels of people, ask whether China works on a day."""

from __future__ import annotations

from collections.abc import Sequence

from hub.config.settings import Settings
from hub.outward.wishes import read_wishes
from hub.revisions.files import RULE_NOUNS, rule_layers
from hub.rules.calendars import Day, Window
from hub.rules.rule import Rule
from hub.yaml_documents import load_tree, validate

_OF_CHINA = {Day.WORKDAY, Day.HOLIDAY}


def asking_for_holidays(settings: Settings) -> list[str]:
    """Return the names of rules and channels; ConfigError for files that cannot be read."""
    windows: dict[str, Sequence[Window]] = {
        name: channel.quiet or ()
        for name, channel in read_wishes(settings.notify.dir, settings.notify.urls).channels.items()
    }
    for (noun, name), document in load_tree(rule_layers(settings.rules_dir), RULE_NOUNS).items():
        if noun == "rule" and not document.body.keys().isdisjoint({"schedule", "counting"}):
            rule = validate(document, Rule)
            windows[name] = [*(rule.schedule or ()), *(rule.counting or ())]
    return sorted(name for name, each in windows.items() if any(_OF_CHINA & {*window.days} for window in each))
