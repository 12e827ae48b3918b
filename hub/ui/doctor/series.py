"""A time series store, asked: a point written and read back, how long it keeps, and what InfluxDB 2 needs to answer."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from hub.config.settings import TimeseriesStore
from hub.errors import HubError, UnavailableError
from hub.parts import make_store
from hub.sinks.timeseries.store import Query, Row, Span, Store, Written
from hub.ui.doctor.findings import Grade, Scene, Verdict, bad, good, unseen, weak

HOUR_NS = 3_600_000_000_000
MEASUREMENT, TEXT = "hub_doctor", "ok, 好"
"""One point an hour at most: asked again within it, the doctor writes the same one."""
SECONDS = 5.0
_UNITS = {"h": 3_600, "m": 60, "s": 1}
READ_TRIES, READ_AGAIN_SECONDS = 10, 0.2
"""Some stores show a point only a moment after they took it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of the point, each as a verdict; ``kept`` is None where retention is not told, 0 is for ever.

    ``mapped`` is None where no DBRP mapping is needed, or nobody could look. ``used_bytes`` are those of a local file,
    beside which ``free_bytes`` are left.
    """

    address: str
    product: str
    written: Verdict
    read: Verdict
    rows: tuple[Row, ...]
    is_local: bool
    kept: timedelta | None
    ours: timedelta
    mapped: bool | None
    used_bytes: int
    free_bytes: int


async def look(scene: Scene) -> Seen:
    """Write a point and read it back; UnavailableError when nothing answers at all."""
    series = scene.settings.timeseries
    is_local = series.store is TimeseriesStore.LOCAL
    async with make_store(scene.settings, scene.clock) as store:
        await store.ping()
        now = scene.clock.wall_ns() // HOUR_NS * HOUR_NS
        written = good("nothing is written into a local file") if is_local else await _write(store, now)
        rows, read = ((), good("the file is ours")) if is_local else await _read(store, now, scene)
    product, kept, mapped = ("", series.keep or timedelta(), None) if is_local else await _facts(scene)
    data = scene.settings.data_dir
    return Seen(
        address=str(data / "timeseries.sqlite") if is_local else series.url,
        product=product,
        written=written,
        read=read,
        rows=tuple(rows),
        is_local=is_local,
        kept=kept,
        ours=scene.settings.retention.age,
        mapped=mapped,
        used_bytes=sum(path.stat().st_size for path in data.glob("timeseries.sqlite*")) if is_local else 0,
        free_bytes=shutil.disk_usage(data).free if is_local else 0,
    )


async def _write(store: Store, now: int) -> Verdict:
    try:
        done: Written = await store.write([f'{MEASUREMENT},site=_hub text="{TEXT}",number=1i {now}'.encode()])
    except HubError as error:
        return bad(error)
    return bad(done.rejected[0][1]) if done.rejected else good("a point was taken")


async def _read(store: Store, now: int, scene: Scene) -> tuple[tuple[Row, ...], Verdict]:
    asked = Query(measurement=MEASUREMENT, span=Span(since=now, until=now + 1))
    try:
        for _ in range(READ_TRIES):
            if rows := await store.query(asked):
                return tuple(rows), good("the point came back")
            await scene.clock.sleep(READ_AGAIN_SECONDS)
    except HubError as error:
        return (), bad(error)
    return (), bad("the point did not come back")


async def _facts(scene: Scene) -> tuple[str, timedelta | None, bool | None]:
    """Return what it calls itself, how long it keeps, and whether InfluxQL finds the bucket."""
    series = scene.settings.timeseries
    token = series.token.get_secret_value()
    headers = {"Authorization": f"Token {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
            ask = _Asker(http, series.url.rstrip("/"))
            product = await ask.product()
            bucket = await ask.json("/api/v2/buckets", {"name": series.bucket, "org": series.org})
            if bucket is not None:
                return product, _kept_of_bucket(bucket), await ask.is_mapped(series.bucket, series.org)
            return product, await ask.kept_of_policy(series.bucket), None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnavailableError("store_unreachable", str(error) or type(error).__name__) from error


class _Asker:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def json(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any] | None:
        """Return what it answers, None when it does not know the page or will not tell."""
        async with self._http.get(self._url + path, params={k: v for k, v in parameters.items() if v}) as answer:
            body = await answer.read()
        if answer.status == HTTPStatus.OK:
            with suppress(orjson.JSONDecodeError):
                found = orjson.loads(body)
                return found if isinstance(found, dict) else None
        return None

    async def product(self) -> str:
        """Return what it says of itself."""
        async with self._http.get(self._url + "/ping") as answer:
            headers = answer.headers
        words = (headers.get("X-Influxdb-Build", ""), headers.get("X-Influxdb-Version", ""))
        return " ".join(word for word in words if word)

    async def is_mapped(self, bucket: str, org: str) -> bool | None:
        """Return whether a DBRP mapping leads from the name of the bucket to it; None where nobody may look."""
        found = await self.json("/api/v2/dbrps", {"org": org})
        if found is None:
            return None
        return any(each.get("database") == bucket for each in found.get("content", ()))

    async def kept_of_policy(self, database: str) -> timedelta | None:
        """Return the duration of the default retention policy of InfluxDB 1."""
        found = await self.json("/query", {"db": database, "q": f'SHOW RETENTION POLICIES ON "{database}"'})
        series = [each for result in (found or {}).get("results", ()) for each in result.get("series", ())]
        for each in series:
            for row in each["values"]:
                policy = dict(zip(each["columns"], row, strict=False))
                if policy.get("default"):
                    return _go_duration(str(policy["duration"]))
        return None


def _kept_of_bucket(found: Mapping[str, Any]) -> timedelta | None:
    for bucket in found.get("buckets", ()):
        rules = [rule["everySeconds"] for rule in bucket.get("retentionRules", ()) if rule.get("type") == "expire"]
        return timedelta(seconds=min(rules, default=0))
    return None


def _go_duration(text: str) -> timedelta:
    """Return ``168h0m0s`` as a duration."""
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([hms])", text)))


# ------------------------------------------------------------------------------------------------------- judgements


def reachable(seen: Seen) -> Verdict:
    """Whether it answers."""
    return good(f"{seen.address} {seen.product}".strip())


def takes(seen: Seen) -> Verdict:
    """Whether the token may write, into a bucket that exists."""
    return seen.written


def answers(seen: Seen) -> Verdict:
    """Whether the token may read, and InfluxQL finds the bucket."""
    return seen.read


def same(seen: Seen) -> Verdict:
    """Whether it gives back what it was given: there are stores that turn text into 0."""
    if seen.is_local:
        return good("the file is ours")
    if seen.read.grade is not Grade.GOOD:
        return unseen("see series_read")
    fields = seen.rows[0].fields
    return (
        good("text and numbers came back")
        if fields.get("text") == TEXT
        else bad(f"text came back as {fields.get('text')!r}")
    )


def retention(seen: Seen) -> Verdict:
    """Whether points may still be written for as long as the journal could bring them, and the disk takes them."""
    if seen.kept is None:
        return unseen("it does not tell its retention")
    if not seen.kept and seen.used_bytes > seen.free_bytes:
        return weak(f"for ever: {seen.used_bytes / 2**30:.1f} GiB by now, {seen.free_bytes / 2**30:.1f} free")
    if not seen.kept:
        return good("for ever")
    found = f"{seen.kept}, the journal keeps {seen.ours}"
    return good(found) if seen.is_local or seen.kept >= seen.ours else bad(found)


def mapping(seen: Seen) -> Verdict:
    """Whether InfluxDB 2 answers InfluxQL about the bucket."""
    match seen.mapped:
        case None:
            return good("not needed") if seen.read.grade is Grade.GOOD else unseen("see series_read")
        case True:
            return good("a DBRP mapping bears the bucket's name")
        case False:
            return (
                weak("no mapping is listed, yet it answers")
                if seen.read.grade is Grade.GOOD
                else bad("no DBRP mapping")
            )
