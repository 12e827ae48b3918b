"""The model's Redis against a real Valkey: the same commands, the same answers, the same keys at the end."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from typing import Protocol

import hiredis
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from hub.sinks.fence import MOVE, TELL
from hub.sinks.redis_link import Answer, Argument, pack
from tests.model.fake_redis import LAST_ID, Client, Redis
from tests.servers.valkey import PASSWORD, ValkeyServer

Words = tuple[Argument, ...]
USER, CURSOR, KEYS = "limited", "hub:cursor:p", ("hub:events:fire", "hub:alarms:s", "hub:reply:r")
END = f"{LAST_ID[0]}-{LAST_ID[1]}"
ID = re.compile(rb"\d+-\d+")

a_key = st.sampled_from((CURSOR, *KEYS))
a_field = st.sampled_from(("record", "untold:hub:events:fire", "f"))
a_write: st.SearchStrategy[Words] = st.one_of(
    st.tuples(st.just("XADD"), st.sampled_from((KEYS[0], KEYS[0], CURSOR, *KEYS)), st.just("*"), a_field, st.just("v")),
    st.tuples(st.just("HSET"), a_key, a_field, st.just("v")),
    st.tuples(st.just("HDEL"), a_key, a_field),
    st.tuples(st.just("SET"), a_key, st.just("v")),
)
a_meddling: st.SearchStrategy[Words] = st.one_of(
    st.tuples(st.just("DEL"), a_key),
    st.tuples(st.just("SET"), a_key, st.just("somebody's")),
    st.tuples(st.just("XSETID"), a_key, st.sampled_from((END, END, "5-5"))),
    st.tuples(st.just("RENAME"), a_key, a_key),
)
MOVED: Words = ("HSET", CURSOR, "record", 2)


def carrying(commands: Sequence[Words]) -> list[Argument]:
    """Return what a script carries."""
    return [word for each in commands for word in (len(each), *each)]


def move(noted: Sequence[str], commands: Sequence[Words]) -> Words:
    """Return the script that moves the cursor with ``commands``; the note of each key is the same number."""
    notes = [word for key in noted for word in (key, 7)]
    return ("EVAL", MOVE, 1, CURSOR, len(noted), *notes, *carrying([MOVED, *commands]))


def telling(key: str, if_told: str, commands: Sequence[Words]) -> Words:
    """Return the script that tells ``commands``; the note of each is its number."""
    return ("EVAL", TELL, 1, CURSOR, key, if_told, len(commands), *range(len(commands)), *carrying(commands))


a_move: st.SearchStrategy[Words] = st.builds(
    move, st.sampled_from((KEYS, KEYS, KEYS[:1])), st.lists(a_write, max_size=4)
)
a_telling: st.SearchStrategy[Words] = st.builds(
    telling, st.sampled_from(KEYS), st.sampled_from(("", "9")), st.lists(a_write, max_size=3)
)
a_look: st.SearchStrategy[Words] = st.builds(
    lambda name, key: (name, key), st.sampled_from(("TYPE", "GET", "HGETALL")), a_key
)
some_keys = st.sampled_from(((), (), KEYS[:1], KEYS[:1], KEYS))
Transaction = tuple[Sequence[Words], Sequence[str], Sequence[Words], Sequence[str]]
"""What somebody else does before it, what is forbidden then, its commands, what is forbidden before EXEC."""
a_transaction: st.SearchStrategy[Transaction] = st.tuples(
    st.lists(a_meddling | a_write, max_size=1),
    some_keys,
    st.lists(a_write | a_move | a_telling | a_look, min_size=1, max_size=4),
    some_keys,
)
ENTRY: Words = ("XADD", KEYS[0], "*", "f", "w")
OTHER: Words = ("HSET", KEYS[1], "f", "v")
REFUSED = [move(KEYS, [ENTRY, OTHER, ENTRY])]
TOLD = [telling(KEYS[0], "", [ENTRY])]
REFUSALS: list[Transaction] = [
    ([], (), REFUSED, ()),
    ([("SET", KEYS[0], "somebody's")], (), REFUSED, ()),
    ([], (), TOLD, ()),
    ([("DEL", KEYS[0])], (), TOLD, ()),
    ([("XSETID", KEYS[0], END)], (), REFUSED, ()),
    ([], (), TOLD, ()),
    ([("DEL", KEYS[0])], (), TOLD, ()),
    ([], (), REFUSED, KEYS[:1]),
    ([], KEYS[:1], TOLD, KEYS[:1]),
    ([], (), [ENTRY, OTHER], KEYS[:1]),
    ([], KEYS[:1], [ENTRY, OTHER], ()),
]


class Server(Protocol):
    """Answers to whoever asks: ``who`` is 0 or 1, a connection each. An ACL may forbid keys to the first."""

    def ask(self, who: int, commands: Sequence[Words]) -> list[Answer]: ...

    def forbid(self, keys: Sequence[str]) -> None: ...


class Fake:
    """The model's."""

    def __init__(self) -> None:
        self._redis = Redis()
        self._clients = Client(is_limited=True), Client()

    def ask(self, who: int, commands: Sequence[Words]) -> list[Answer]:
        return self._redis.run(self._clients[who], [pack(*words) for words in commands])

    def forbid(self, keys: Sequence[str]) -> None:
        self._redis.forbidden = frozenset(key.encode() for key in keys)


class Real:
    """A Valkey, over plain sockets."""

    def __init__(self, port: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        self._readers = [hiredis.Reader(replyError=ResponseError) for _ in range(2)]
        self.ask(1, [("AUTH", PASSWORD), ("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "+@all")])
        self.forbid(())
        self.ask(0, [("AUTH", USER, PASSWORD)])

    def ask(self, who: int, commands: Sequence[Words]) -> list[Answer]:
        self._sockets[who].sendall(b"".join(pack(*words) for words in commands))
        found: list[Answer] = []
        while len(found) < len(commands):
            said = self._readers[who].gets()
            if said is False:
                self._readers[who].feed(self._sockets[who].recv(65_536))
            else:
                found.append(said)
        return found

    def forbid(self, keys: Sequence[str]) -> None:
        allowed = [f"~{key}" for key in (CURSOR, *KEYS) if key not in keys]
        self.ask(1, [("ACL", "SETUSER", USER, "resetkeys", *allowed)])

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def plain(answer: Answer) -> object:
    """Return an answer without what need not be the same: ids, and the words of an error behind its code."""
    match answer:
        case ResponseError():
            return "error", str(answer).split()[0]
        case list():
            return [plain(each) for each in answer]
        case bytes() if ID.fullmatch(answer):
            return "id"
        case bytes() if answer.startswith((b"WRONGTYPE", b"ERR")):
            return "told", answer.split()[0]
        case _:
            return answer


def played(server: Server, transactions: Sequence[Transaction]) -> list[object]:
    """Return what a server answers to transactions, and what it has then."""
    said: list[Answer] = []
    for meddling, at_first, commands, at_last in transactions:
        said += server.ask(0, [("WATCH", CURSOR)])
        said += server.ask(1, meddling)
        server.forbid(at_first)
        said += server.ask(0, [("MULTI",), *commands])
        server.forbid(at_last)
        said += server.ask(0, [("EXEC",)])
    for key in (CURSOR, *KEYS):
        said += server.ask(1, [("TYPE", key), ("GET", key), ("HGETALL", key), ("XADD", key, "*", "f", "v")])
    return [plain(answer) for answer in said]


@pytest.fixture
def real(valkey: ValkeyServer) -> Iterator[Real]:
    """A Valkey that is asked over plain sockets."""
    found = Real(valkey.port)
    yield found
    found.close()


@given(transactions=st.lists(a_transaction, min_size=1, max_size=6))
@example(transactions=REFUSALS)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_models_redis_answers_what_a_valkey_answers(real: Real, transactions: list[Transaction]) -> None:
    real.ask(1, [("FLUSHALL",)])
    assert played(Fake(), transactions) == played(real, transactions)
