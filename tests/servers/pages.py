"""A page over HTTP, as a monitor fetches it."""

from __future__ import annotations

from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.waiting import PATIENCE_SECONDS


def page(port: int, path: str) -> tuple[int, bytes]:
    """Return status and body of a page here; 0 while nothing listens."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read()
    except HTTPError as answer:
        with answer:
            return answer.code, answer.read()
    except URLError:
        return 0, b""
