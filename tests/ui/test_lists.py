"""`hub lists` and `hub params`: what people type, what is kept, and what is refused with a hint."""

from __future__ import annotations

import pytest

from tests.ui.office import Office

WHOLE = ("--unmask", "--reason", "what was kept")


def test_a_plate_is_kept_as_readers_report_it(office: Office) -> None:
    office.json("lists", "add", "block", "浙b·12345", "card-7")
    assert [entry["value"] for entry in office.json("lists", "show", "block", *WHOLE)] == ["card-7", "浙B12345"]


def test_a_visitor_is_let_in_for_a_time_at_one_site(office: Office) -> None:
    office.json(
        "lists", "add", "visitor", "card-7", "--site", "garden", "--from", "2026-03-01", "--until", "2026-03-02"
    )
    (entry,) = office.json("lists", "show")
    assert (entry["site"], entry["valid"]) == ("garden", "2026-03-01/2026-03-02")


def test_a_pass_for_two_hours_ends_at_a_moment(office: Office) -> None:
    (entry,) = office.json("lists", "add", "visitor", "card-7", "--for", "2h")
    assert entry["valid"].startswith("/20")
    assert entry["valid"].endswith("+00:00")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "block", "x", "--from", "soon"), "validity_invalid"),
        (("add", "block", "x", "--from", "2026-03-02", "--until", "2026-03-01"), "validity_empty"),
        (("add", "block", "x", "--for", "2h", "--until", "2026-03-01"), "option_invalid"),
        (("add", "block", "x", "--site", "moon"), "entry_invalid"),
        (("add", "block", "x", "--site", "garden", "--place", "moon"), "entry_invalid"),
        (("add", "block", "x", "--place", "garden"), "entry_invalid"),
        (("add", "visitor", "x"), "entry_invalid"),
        (("add", "temporary", "x", "--from", "2026-03-01"), "entry_invalid"),
        (("remove", "block", "x"), "entry_unknown"),
    ],
)
def test_what_cannot_stand_on_a_list_is_refused(office: Office, words: tuple[str, ...], code: str) -> None:
    assert f"[{code}]" in office.refused("lists", *words)
    assert office.json("lists", "show") == []


def test_what_stands_on_lists_is_shown_masked_and_whole_to_whom_the_audit_knows(office: Office) -> None:
    office.json("lists", "add", "block", "浙B12345", "--note", "Mr Li")
    for words in ((), ("--json",)):
        said = office("lists", "show", *words).out
        assert "浙B12**5" in said
        assert "浙B12345" not in said
        assert "Li" not in said
    assert [line["what"] for line in office.json("audit", "--what", "list.")] == ["list.added"]
    assert "[reason_needed]" in office.refused("lists", "show", "block", "--unmask")
    (entry,) = office.json("lists", "show", "block", "--unmask", "--reason", "ticket 9")
    assert (entry["value"], entry["note"]) == ("浙B12345", "Mr Li")
    line = office.json("audit", "--what", "list.")[-1]
    assert (line["what"], line["subject"], line["reason"]) == ("list.unmasked", "list/*/block", "ticket 9")


def test_a_pass_may_count_at_two_places_and_is_taken_off_at_each(office: Office) -> None:
    for building in ("b1", "b2"):
        office.json("places", "add", "garden", building, "--type", "building")
        office.json("lists", "add", "visitor", "card-7", "--site", "garden", "--place", building, "--for", "2h")
    assert [entry["place"] for entry in office.json("lists", "show")] == ["b1", "b2"]
    office.json("lists", "remove", "visitor", "card-7", "--site", "garden", "--place", "b1")
    assert "garden/b2" in office("lists", "show").out
    assert "of garden/b1" in office.refused("lists", "remove", "visitor", "card-7", "--site", "garden", "--place", "b1")


def test_visits_of_long_ago_are_tidied_away(office: Office) -> None:
    office.json("lists", "add", "visitor", "old", "--site", "garden", "--until", "2026-01-01")
    office.json("lists", "add", "visitor", "new", "--for", "2h")
    office.json("lists", "add", "block", "always")
    assert office.json("lists", "tidy") == {"removed": 1}
    assert [entry["value"] for entry in office.json("lists", "show", *WHOLE)] == ["always", "new"]
    assert office.json("audit", "--what", "list.removed")[0]["before"]["valid"] == "/2026-01-01"


def test_what_is_taken_off_is_named_as_it_was_typed(office: Office) -> None:
    office.json("lists", "add", "block", "浙B12345")
    office.json("lists", "remove", "block", "浙b 12345")
    assert office.json("lists", "show") == []


def test_a_file_of_entries_is_imported_whole(office: Office) -> None:
    file = office.file("passes.csv", "value,from,until,note\n浙B·12345,2026-03-01,,the Lis\ncard-7,,,\n")
    assert office.json("lists", "import", file, "--list", "allow") == {"entries": 2}
    shown = office.json("lists", "show", "allow", *WHOLE)
    assert [(entry["value"], entry["valid"], entry["note"]) for entry in shown] == [
        ("card-7", "", ""),
        ("浙B12345", "2026-03-01/", "the Lis"),
    ]


def test_every_mistake_in_a_file_of_entries_is_told_with_its_line(office: Office) -> None:
    file = office.file("passes.csv", "value,from,site\nfine,,\nsoon,soon,\nfar,,moon\nfine,,\n")
    said = office.refused("lists", "import", file, "--list", "allow")
    assert [line.partition("passes.csv:")[2].partition(":")[0] for line in said.splitlines()[:-1]] == [
        "2",
        "3",
        "4",
        "5",
    ]
    assert office.json("lists", "show") == []


# ---------------------------------------------------------------------------------------------------------- params


@pytest.fixture
def sensor(office: Office) -> str:
    office.json("places", "add", "garden", "b1", "--type", "building")
    office.json("places", "add", "garden", "d1", "--type", "dwelling", "--parent", "b1")
    office.json("devices", "add", "garden", "smoke-1", "--kind", "smoke_sensor", "--place", "d1")
    return "garden/smoke-1"


def test_what_holds_for_a_device_is_shown_with_who_said_so(office: Office, sensor: str) -> None:
    def shown() -> tuple[object, object]:
        (found,) = office.json("params", "show", "hot-kitchen", "--device", sensor)
        return found["value"], found["origin"]

    assert shown() == (60, "rule")
    for value, scope, origin in (
        ("70", ("--site", "garden"), "site"),
        ("71", ("--place", "garden/b1"), "place:b1"),
        ("72", ("--place", "garden/d1"), "place:d1"),
        ("73", ("--device", sensor), "device:smoke-1"),
    ):
        office.json("params", "set", "hot-kitchen", f"limit={value}", *scope)
        assert shown() == (int(value), origin)
    office.json("params", "unset", "hot-kitchen", "--device", sensor)
    assert shown() == (72, "place:d1")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("set", "hot-kitchn", "limit=1", "--site", "garden"), "rule_unknown"),
        (("set", "hot-kitchen", "limt=1", "--site", "garden"), "param_unknown"),
        (("set", "hot-kitchen", "limit=warm", "--site", "garden"), "param_invalid"),
        (("set", "hot-kitchen", "limit=1"), "option_invalid"),
        (("set", "hot-kitchen", "limit=1", "--device", "smoke-1"), "option_invalid"),
        (("set", "hot-kitchen", "limit=1", "--place", "garden/moon"), "params_invalid"),
        (("unset", "hot-kitchen", "--site", "garden"), "params_unset"),
        (("show", "hot-kitchen", "--device", "garden/moon"), "device_unknown"),
    ],
)
def test_parameters_that_could_not_work_are_refused(office: Office, words: tuple[str, ...], code: str) -> None:
    assert f"[{code}]" in office.refused("params", *words)
    assert office.json("params", "show") == []
