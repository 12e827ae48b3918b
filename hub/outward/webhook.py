"""A webhook: one POST for each event, signed as Standard Webhooks 1.0.0 says; what each answer means."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_proto import ResponseHandler
from typing_extensions import override

from hub.clock import Clock
from hub.errors import ConfigError
from hub.outward.cloud_event import CONTENT_TYPE
from hub.outward.parcel import Answer, Parcel, Verdict
from hub.sinks.retry_after import retry_after
from hub.whole import make_once

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
"""How long a secret may be: 192 to 512 bits (Standard Webhooks 1.0.0)."""
ANSWER_SECONDS = 15.0
CONNECT_SECONDS = 5.0
MOST_HEAD_BYTES = 65_536
SHOWN_CHARACTERS = 200
_READ_BYTES = 1_024

_REFUSED = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""These blame the body, which stays what it is."""
_OWN = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.TOO_EARLY}
"""These may be about this one event; whatever else is no success is about all of them."""
_NO_CONTENT = re.compile(rb"HTTP/1\.[01] 204\b")
_BEFORE = re.compile(rb"(?s:HTTP/1\.[01] 1(?!01)\d\d\b.*?\r\n\r\n)+")
"""What is said before an answer: 100 Continue, 103 Early Hints."""
_BEGINS = re.compile(rb"HTTP/1\.[01] (?:204|1(?!01)\d\d)\b")
_HAS_CONTENT = re.compile(rb"\r\n(?:content-length:[ \t]*0*[1-9]|transfer-encoding:)", re.IGNORECASE)


class _Connection(ResponseHandler):
    """Believes a 204 that has a body all the same: aiohttp takes that for the next answer, and for a broken one."""

    _begun = b""

    @override
    def data_received(self, data: bytes) -> None:
        data, self._begun = self._begun + data, b""
        if before := _BEFORE.match(data):
            super().data_received(before.group())
            data = data[before.end() :]
        head, end, body = data.partition(b"\r\n\r\n")
        if not end and len(head) < MOST_HEAD_BYTES and _BEGINS.match(head):
            self._begun = data  # the rest of it is on its way
            return
        if _NO_CONTENT.match(head) and (body or _HAS_CONTENT.search(head)):
            self.force_close()  # what else comes on it answers nothing
            data = head + end
        super().data_received(data)


class _Connector(aiohttp.TCPConnector):
    """Opens such connections."""

    def __init__(self) -> None:
        super().__init__()
        self._factory = partial(_Connection, loop=self._loop)  # type: ignore[assignment] # a partial is invariant


class Webhook:
    """Posts parcels to ``url``; open it with ``async with``. Redirects are not followed: they are mended here.

    ``keys`` sign from the next parcel on, whenever others are put there.
    """

    def __init__(self, url: str, keys: Sequence[bytes], clock: Clock) -> None:
        self._url = url
        self.keys = keys
        self._clock = clock
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._http = await self._opened.enter_async_context(
            aiohttp.ClientSession(connector=_Connector(), timeout=timeout)
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._opened.aclose()

    async def send(self, parcel: Parcel) -> Answer:
        """Post a parcel once; its id stays the same however often, the moment and the signature are of this time."""
        moment = self._clock.wall_ns() // 1_000_000_000
        headers = {
            "Content-Type": CONTENT_TYPE,
            "webhook-id": parcel.event,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(self.keys, parcel.event, moment, parcel.body),
        }
        try:
            async with self._http.post(self._url, data=parcel.body, headers=headers, allow_redirects=False) as answer:
                said = b"" if answer.ok else await _beginning(answer)
                return read_answer(answer, said)
        except TimeoutError:
            return Answer(verdict=Verdict.BUSY, text=f"no answer within {ANSWER_SECONDS:.0f} s")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(
                verdict=Verdict.BUSY, text=type(error).__name__
            )  # its text may hold the URL, and that a password
        except ValueError:  # an entry that no hub wrote has a line end in its id
            return Answer(verdict=Verdict.REFUSED, text="its id cannot stand in a header")


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    with suppress(aiohttp.ClientError, OSError, TimeoutError):  # the status has been said
        return await answer.content.read(_READ_BYTES)
    return b""


def read_answer(answer: aiohttp.ClientResponse, said: bytes) -> Answer:
    """Return what a status means: 2xx taken, 410 no more of anything, a few refused, all else not now."""
    words = " ".join("".join(char if char.isprintable() else " " for char in said.decode("utf-8", "replace")).split())
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        words = "redirects are not followed: name the new address"
    text = f"{answer.status} {words}".strip()[:SHOWN_CHARACTERS]
    after = retry_after(answer.headers)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        verdict = Verdict.TAKEN
    elif answer.status == HTTPStatus.GONE:
        verdict = Verdict.GONE
    elif answer.status in _REFUSED:
        verdict = Verdict.REFUSED
    else:
        verdict = Verdict.LATER if answer.status in _OWN and after is None else Verdict.BUSY
    return Answer(verdict=verdict, text=text) if after is None else Answer(verdict=verdict, text=text, after=after)


def signature(keys: Sequence[bytes], name: str, moment: int, body: bytes) -> str:
    """Return the signatures of ``name.moment.body`` by each key, as ``webhook-signature`` carries them."""
    signed = b"%b.%d.%b" % (name.encode(), moment, body)
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, signed, sha256)).decode()}" for key in keys)


def read_keys(path: Path) -> list[bytes]:
    """Return the keys of a file with one ``whsec_…`` a line: with two, each signs, until receivers know the new one.

    ConfigError ``secret_unreadable``, ``secret_invalid``.
    """
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "secret_unreadable", getattr(error, "strerror", "") or "is no text", file=str(path)
        ) from error
    keys = [_key(line) for line in lines]
    if not keys or None in keys:
        hint = f"one {PREFIX}BASE64 a line, of {SECRET_BYTES[0]} to {SECRET_BYTES[-1]} bytes"
        raise ConfigError("secret_invalid", "that is no secret of a webhook", file=str(path), hint=hint)
    return [key for key in keys if key is not None]


def own_secret(path: Path) -> Path:
    """Return the file of a secret of our own, made once, for nobody else to read."""
    make_once(path, lambda: PREFIX + base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    return path


def host_of(url: str) -> str:
    """Return whom a URL names; ConfigError ``webhook_url_invalid`` for what is no http(s) URL."""
    host, is_one = "", False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")
        is_one = parts.scheme in {"http", "https"} and bool(host) and parts.port != 0
    except ValueError:  # of brackets, of a port beyond 65535, of a name that no DNS can have
        pass
    if not is_one:
        raise ConfigError("webhook_url_invalid", "a webhook is an http:// or https:// URL", hint="https://host/path")
    return host


def is_in_the_clear(url: str) -> bool:
    """Return whether others on the way can read what is sent to a URL: plain HTTP to another machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}


def _key(line: str) -> bytes | None:
    if not line.startswith(PREFIX):
        return None
    try:
        key = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if len(key) in SECRET_BYTES else None
