"""Certificates: one that has ended, that ends soon, that cannot be read; of the broker's file and of the settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.config.settings import BrokerKeeper
from hub.ui.doctor.served import ending
from tests.ui.doctor.scenes import BAD, GOOD, UNSEEN, WEAK, ShiftedClock, examined, scene, settings_of

NOW = datetime.now(UTC)  # noqa: TID251 -- certificates are made by the real clock


def certificate(file: Path, days: float) -> Path:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=800)).not_valid_after(NOW + timedelta(days=days))
    file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return file


def conf(directory: Path, *files: Path) -> Path:
    path = directory / "mosquitto.conf"
    path.write_text("".join(f"listener {8883 + n}\ncertfile {file}\n" for n, file in enumerate(files)))
    return path


@pytest.mark.parametrize(
    ("days", "grade", "words"),
    [(-3, BAD, "ended 3 days ago"), (20.5, WEAK, "ends in 20 days"), (200.5, GOOD, "200 days")],
)
async def test_the_certificate_of_a_listener_is_told_before_it_ends(
    tmp_path: Path, days: float, grade: object, words: str
) -> None:
    files = (certificate(tmp_path / "good.crt", 400), certificate(tmp_path / "server.crt", days))
    seen = await examined("certificates", scene(settings_of(tmp_path), conf=conf(tmp_path, *files)))
    found = seen["certificates_last"]
    assert (found.grade, words in found.found) == (grade, True)


async def test_what_the_hub_itself_shows_counts_and_so_does_the_time_that_passes(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    mqtt = settings.mqtt.model_copy(update={"cert_file": certificate(tmp_path / "hub.crt", 100)})
    settings = settings.model_copy(update={"mqtt": mqtt})
    for later, grade in ((0, GOOD), (80, WEAK), (101, BAD)):
        found = await examined("certificates", scene(settings, clock=ShiftedClock(later * 86_400)))
        assert found["certificates_last"].grade is grade


def test_monitors_are_told_when_what_is_shown_ends(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    ours, theirs = certificate(tmp_path / "hub.crt", 100), tmp_path / "gone.crt"
    mqtt, broker = settings.mqtt, settings.broker
    asked = {
        "mqtt": mqtt.model_copy(update={"cert_file": ours}),
        "broker": broker.model_copy(update={"cert_file": theirs}),
    }
    ends = int((NOW + timedelta(days=100)).timestamp())
    assert ending(settings.model_copy(update=asked)) == {str(ours): ends, str(theirs): 0}
    assert ending(settings) == {}


def test_monitors_are_told_when_the_one_ends_that_the_hub_makes_itself(tmp_path: Path) -> None:
    """Only what settings name was told: of the one that devices see, nobody heard that it was not renewed."""
    settings, made = settings_of(tmp_path), tmp_path / "broker" / "server.crt"
    kept = settings.broker.model_copy(
        update={"keeper": BrokerKeeper.MOSQUITTO, "directory": made.parent, "tls_port": 8883}
    )
    asked = settings.model_copy(update={"broker": kept})
    assert ending(asked) == {str(made): 0}
    made.parent.mkdir()
    ends = int((NOW + timedelta(days=100)).timestamp())
    certificate(made, 100)
    assert ending(asked) == {str(made): ends}
    clear = settings.model_copy(update={"broker": kept.model_copy(update={"tls_port": None})})
    assert ending(clear) == {}


@pytest.mark.parametrize(("days", "grade"), [((-700, 400), GOOD), ((-700, 20), WEAK), ((-700, -3), BAD)])
async def test_of_authorities_one_that_holds_is_enough(tmp_path: Path, days: tuple[float, ...], grade: object) -> None:
    bundle = tmp_path / "ca-certificates.crt"
    bundle.write_bytes(b"".join(certificate(tmp_path / "one", each).read_bytes() for each in days))
    settings = settings_of(tmp_path)
    asked = settings.model_copy(update={"mqtt": settings.mqtt.model_copy(update={"ca_file": bundle})})
    listening = tmp_path / "mosquitto.conf"
    listening.write_text(f"listener 8883\ncafile {bundle}\n", encoding="utf-8")
    for found in (
        await examined("certificates", scene(asked)),
        await examined("certificates", scene(settings, conf=listening)),
    ):
        assert found["certificates_last"].grade is grade


async def test_a_chain_ends_with_the_first_of_it(tmp_path: Path) -> None:
    chain = tmp_path / "server.crt"
    chain.write_bytes(b"".join(certificate(tmp_path / "one", each).read_bytes() for each in (-3, 900)))
    found = await examined("certificates", scene(settings_of(tmp_path), conf=conf(tmp_path, chain)))
    assert found["certificates_last"].grade is BAD


async def test_one_that_cannot_be_read_is_named_and_none_is_no_fault(tmp_path: Path) -> None:
    found = await examined("certificates", scene(settings_of(tmp_path), conf=conf(tmp_path, tmp_path / "gone.crt")))
    assert (found["certificates_last"].grade, "gone.crt" in found["certificates_last"].found) == (UNSEEN, True)
    found = await examined("certificates", scene(settings_of(tmp_path)))
    assert found["certificates_last"].grade is GOOD
