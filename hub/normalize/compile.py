"""A device profile to its handler: closures prepared once, so that a message only walks its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from hub.catalogue import Kind, Property, Type
from hub.errors import ConfigError, PoisonError
from hub.model.heard import Handler
from hub.model.values import Scalar
from hub.normalize.codecs.codec import Row, Unread
from hub.normalize.codecs.formats import compile_many, compile_one
from hub.normalize.downlinks import CompiledCommand, compile_commands
from hub.normalize.fields import both_forms, compile_field
from hub.normalize.flags import NAMES, TRUTH
from hub.normalize.handler import Group, ProfileHandler, RecordsHandler
from hub.normalize.native import compile_native
from hub.normalize.payload import Format
from hub.normalize.profile import Profile, Store
from hub.normalize.responses import Response
from hub.normalize.shapes import NOTHING, Decision, compile_backfill, compile_identity, look
from hub.normalize.shaping import Shaper
from hub.normalize.slots import Book
from hub.normalize.sources import Time
from hub.normalize.times import Clocks, ReadTime, compile_clock, compile_time, stepped

NANOSECONDS = 1_000_000_000


def compile_profile(profile: Profile, kind: Kind, params: Mapping[str, Scalar], zone: str) -> Handler:
    """Return the handler of a profile on one device: ``params`` as installed there, ``zone`` of its site.

    Raises ConfigError whose field ``path`` is the place in the profile. The handler raises PoisonError only, with
    the codes of its codec or ``unmatched``, ``bad_value``, ``bad_time``, ``bad_part``. It may be told the port of the
    network as a second argument.
    """
    held = installed(profile, kind, params)
    if profile.store is not None:
        _check_store(profile.store, kind)
    if profile.payload.format is Format.NATIVE:
        return compile_native(kind)
    book, unread, clocks = Book(profile.payload), Unread(), Clocks()
    clock = _clock(profile.time, book, clocks, zone)
    shaper = Shaper(kind, held, book, unread, clocks)
    groups: list[Group] = []
    for index, words in enumerate(profile.shapes):
        with book.at(*(("messages", index) if profile.messages else ())):
            own = clock if words.time is None else _clock(words.time, book, clocks, zone)
            groups.append(shaper.group(words, own))
    if profile.backfill is not None:
        with book.at("backfill"):
            members = None if profile.backfill.is_ is None else both_forms(profile.backfill.is_)
            is_backfill = compile_backfill(book.slots(profile.backfill.path), members)
        for shape in (shape for group in groups for shape in group):
            shape.backfill = is_backfill
    made: ProfileHandler
    try:
        if profile.payload.has_records:
            made = RecordsHandler(compile_many(profile.payload, book.places, unread), groups, clocks, unread)
        else:
            made = ProfileHandler(compile_one(profile.payload, book.places, unread), groups, clocks, unread)
    except ConfigError as error:
        error.fields["path"] = book.path_of(error)
        raise
    made.uses = book.uses
    return made


def installed(profile: Profile, kind: Kind, params: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    """Return the parameters of a profile as one device has them; ConfigError ``wrong_kind``, ``unknown_param``."""
    if profile.kind != kind.kind:
        raise ConfigError("wrong_kind", f"the profile is of kind {profile.kind}, not {kind.kind}", path=("kind",))
    unknown = sorted(params.keys() - profile.params.keys())
    if unknown:
        hint = f"known: {', '.join(profile.params) or 'none'}"
        raise ConfigError(
            "unknown_param", f"{profile.profile} has no parameter {unknown[0]!r}", hint=hint, path=("params",)
        )
    return {**profile.params, **params}


def compile_downlinks(profile: Profile, kind: Kind, params: Mapping[str, Scalar]) -> Mapping[str, CompiledCommand]:
    """Return how the device wants each command that the profile knows; the others it cannot be told.

    Raises ConfigError ``unknown_command``, ``bad_template``, ``value_misfit``, and those of :func:`installed`.
    """
    for name in profile.cannot:
        if name not in kind.commands:
            raise ConfigError(
                "unknown_command", f"a {kind.kind} has no command {name!r}", hint=", ".join(kind.commands) or "none",
                path=("cannot", name),
            )  # fmt: skip
    held = installed(profile, kind, params)
    try:
        whole = () if profile.whole is None else profile.whole.parts(held)
    except ConfigError as error:
        error.fields.setdefault("path", ("whole",))
        raise
    return compile_commands(profile.commands, kind, held, whole)


def compile_reply(profile: Profile) -> Callable[[bytes], Response | None] | None:
    """Return the decoding of answers to commands: None for a message that is none; None when the profile has no reply.

    PoisonErrors are those of the codec, ``bad_value`` and, for an answer without an id, ``unmatched``.
    """
    words = profile.reply
    if words is None:
        return None
    book, unread = Book(profile.payload), Unread(is_strict=True)
    with book.at("reply"):
        fits = None if words.match is None else Decision(book.slots(tuple(words.match)))
        if fits is not None and words.match is not None:
            fits.add([both_forms(values) for values in words.match.values()], NOTHING)
        read_id = [compile_identity((slot,)) for slot in book.slots(words.id)]
        ok_slots = book.slots(words.ok.places())
        read_ok = compile_field("ok", words.ok, TRUTH, profile.params, is_text=book.is_text(words.ok.in_))
        code_slots = () if words.code is None else book.slots(words.code.places())
        read_code = None if words.code is None else compile_field("code", words.code, NAMES, profile.params)
    plain = profile.payload.model_copy(update={"records": None, "each": None, "lines": None, "apart": ()})
    decode = compile_one(plain, book.places, unread)

    def read(payload: bytes) -> Response | None:
        row = decode(payload)
        if fits is not None and look(fits, row) is None:
            return None
        found = next((text for text in (read(row) for read in read_id) if text is not None), None)
        if found is None:
            raise PoisonError("unmatched", "an answer without an id")
        ok = _present(row, ok_slots)
        code = _present(row, code_slots)
        return Response(
            found,
            ok is not None and read_ok(ok) is True,
            "" if read_code is None or code is None else str(read_code(code) or ""),
        )

    return read


def _present(row: Row, slots: tuple[int, ...]) -> object:
    return next((row[slot] for slot in slots if row[slot] is not None), None)


def _clock(time: Time | None, book: Book, clocks: Clocks, zone: str) -> Callable[[Row], int | None]:
    sources: list[tuple[int, ReadTime]] = []
    for index, source in enumerate(time.sources if time is not None else ()):
        with book.at("time", "from", index):
            read = compile_time(source, zone)
            sources.extend((slot, read) for slot in book.slots(source.places()))
    if time is None:
        return compile_clock(sources, None, clocks)
    told = compile_clock(sources, _nanoseconds(time.disagree), clocks)
    step = _nanoseconds(time.every)
    return told if step is None else stepped(told, step, clocks, from_last=time.tells == "last")


def _nanoseconds(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds() * NANOSECONDS)


def _check_store(store: Store, kind: Kind) -> None:
    for name in store.deadband:
        prop: Property | None = kind.properties.get(name)
        if prop is None or prop.type not in {Type.INT, Type.FLOAT}:
            path = ("store", "deadband", name)
            raise ConfigError("unknown_property", f"{name!r} is no number of kind {kind.kind}", path=path)
