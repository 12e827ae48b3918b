"""`import` and `export` of devices and places: all or nothing, every mistake with its line, and there and back."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hub.model.values import PlaceType
from hub.registry.many import ROWS_A_TIME, put_devices, put_places
from hub.registry.nouns import Device, Place, Site
from hub.registry.registry import Registry
from hub.ui.progress import stages
from tests.registry.conftest import sqlite_url
from tests.ui.office import Office

OUTLINE = {"type": "Polygon", "coordinates": [[[120.0, 36.0], [120.1, 36.0], [120.1, 36.1], [120.0, 36.0]]]}
HEAD = "site,serial,kind,profile,place\n"


def sensors(numbers: range) -> str:
    return HEAD + "".join(f"garden,SN-{n},smoke_sensor,milesight/gs524n,\n" for n in numbers)


def lines_of(said: str, name: str) -> list[int]:
    """Return the lines that mistakes were told of."""
    return [int(line.partition(f"{name}:")[2].partition(":")[0]) for line in said.splitlines()[:-1]]


def test_a_file_of_all_households_is_imported_and_again_changes_nothing(office: Office) -> None:
    file = office.file("sensors.csv", sensors(range(8_066)))
    assert office.json("devices", "import", file) == {"added": 8_066, "changed": 0, "unchanged": 0}
    assert office.json("devices", "import", file) == {"added": 0, "changed": 0, "unchanged": 8_066}


def test_every_mistake_is_told_at_once_and_nothing_is_imported(office: Office) -> None:
    text = HEAD + (
        "garden,SN-1,smoke_sensor,milesight/gs524n,\n"
        "garden,SN-2,smoke_sensr,,\n"
        "garden,SN-3,smoke_sensor,nobody/x,\n"
        "garden,SN-4,smoke_sensor,,moon\n"
        "moon,SN-5,smoke_sensor,,\n"
        "garden,SN-1,smoke_sensor,,\n"
        "garden,8.61E+14,smoke_sensor,,\n"
        "garden,SN-9,smoke_sensor,,,,\n"
    )
    said = office.refused("devices", "import", office.file("sensors.csv", text))
    assert sorted(set(lines_of(said, "sensors.csv"))) == [3, 4, 5, 6, 7, 8, 9]
    assert "there is no" not in said
    assert office.json("devices", "list") == []


def test_a_column_that_nobody_knows_is_told_once_and_not_with_each_row(office: Office) -> None:
    rows = "".join(f"garden,s-{n},smoke_sensor\n" for n in range(40))
    said = office.refused("devices", "import", office.file("forty.csv", f"site,device,kind\n{rows}"))
    assert lines_of(said, "forty.csv") == [1]
    assert "there is no column 'device'" in said
    assert "known: gateway, id" in said


def test_mistakes_are_a_document_for_programs(office: Office) -> None:
    said = office("devices", "import", office.file("s.csv", HEAD + "garden,SN-1,smoke_sensor,,moon\n"), "--json")
    (mistake,) = said.document()["mistakes"]
    assert (said.code, mistake["line"]) == (2, 2)
    assert "'moon'" in mistake["message"]


@pytest.mark.parametrize(
    ("name", "text", "line", "complaint"),
    [
        ("a.csv", "site,seriall\ngarden,x\n", 1, "did you mean serial?"),
        ("a.csv", "", 1, "there are no rows"),
        ("a.csv", 'site,serial,kind,params\ngarden,x,smoke_sensor,"{""a"": [1]}"\n', 2, "plain values"),
        ("a.csv", 'site,serial,kind,params\ngarden,x,smoke_sensor,"{""a"": NaN}"\n', 2, "no JSON object"),
        ("a.csv", 'site,serial,kind,params\ngarden,x,smoke_sensor,"{""a"": 1e999}"\n', 2, "no JSON object"),
        ("a.json", '[{"site": "garden", "id": "a", "kind": "smoke_sensor", "params": {"a": NaN}}]', 1, "no JSON"),
        ("a.csv", "site,serial,kind,state\ngarden,x,smoke_sensor,broken\n", 2, "active, disabled"),
        ("a.json", '[\n {"site": "garden", "id": "a", "kind": "smoke_sensor"},\n 7]', 3, "a row is an object"),
        ("a.json", '[\n {"site": "garden", "id": "a", "kind": "smoke_sensor"},\n {"site":]', 3, "no JSON"),
        ("a.json", '{"site": "garden", "id": 7, "kind": "smoke_sensor"}', 1, "put it in quotes"),
    ],
)
def test_a_file_that_is_none_is_refused_where_it_is_wrong(
    office: Office, name: str, text: str, line: int, complaint: str
) -> None:
    said = office.refused("devices", "import", office.file(name, text))
    assert line in lines_of(said, name)
    assert complaint in said
    assert office.json("devices", "list") == []


def test_a_serial_number_finds_its_device_again_under_another_name(office: Office) -> None:
    office.json("devices", "add", "garden", "kitchen", "--kind", "smoke_sensor", "--serial", "SN-1")
    text = "site,serial,profile\ngarden,SN-1,milesight/gs524n\n"
    assert office.json("devices", "import", office.file("s.csv", text))["changed"] == 1
    (device,) = office.json("devices", "list")
    assert (device["id"], device["kind"], device["profile"]) == ("kitchen", "smoke_sensor", "milesight/gs524n")


def test_a_serial_number_does_not_become_a_second_device(office: Office) -> None:
    office.json("devices", "add", "garden", "kitchen", "--kind", "smoke_sensor", "--serial", "SN-1")
    text = "site,id,serial,kind\ngarden,hall,SN-1,smoke_sensor\n"
    assert "of another device" in office.refused("devices", "import", office.file("s.csv", text))
    assert [device["id"] for device in office.json("devices", "list")] == ["kitchen"]


def test_two_devices_may_swap_their_serial_numbers(office: Office) -> None:
    head = "site,id,serial,kind\n"
    office.json("devices", "import", office.file("a.csv", head + "garden,a,1,smoke_sensor\ngarden,b,2,smoke_sensor\n"))
    swapped = office.file("b.csv", head + "garden,a,2,smoke_sensor\ngarden,b,1,smoke_sensor\n")
    assert office.json("devices", "import", swapped)["changed"] == 2
    assert [device["serial"] for device in office.json("devices", "list")] == ["2", "1"]


def test_what_a_chinese_spreadsheet_saves_is_read(office: Office) -> None:
    text = "site,id,type,zh\ngarden,b1,building,一号楼\n"
    office.json("places", "import", office.file("places.csv", text, encoding="gbk"))
    assert [place["label"] for place in office.json("places", "list")] == [{"zh": "一号楼"}]


def test_what_a_spreadsheet_saves_for_an_old_macintosh_is_read(office: Office) -> None:
    (office.directory / "mac.csv").write_bytes("site,id,type,zh\rgarden,b1,building,一号楼\r".encode())
    assert office.json("places", "import", str(office.directory / "mac.csv"))["added"] == 1


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ("longitude\ngarden,b1,building,east", "longitude is 'east', which is no number"),
        ("floors\ngarden,b1,building,1.5", "floors is '1.5', which is no whole number"),
        ("footprint\ngarden,b1,building,oval", "footprint is no JSON"),
        ("latitude\ngarden,b1,building,36", "one of longitude and latitude"),
        ("code\ngarden,b1,building,b-1", "has the code 'b-1'"),
    ],
)
def test_where_a_place_is_said_to_be_is_checked_with_its_line(office: Office, cells: str, complaint: str) -> None:
    said = office.refused("places", "import", office.file("p.csv", f"site,id,type,{cells}\n"))
    assert lines_of(said, "p.csv") == [2]
    assert complaint in said
    assert office.json("places", "list") == []


@pytest.mark.parametrize("is_json", [False, True])
def test_what_was_exported_comes_in_again_as_it_was(office: Office, is_json: bool) -> None:  # noqa: FBT001 -- a case
    office.json("sources", "add", "lora", "--network", "chirpstack", "--param", "application=17c82e96")
    office.json("places", "add", "garden", "b1", "--type", "building", "--zh", "一号楼, 东")
    office.json("places", "set-fact", "garden", "b1", "away", "--until", "2026-03-01")
    words = ("--kind", "smoke_sensor", "--source", "lora", "--network-id", "24E124535B316056", "--place", "b1")
    office.json("devices", "add", "garden", "a", *words)
    office.json("devices", "add", "garden", "b", "--kind", "elevator", "--param", "x=2", "--serial", "00012")
    office.json(
        "devices", "add", "garden", "c", "--kind", "elevator", "--gateway", "b", "--tag", "east", "--tag", "二期"
    )
    office.json("devices", "disable", "garden", "c")
    outline = office.file("b1.geojson", json.dumps(OUTLINE))
    where = ("--longitude", "120.5", "--latitude", "36.25", "--floors", "18", "--footprint", outline)
    office.json("places", "locate", "garden", "b1", "--code", "3702810010010001", *where)
    before = office.json("places", "list"), office.json("devices", "list")
    for noun in ("places", "devices"):
        out = office(noun, "export", *(["--json"] if is_json else [])).out
        file = office.file(f"{noun}.{'json' if is_json else 'csv'}", out)
        assert office.json(noun, "import", file) == {
            "added": 0,
            "changed": 0,
            "unchanged": len(before[noun == "devices"]),
        }
    assert (office.json("places", "list"), office.json("devices", "list")) == before
    (office.directory / "data" / "registry.sqlite").unlink()  # and somewhere else
    (office.directory / "data" / "registry.end").unlink()
    office.json("sites", "add", "garden")
    office.json("sources", "add", "lora", "--network", "chirpstack", "--param", "application=17c82e96")
    for noun in ("places", "devices"):
        file = str(office.directory / f"{noun}.{'json' if is_json else 'csv'}")
        assert office.json(noun, "import", file)["added"] == len(before[noun == "devices"])
    assert (office.json("places", "list"), office.json("devices", "list")) == before


def test_with_what_it_exports_no_spreadsheet_computes_and_it_comes_in_again_as_it_was(office: Office) -> None:
    names = ["=HYPERLINK(A1)", "+86 532", "-5F", "@SUM(A1)", "'=1", "O'Hara"]
    for number, name in enumerate(names):
        office.json("places", "add", "garden", f"b{number}", "--type", "building", f"--zh={name}")
    before, out = office.json("places", "list"), office("places", "export").out
    shown = [row["zh"] for row in csv.DictReader(io.StringIO(out))]
    assert shown == ["'=HYPERLINK(A1)", "'+86 532", "'-5F", "'@SUM(A1)", "''=1", "O'Hara"]
    assert office.json("places", "import", office.file("places.csv", out))["unchanged"] == len(names)
    assert office.json("places", "list") == before


def test_what_was_exported_makes_the_same_registry_elsewhere(office: Office) -> None:
    office.json("places", "add", "garden", "b1", "--type", "building", "--en", "One")
    office.json("places", "add", "garden", "a0", "--type", "dwelling", "--parent", "b1")
    exported = office.json("places", "export")
    moved = json.dumps([{**place, "site": "meadow"} for place in exported])
    office.json("sites", "add", "meadow")
    assert office.json("places", "import", office.file("p.json", moved))["added"] == 2  # a0 comes before its parent
    found = office.json("places", "list", "--site", "meadow")
    assert [(place["id"], place["parent"], place["label"]) for place in found] == [
        ("a0", "b1", {}),
        ("b1", "", {"en": "One"}),
    ]


@pytest.mark.parametrize("said", ["perhaps", "2026-03-01/9999-12-31", "2026-12-24/2026-01-02"])
def test_a_fact_that_is_no_answer_to_a_rule_is_told_with_its_line(office: Office, said: str) -> None:
    rows = f"""garden,d1,dwelling,"{{""away"": ""/2026-03-08""}}"
garden,d2,dwelling,"{{""away"": ""{said}""}}"
garden,d3,dwelling,"{{""colour"": ""{said}""}}"
"""
    told = office.refused("places", "import", office.file("places.csv", f"site,id,type,facts\n{rows}"))
    assert lines_of(told, "places.csv") == [3]
    assert "asks whether away is so" in told
    assert office.json("places", "list") == []


DOORS = "site,id,kind,profile,params\n"


def doors(name: str, count: str) -> str:
    return f'garden,{name},access_controller,zkteco/c3-400,"{{""doors"": {count}}}"\n'


def test_a_number_of_doors_that_is_none_is_told_beside_one_that_python_takes_for_it(office: Office) -> None:
    text = DOORS + doors("a-1", "1") + doors("a-2", "1.0") + doors("a-3", "true")
    assert set(lines_of(office.refused("devices", "import", office.file("d.csv", text)), "d.csv")) == {3, 4}


def test_what_is_mended_is_a_change_also_where_python_takes_both_for_one(office: Office) -> None:
    for said in ("1", "true", "1.0"):
        file = office.file("p.csv", f'site,id,type,facts\ngarden,d1,dwelling,"{{""doors"": {said}}}"\n')
        assert office.json("places", "import", file)["unchanged"] == 0
        assert office.json("places", "import", file)["unchanged"] == 1
        assert json.dumps(office.json("places", "show", "garden", "d1")["facts"]["doors"]) == said


def test_a_tree_that_bites_its_tail_is_refused(office: Office) -> None:
    file = office.file("p.csv", "site,id,type,parent\ngarden,a,unit,b\ngarden,b,unit,a\n")
    said = office.refused("places", "import", file)
    assert lines_of(said, "p.csv") == [2, 3]
    assert "below itself" in said


def test_a_bar_tells_of_how_many_rows_a_stage_has_been_through() -> None:
    screen = io.StringIO()
    with stages(Console(file=screen, force_terminal=True, width=80)) as show:
        show("reading", 8)(3)
        show("checking")
        show("writing", 4)(4)
    assert "writing" in screen.getvalue()
    assert "4/4" in screen.getvalue()


async def test_whoever_puts_many_is_told_of_all_that_are_written(tmp_path: Path) -> None:
    told: list[int] = []
    async with Registry(sqlite_url(tmp_path)) as registry:
        await registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        places = [Place(site="garden", id=f"d{n}", type=PlaceType.DWELLING) for n in range(ROWS_A_TIME + 2)]
        await put_places(registry, places, told.append)
        await put_places(registry, [replace(places[0], label={"en": "x"})], told.append)
        devices = [Device(site="garden", id=f"s{n}", kind="smoke_sensor") for n in range(ROWS_A_TIME + 1)]
        await put_devices(registry, devices, told.append)
        assert len(await registry.devices()) == ROWS_A_TIME + 1
    assert told == [ROWS_A_TIME, 2, 1, ROWS_A_TIME, 1]
