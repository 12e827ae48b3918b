"""Which steps of escalations nobody is told of: by role, domain, severity and place of the routes that there are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from hub.model.values import Severity
from hub.outward.untold import Untold, untold
from hub.outward.wishes import read_wishes
from hub.rules.rule import Rule

TRAPPED = Rule.model_validate(
    {
        "rule": "trapped",
        "for_each": {"kind": "elevator"},
        "when": "trapped",
        "raise": {"event": "elevator.entrapment", "severity": "high"},
        "label": {"en": "Trapped", "zh": "困人"},
        "ladder": [{"severity": "critical", "after": timedelta(minutes=20)}],
        "clear": {"by": "operator"},
        "escalate": [
            {"after": timedelta(minutes=10), "to": "property_lead"},
            {"after": timedelta(minutes=30), "to": "own_brigade"},
        ],
    }
)


def steps(directory: Path, *routes: str, address: str = "json://desk") -> list[Untold]:
    text = "\n---\n".join(["channel: duty", *(f"route: r{i}\nchannels: duty\n{each}" for i, each in enumerate(routes))])
    (directory / "notify.yaml").write_text(text, encoding="utf-8")
    return list(untold([TRAPPED], read_wishes(directory, {"duty": SecretStr(address)} if address else {})))


def test_each_step_is_told_of_with_its_role_and_what_to_do(tmp_path: Path) -> None:
    first, second = steps(tmp_path, "min_severity: low")  # a route for what is usual is none for escalations
    assert (first.rule, first.step, first.after, first.role) == ("trapped", 1, timedelta(minutes=10), "property_lead")
    assert first.names == {"en": "head of the property management", "zh": "物业负责人"}
    assert first.hint == "a route with to: [property_lead] and min_severity: high, to a channel with an address"
    assert (second.names["zh"], second.severity) == ("own_brigade", Severity.CRITICAL)


@pytest.mark.parametrize(
    ("route", "roles"),
    [
        ("to: property_lead", ["own_brigade"]),
        ("to: [property_lead, own_brigade]", []),
        ("transitions: escalated", []),
        ("to: property_lead\ntransitions: raised", ["property_lead", "own_brigade"]),
        ("to: [property_lead, own_brigade]\ndomains: fire", ["property_lead", "own_brigade"]),
        ("to: [property_lead, own_brigade]\ndomains: [fire, elevator]", []),
        # By then it is critical.
        ("to: [property_lead, own_brigade]\nmin_severity: critical", ["property_lead"]),
    ],
)
def test_a_route_counts_when_it_would_be_taken(route: str, roles: list[str], tmp_path: Path) -> None:
    assert [each.role for each in steps(tmp_path, route)] == roles


def test_what_is_told_in_some_places_only_says_where(tmp_path: Path) -> None:
    here, there = "to: property_lead\nplaces: garden/b1", "to: property_lead\nplaces: [meadow]"
    first, second = steps(tmp_path, here, there)
    assert (first.places, second.places) == (("garden/b1", "meadow"), ())
    assert [each.role for each in steps(tmp_path, here, "to: property_lead")] == ["own_brigade"]


def test_a_route_to_a_channel_without_an_address_tells_nobody(tmp_path: Path) -> None:
    route = "to: [property_lead, own_brigade]"
    assert steps(tmp_path, route) == []
    assert [each.role for each in steps(tmp_path, route, address="")] == ["property_lead", "own_brigade"]
