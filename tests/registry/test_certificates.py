"""The broker's own certificate: made anew whenever nobody could be let in with what is there."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from hub.clock import SystemClock
from hub.registry.certificates import Authority
from tests.clocks import ManualClock

NAMES = ["broker.garden", "127.0.0.1"]


def of_another_pair(directory: Path) -> None:
    """Leave what a kill between the two files leaves: a new key beside the certificate of the former one."""
    _, key = Authority(directory.parent / "another", SystemClock()).serve(directory.parent / "other", NAMES)
    shutil.copy(key, directory / "server.key")


def emptied(directory: Path) -> None:
    (directory / "server.key").write_bytes(b"")


def signed_by_another(directory: Path) -> None:
    """Leave what there is when the authority was made anew: it has the same name."""
    for path in Authority(directory.parent / "another", SystemClock()).serve(directory.parent / "other", NAMES):
        shutil.copy(path, directory / path.name)


@pytest.mark.parametrize("damage", [of_another_pair, emptied, signed_by_another])
def test_a_key_and_a_certificate_that_serve_nobody_are_made_anew(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """No mosquitto could begin with them, or no device believed it, until somebody took them away."""
    authority, directory = Authority(tmp_path / "authority", SystemClock()), tmp_path / "broker"
    authority.serve(directory, NAMES)
    damage(directory)
    certificate, key = authority.serve(directory, NAMES)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    own = x509.load_pem_x509_certificate(authority.certificate.encode())
    x509.load_pem_x509_certificate(certificate.read_bytes()).verify_directly_issued_by(own)
    before = certificate.read_bytes()
    authority.serve(directory, NAMES)
    assert certificate.read_bytes() == before


@pytest.mark.parametrize("years", [2.1, 19.9])
def test_it_is_renewed_before_it_ends_and_keeps_its_key(tmp_path: Path, years: float) -> None:
    """A mosquitto that reads a key of another certificate shows none to anybody, and does not start with it."""
    clock, broker = ManualClock(wall_ns=SystemClock().wall_ns()), tmp_path / "broker"
    authority = Authority(tmp_path / "authority", clock)
    certificate, key = authority.serve(broker, NAMES)
    before = certificate.read_bytes(), key.read_bytes()
    clock.advance(timedelta(days=365 * years).total_seconds())
    assert not authority.serves(broker, NAMES)
    authority.serve(broker, NAMES)
    assert (authority.serves(broker, NAMES), key.read_bytes()) == (True, before[1])
    assert certificate.read_bytes() != before[0]
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)


@pytest.mark.parametrize("year", [1970, 2099])
@pytest.mark.parametrize("is_first", [True, False], ids=("authority, too", "authority before"))
def test_what_was_made_while_the_clock_was_wrong_keeps_nobody_out_once_it_is_right(
    tmp_path: Path, year: int, *, is_first: bool
) -> None:
    """A machine without a clock of its own begins in 1970 and is told the time later; others begin far ahead."""
    wrong = ManualClock(wall_ns=int(datetime(year, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000_000)
    if not is_first:
        assert Authority(tmp_path / "authority", SystemClock()).certificate
    early, broker = Authority(tmp_path / "authority", wrong), tmp_path / "broker"
    early.serve(broker, NAMES)
    (tmp_path / "crl.pem").write_text(early.crl(["0a"]), encoding="ascii")
    authority = Authority(tmp_path / "authority", SystemClock())
    device = authority.issue("garden/gate-1", timedelta(days=30)).certificate
    (tmp_path / "device.crt").write_text(device, encoding="ascii")
    for each in (authority.serve(broker, NAMES)[0], tmp_path / "device.crt"):
        words = ["openssl", "verify", "-crl_check", "-CAfile", "authority/ca.crt", "-CRLfile", "crl.pem", str(each)]
        assert subprocess.run(words, cwd=tmp_path, check=False, capture_output=True).stderr == b""
