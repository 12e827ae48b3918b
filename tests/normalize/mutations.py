"""Payloads that nobody has sent: an example with something done to it that a network, a fault or a stranger may do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from hub.normalize.payload import Format

_ODD = (
    b"null", b"true", b"false", b"0", b"-1", b"1", b"255", b"2147483648", b"-9223372036854775808", b"1e30", b"0.5",
    b"18446744073709551616", b"1e308", b"1e999", b'""', b'"0"', b'"-1"', b'"1e999"', b'"nan"', b'"true"',
    b'"\\u0000"', b'"\\u202e"', b'"\\ud800"', b'"noPlate"', b"[]", b"{}", b"[[]]", b"[{}]", b"[null]", b'[1,"1",[1]]',
    b'{"":{}}', b"9" * 400, b'"' + b"9" * 400 + b'"', b'"' + b"f" * 1_025 + b'"', b"[" * 20 + b"]" * 20,
)  # fmt: skip
"""What a field of JSON may hold although nobody expects it."""

_ODD_TEXTS = (
    b"", b"0", b"-1", b"18446744073709551616", b"1e308", b"nan", b"\x00", b"\xff", b"&#0;", b"&x;", b"f" * 1_025,
    b"9" * 400, b"<a>", b"2023-02-30T25:61:61", b"\xe2\x80\xae",
)  # fmt: skip
_WORD = re.compile(rb"[\w.:+-]+")
_BITS = tuple(1 << bit for bit in range(8))


def odd_values(data: bytes, payload: Format) -> Iterator[bytes]:
    """Yield the payload with each of its values, words or bytes in turn replaced by each odd one."""
    if payload in {Format.JSON, Format.NATIVE}:
        yield from _odd_in_json(data)
    elif payload in {Format.BYTES, Format.CHANNELS}:
        for at, byte in enumerate(data):
            for other in {byte ^ bit for bit in _BITS} | {0, 0xFF}:
                yield data[:at] + bytes([other]) + data[at + 1 :]
    else:
        for word in _WORD.finditer(data):
            for text in _ODD_TEXTS:
                yield data[: word.start()] + text + data[word.end() :]


def _odd_in_json(data: bytes) -> Iterator[bytes]:
    for _, _, odd in beside(data, _ODD):
        yield from odd


_NOT_JSON = (b"NaN", b"-Infinity", b"9" * 5_000, b'"a\nb"', b'"\xb3\xf8"')
"""What some write all the same: C and Python a number that is none, a line break, and a name in GBK."""


def beside(data: bytes, odd: Sequence[bytes]) -> Iterator[tuple[object, bytes, list[bytes]]]:
    """Yield, for each place in a payload of JSON, its key, the payload with nothing there, and with each odd thing."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    for holder, key in _places(document):
        kept = holder[key]
        found = []
        for text in (b"null", *odd):
            holder[key] = msgspec.Raw(text)
            found.append(msgspec.json.encode(document))
        yield key, found[0], found[1:]
        holder[key] = kept


HOWEVER_ODD = (*_ODD, *_NOT_JSON)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 -- a tree of JSON
    """Yield each place in a tree that holds a value, as what holds it and its key there."""
    for key in [*node] if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from _places(node[key])


def mutated(examples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return what makes a payload of one or two of ``examples`` with bytes lost, added, repeated or mixed."""
    some = st.sampled_from(examples)
    ways: Sequence[st.SearchStrategy[bytes]] = (
        st.builds(_patched, some, _POSITION, st.binary(max_size=4), st.integers(0, 8)),
        st.builds(_spliced, some, some, _POSITION, _POSITION),
        st.builds(_repeated, some, _POSITION, st.integers(1, 64), st.integers(1, 40)),
        st.binary(max_size=64),
    )
    return st.one_of(ways)


_POSITION = st.integers(0, 2**16)


def _at(data: bytes, position: int) -> int:
    return position % (len(data) + 1)


def _patched(data: bytes, position: int, new: bytes, removed: int) -> bytes:
    begin = _at(data, position)
    return data[:begin] + new + data[begin + removed :]


def _spliced(first: bytes, second: bytes, until: int, since: int) -> bytes:
    return first[: _at(first, until)] + second[_at(second, since) :]


def _repeated(data: bytes, position: int, size: int, times: int) -> bytes:
    begin = _at(data, position)
    return data[:begin] + data[begin : begin + size] * times + data[begin + size :]
