"""`hub codes` and `hub audit`: what leads where, masked unless asked for, and who asked."""

from __future__ import annotations

from tests.ui.office import Office

PLATE = "plate:鲁B12345"
WHOLE = ("--unmask", "--reason", "which plate it is")


def test_a_household_moves_in_is_found_by_its_plate_and_moves_out(office: Office) -> None:
    office.json("places", "add", "garden", "d1", "--type", "dwelling")
    household = office.json("codes", "new", "household")["code"]
    office.json("codes", "move-in", household, "place:garden/d1", "plate:鲁b·12345", "--at", "2026-03-01")
    found = office.json("codes", "resolve", PLATE, "--at", "2026-03-15", "--unmask", "--reason", "ticket 7")
    assert [each["code"] for each in found] == [household, "place:garden/d1"]
    assert "[reason_needed]" in office.refused("codes", "resolve", PLATE, "--unmask")
    masked = office("codes", "resolve", "place:garden/d1", "--at", "2026-03-15").out
    assert "plate:鲁B12**5" in masked
    assert household not in masked
    ended = office.json("codes", "move-out", household, "--at", "2026-04-01")
    assert [each["begins"] for each in ended["unlinked"]] == ["2026-03-01"]
    assert office.json("codes", "resolve", PLATE, "--at", "2026-04-01", "--steps", "9")[-1]["steps"] == 1
    lines = office.json("audit", "--what", "code.")
    assert [line["what"] for line in lines] == [
        "code.linked", "code.linked", "code.unmasked", "code.resolved", "code.unlinked", "code.resolved",
    ]  # fmt: skip
    assert (lines[2]["subject"], lines[2]["reason"]) == ("plate:鲁B12**5", "ticket 7")
    assert "鲁B12345" not in repr(lines)


def test_codes_are_linked_and_unlinked_one_by_one(office: Office) -> None:
    person = office.json("codes", "new", "person")["code"]
    office.json("codes", "link", person, PLATE, "--from", "2026-03-01")
    assert "are linked then already" in office.refused("codes", "link", PLATE, person)
    office.json("codes", "unlink", PLATE, person, "--at", "2026-05-01")
    assert office.json("codes", "resolve", PLATE, "--at", "2026-05-01") == []
    assert office.json("codes", "forget", person) == {"removed": 1}
    assert "is no day" in office.refused("codes", "link", person, PLATE, "--from", "soon")


def test_an_installation_has_kinds_of_its_own(office: Office) -> None:
    assert "KIND:NAME" in office.refused("codes", "link", "card:7", PLATE)
    settings = office.directory / "hub.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + 'codes.kinds.card = "word"\n', encoding="utf-8")
    office.json("codes", "link", "card:7", PLATE)
    assert [each["code"] for each in office.json("codes", "resolve", "card:7", *WHOLE)] == [PLATE]


def test_the_audit_knows_for_whom_somebody_acts(office: Office) -> None:
    office.json("--actor", "control room", "places", "add", "garden", "b1", "--type", "building")
    (line,) = office.json("audit", "--actor", "control room")
    assert (line["what"], line["subject"], line["after"]["type"]) == ("place.added", "place/garden/b1", "building")
    assert f"control room ({line['os_user']})" in office("audit").out
    assert [each["what"] for each in office.json("audit", "--since", "1h", "--limit", "1")] == ["place.added"]
    assert office.json("audit", "--what", "device") == []


def test_the_registry_tells_where_it_is_and_what_is_in_it(office: Office) -> None:
    facts = office.json("registry", "show")
    assert (facts["revision"], facts["places"], facts["audit"]) == (1, 1, 1)
    assert facts["url"].endswith("registry.sqlite")
    assert facts["version"] in office("registry", "show").out
