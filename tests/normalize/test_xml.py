"""XML: local names, attributes, records, charsets, and the documents that hurt other software."""

from __future__ import annotations

import encodings

import pytest

from tests.normalize.devices import mistake, poison, reading, readings

XML = {"payload": {"format": "xml"}}
PLATE = {**XML, "properties": {"plate": {"path": ["Car/plate", "Car/@plate"]}, "confidence": {"path": "Car/believe"}}}


@pytest.mark.parametrize(
    "document",
    [
        "<A><Car><plate>AB1</plate></Car></A>",
        "<A xmlns='http://a'><Car><plate> AB1 </plate></Car></A>",
        "<n:A xmlns:n='http://a'><n:Car><m:plate xmlns:m='http://b'>AB1</m:plate></n:Car></n:A>",
        "<A><Other><plate>ZZ9</plate></Other><Car><x>1</x><plate>AB1</plate><plate>CD2</plate></Car></A>",
        "<A><Car plate='AB1'/></A>",
        "<?xml version='1.0' encoding='UTF-8'?>\n<!-- a note --><A><Car><plate><![CDATA[AB1]]></plate></Car></A>",
        "\ufeff<A><Car><plate>AB&#49;</plate></Car></A>",
    ],
)
def test_a_text_is_found_by_the_local_names_of_its_elements(document: str) -> None:
    assert reading("plate_reader", document.encode(), **PLATE).values == {"plate": "AB1"}


def test_numbers_are_read_from_text_without_being_told() -> None:
    document = b"<A><Car><plate/><believe>0.5</believe></Car></A>"
    assert reading("plate_reader", document, **PLATE).values == {"confidence": 0.5}
    assert poison("plate_reader", document.replace(b"0.5", b"half"), **PLATE) == "bad_value"


@pytest.mark.parametrize(
    ("charset", "text"), [("GB2312", "鲁B1"), ("gbk", "鲁B1"), ("GB18030", "鲁B1"), ("latin-1", "é")]
)
def test_a_declared_charset_is_read(charset: str, text: str) -> None:
    document = f"<?xml version='1.0' encoding='{charset}'?><A><Car><plate>{text}</plate></Car></A>".encode(charset)
    assert reading("plate_reader", document, **PLATE).values == {"plate": text}


BOMB = "<!DOCTYPE a [<!ENTITY a '1234567890'>" + "".join(
    f"<!ENTITY {name} '{f'&{below};' * 10}'>" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (BOMB + "]><A><Car><plate>&i;</plate></Car></A>", "doctype"),
        ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><A/>", "doctype"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><A><Car><plate>&x;</plate></Car></A>", "doctype"),
        ("<A><Car><plate>&x;</plate></Car></A>", "bad_xml"),
        ("", "bad_xml"),
        ("<A>", "bad_xml"),
        ("<A/><B/>", "bad_xml"),
        ("<A><Car><plate>\x01</plate></Car></A>", "bad_xml"),
        ("<a>" * 17 + "</a>" * 17, "too_deep"),
        ("<A>" + "<b/>" * 8_001 + "</A>", "too_many_elements"),
        (f"<A><Car><plate>{'x' * 1_025}</plate></Car></A>", "bad_value"),
        ("<?xml version='1.0' encoding='ebcdic-of-mars'?><A/>", "bad_xml"),
        ("<?xml version='1.0' encoding='utf-16'?><A/>", "bad_xml"),
        ("<A/>", "unmatched"),
    ],
)
def test_a_document_that_hurts_is_a_dead_letter_with_a_code(document: str, code: str) -> None:
    assert poison("plate_reader", document.encode(), **PLATE) == code


def test_a_charset_that_nobody_knows_is_not_kept_in_memory_for_good() -> None:
    kept = vars(encodings)["_cache"]
    before = len(kept)
    for number in range(9):
        document = f"<?xml version='1.0' encoding='of-mars-{number}'?><A/>".encode()
        assert poison("plate_reader", document, **PLATE) == "bad_xml"
    assert len(kept) == before


@pytest.mark.parametrize("charset", ["punycode", "PunyCode"])
def test_a_charset_whose_reading_costs_the_square_of_the_size_is_none(charset: str) -> None:
    document = f"<?xml version='1.0' encoding='{charset}'?><A><Car><plate>AB1</plate></Car></A>-".encode()
    assert poison("plate_reader", document, **PLATE) == "bad_xml"


def test_bytes_that_are_not_the_declared_charset_are_refused() -> None:
    document = b"<?xml version='1.0' encoding='gb2312'?><A><Car><plate>\xff\xff</plate></Car></A>"
    assert poison("plate_reader", document, **PLATE) == "bad_xml"


LANES = {
    "payload": {"format": "xml", "each": "Lanes/Lane"},
    "time": {"from": [{"path": "$/when", "format": "iso8601"}]},
    "part": {"path": "@no", "name": "lane-{}"},
    "properties": {"plate": {"path": "plate"}},
}


def test_elements_are_records_and_what_stands_outside_is_common_to_them() -> None:
    document = (
        b"<A><when>2024-05-07T17:48:03Z</when><Lanes><Lane no='1'><plate>AB1</plate></Lane>"
        b"<Lane no='2'/><Lane no='3'><plate>CD2</plate></Lane></Lanes></A>"
    )
    found = readings("plate_reader", document, **LANES)
    assert [(each.part, each.values) for each in found] == [
        ("lane-1", {"plate": "AB1"}),
        ("lane-3", {"plate": "CD2"}),
    ]
    assert {each.measured_at for each in found} == {1_715_104_083_000_000_000}


def test_without_a_record_there_is_nothing_to_say() -> None:
    assert poison("plate_reader", b"<A><Lanes/></A>", **LANES) == "unmatched"


def test_a_path_has_steps() -> None:
    assert mistake("plate_reader", **XML, properties={"plate": {"path": "a//b"}}) == "bad_place"
    assert mistake("plate_reader", **XML, properties={"plate": {"at": 3}}) == "bad_place"
