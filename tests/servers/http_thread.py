"""An HTTP server on a thread, for tests whose own loop belongs to what they test."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from typing_extensions import override


class HttpThread:
    """Keeps the ``bodies`` it is sent; answers ``statuses`` in turn, then ``status``; ``then`` is told each answer."""

    def __init__(self) -> None:
        self.status = 200
        self.statuses: deque[int] = deque()
        self.bodies: list[bytes] = []
        self.then: Callable[[int], None] = lambda _status: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                status = outer.statuses.popleft() if outer.statuses else outer.status
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                outer.then(status)

            @override
            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port = self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def http_thread() -> Iterator[HttpThread]:
    """Give a running server that takes everything."""
    server = HttpThread()
    yield server
    server.stop()
