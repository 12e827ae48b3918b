"""Credentials from the command line, beside a real mosquitto whose files the hub keeps."""

from __future__ import annotations

import asyncio
import csv
import json
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.clock import SystemClock
from hub.config.settings import read_settings
from hub.keeping import mosquitto
from hub.registry.brokers.broker import BrokerUser
from hub.registry.brokers.knock import Answer, knock
from hub.services.child import free_port
from hub.ui.cli import devices_credentials, devices_imports
from hub.ui.cli.main import EXIT_INTERRUPTED
from tests.machine import find, needs_mosquitto
from tests.servers.process import ServerProcess
from tests.ui.conftest import Cli, Said

pytestmark = needs_mosquitto
GATE = ("garden", "gate-1", "--kind", "access_controller")


class Desk:
    """The command line of an installation with one site, and its mosquitto."""

    def __init__(self, cli: Cli, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._cli = cli
        (directory / "hub.toml").write_text(
            f"""\
data_dir = "{directory}/data"
[mqtt]
port = {self.port}
passwords = {{telemetry = "t", events = "e", downlink = "d"}}
[broker]
keeper = "mosquitto"
listen = "127.0.0.1"
certificate_port = {free_port()}
""",
            encoding="utf-8",
        )
        self.json("sites", "add", "garden")
        self.json("broker", "apply")
        config = directory / "data" / "broker" / "mosquitto.conf"
        self.broker = ServerProcess(directory / "log", lambda: [str(find("mosquitto")), "-c", str(config)])
        self.broker.port = self.port
        self.broker.start()

    def __call__(self, *words: str) -> Said:
        return self._cli("--config", str(self.directory / "hub.toml"), *words)

    def json(self, *words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        said = self(*words, "--json")
        assert said.code == 0, said.err
        return said.document()

    def lets_in(self, user: str, secret: str) -> bool:
        return asyncio.run(knock(self.port, user, secret)) is Answer.WELCOME


@pytest.fixture
def desk(cli: Cli, tmp_path: Path) -> Iterator[Desk]:
    it = Desk(cli, tmp_path)
    yield it
    it.broker.kill()


def test_a_device_that_was_added_comes_in_at_once_by_a_secret_that_is_kept_nowhere(desk: Desk) -> None:
    (told,) = desk.json("devices", "add", *GATE, "--credentials")["credentials"]
    assert (told["user"], told["client_id"], told["port"]) == ("garden/gate-1", "garden/gate-1", desk.port)
    assert desk.lets_in(told["user"], told["secret"])
    files = [file for file in desk.directory.rglob("*") if file.is_file()]
    assert [file for file in files if told["secret"].encode() in file.read_bytes()] == []


def test_it_is_shown_as_text_and_as_a_code_for_a_telephone(desk: Desk) -> None:
    said = desk("devices", "add", *GATE, "--qr")
    assert "user       garden/gate-1" in said.out
    assert "▀" in said.out or "█" in said.out
    assert "Shown once" in said.err
    assert "on this machine alone" in said.err


def test_who_is_told_how_others_call_this_machine_is_not_told_that_it_is_this_one(desk: Desk) -> None:
    config = desk.directory / "hub.toml"
    text = config.read_text(encoding="utf-8") + f"tls_port = {free_port()}\n"
    for names, is_here in (('["localhost"]', True), ('["hub.garden.example"]', False)):
        config.write_text(f"{text}names = {names}\n", encoding="utf-8")
        said = desk("devices", "add" if is_here else "rotate", *(GATE if is_here else ("garden", "gate-1")), "--qr")
        assert ("on this machine alone" in said.err) == is_here, said.err


def test_old_and_new_secret_work_while_they_overlap(desk: Desk) -> None:
    (old,) = desk.json("devices", "add", *GATE, "--credentials")["credentials"]
    new = desk.json("devices", "rotate", "garden", "gate-1", "--overlap", "1h")
    assert (new["user"], new["replaces"]) == ("garden/gate-1~2", "garden/gate-1")
    assert desk.lets_in(old["user"], old["secret"])
    assert desk.lets_in(new["user"], new["secret"])


def test_without_an_overlap_the_user_stays_and_the_old_secret_ends(desk: Desk) -> None:
    (old,) = desk.json("devices", "add", *GATE, "--credentials")["credentials"]
    new = desk.json("devices", "rotate", "garden", "gate-1", "--overlap", "0")
    assert (new["user"], new["replaces"], new["until"]) == ("garden/gate-1", "", None)
    assert not desk.lets_in(old["user"], old["secret"])
    assert desk.lets_in(new["user"], new["secret"])


def test_who_is_revoked_comes_in_no_more_and_the_audit_says_why(desk: Desk) -> None:
    (old,) = desk.json("devices", "add", *GATE, "--credentials")["credentials"]
    new = desk.json("devices", "rotate", "garden", "gate-1")
    assert desk.json("devices", "revoke", "garden", "gate-1", "--reason", "stolen") == {
        "user": "garden/gate-1",
        "devices": ["garden/gate-1"],
    }
    assert not desk.lets_in(old["user"], old["secret"])
    assert not desk.lets_in(new["user"], new["secret"])
    lines = desk.json("audit", "--what", "credential")
    assert [(line["what"], line["subject"], line["reason"]) for line in lines] == [
        ("credential.added", "credential/garden/gate-1", ""),
        ("credential.rotated", "credential/garden/gate-1", ""),
        ("credential.revoked", "credential/garden/gate-1", "stolen"),
    ]
    assert "no_credentials" in desk("devices", "revoke", "garden", "gate-1").err


def test_a_file_of_devices_becomes_a_file_of_secrets_that_only_we_can_read(desk: Desk) -> None:
    rows = ["site,id,kind,user", *(f"garden,smoke-{n},smoke_sensor," for n in range(3))]
    rows += [f"garden,heat-{n},heat_sensor,gateway-1" for n in range(2)]
    sheet, secrets = desk.directory / "devices.csv", desk.directory / "secrets.csv"
    sheet.write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ("devices", "import", str(sheet), "--credentials", str(secrets))
    assert desk.json(*words)["added"] == 5
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    made = [*csv.DictReader(secrets.read_text(encoding="utf-8").splitlines())]
    assert [(row["device"], row["user"]) for row in made] == [
        *((f"smoke-{n}", f"garden/smoke-{n}") for n in range(3)),
        ("heat-0", "gateway-1"),
        ("heat-1", "gateway-1"),
    ]
    assert all(desk.lets_in(row["user"], row["secret"]) for row in made)
    assert "file_unwritable" in desk(*words).err
    assert len({row["secret"] for row in made}) == 4


def test_secrets_that_count_already_are_not_taken_away_from_who_stops_an_import_then(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:  # Ctrl-C when all of it is committed
        raise KeyboardInterrupt

    sheet, secrets = desk.directory / "devices.csv", desk.directory / "secrets.csv"
    sheet.write_text("site,id,kind\ngarden,smoke-1,smoke_sensor\n", encoding="utf-8")
    with monkeypatch.context() as while_it_is_stopped:
        while_it_is_stopped.setattr(devices_imports, "_tally", interrupted)
        assert desk("devices", "import", str(sheet), "--credentials", str(secrets)).code == EXIT_INTERRUPTED
    (made,) = csv.DictReader(secrets.read_text(encoding="utf-8").splitlines())
    assert desk("devices", "import", str(sheet), "--credentials", f"{secrets}.2").code == 0
    assert [*csv.DictReader(Path(f"{secrets}.2").read_text(encoding="utf-8").splitlines())] == []
    assert desk.lets_in(made["user"], made["secret"])


def test_a_refused_file_of_devices_leaves_no_file_of_secrets(desk: Desk) -> None:
    sheet, secrets = desk.directory / "devices.csv", desk.directory / "secrets.csv"
    sheet.write_text("site,id,kind\ngarden,a:b,smoke_sensor\n", encoding="utf-8")
    assert desk("devices", "import", str(sheet), "--credentials", str(secrets)).code == 2
    assert not secrets.exists()


def test_what_is_exported_holds_hashes_and_topics_and_the_look_is_in_the_audit(desk: Desk) -> None:
    (made,) = desk.json("devices", "add", *GATE, "--credentials")["credentials"]
    file = desk.directory / "export.jsonl"
    assert desk("devices", "export-credentials", str(file), "--reason", "another broker").code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    users = {user["user"]: user for user in map(json.loads, file.read_text(encoding="utf-8").splitlines())}
    assert users["garden/gate-1"]["reads"] == ["hub/garden/gate-1/command"]
    assert users["garden/gate-1"]["password_hash"].startswith("$7$1$")
    assert made["secret"] not in file.read_text(encoding="utf-8")
    (line,) = desk.json("audit", "--what", "credential.exported")
    assert line["reason"] == "another broker"


def test_half_an_export_for_which_the_disk_has_no_room_is_none(tmp_path: Path) -> None:
    """It was told as done: a broker that is given it would let half of the devices in."""
    file, (soft, hard) = tmp_path / "export.jsonl", resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        with devices_credentials.new_file(file) as descriptor:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
            devices_credentials.write_users(descriptor, [BrokerUser(user="garden/gate-1", password_hash="$7$" * 50)])

    try:
        with pytest.raises(OSError, match="too large"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not file.exists()


def test_a_request_is_signed_for_the_device_whatever_name_stands_in_it(desk: Desk) -> None:
    desk.json("devices", "add", *GATE)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub-telemetry")])
    request = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
    file = desk.directory / "request.pem"
    file.write_bytes(request.public_bytes(serialization.Encoding.PEM))
    made = desk.json("devices", "rotate", "garden", "gate-1", "--csr", str(file))
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    assert (made["user"], made["key"]) == ("garden/gate-1", "")
    assert certificate.subject.rfc4514_string() == "CN=garden/gate-1"
    assert certificate.public_key() == key.public_key()


def test_plan_shows_drift_and_apply_mends_it(desk: Desk) -> None:
    desk.json("devices", "add", *GATE, "--credentials")
    assert desk.json("broker", "plan")["differs"] is False
    (desk.directory / "data" / "broker" / "passwords").write_text("intruder:$7$1$a$b\n", encoding="utf-8")
    planned = desk("broker", "plan", "--json")
    assert planned.code == 1
    assert planned.document()["added"] == ["garden/gate-1"]
    assert planned.document()["rotated"] == ["hub-downlink", "hub-events", "hub-telemetry"]
    assert planned.document()["revoked"] == ["intruder"]
    assert "to revoke" in desk("broker", "plan").out
    assert desk.json("broker", "apply")["revoked"] == ["intruder"]
    assert desk.json("broker", "plan")["differs"] is False


def test_plan_changes_nothing(desk: Desk) -> None:
    before = desk.json("audit")
    (desk.directory / "secrets.toml").write_text('[mqtt.passwords]\nevents = "another"\n', encoding="utf-8")
    assert desk("broker", "plan", "--json").document()["rotated"] == ["hub-events"]
    assert desk.json("audit") == before


def test_topics_of_sources_are_in_the_files(desk: Desk) -> None:
    desk.json("sources", "add", "lora", "--network", "chirpstack")
    assert desk.json("broker", "apply")["regranted"] == ["hub-downlink", "hub-telemetry"]
    settings = read_settings(desk.directory / "hub.toml")
    users = asyncio.run(mosquitto(settings, SystemClock()).list()).users
    assert "application/+/device/+/event/up" in users["hub-telemetry"].reads
    assert "application/+/device/+/command/down" in users["hub-downlink"].writes


def test_a_network_comes_in_by_a_secret_of_its_own_and_no_more_once_it_is_revoked_or_gone(desk: Desk) -> None:
    (told,) = desk.json("sources", "add", "lora", "--network", "chirpstack", "--credentials")["credentials"]
    assert (told["user"], told["client_id"]) == ("source~lora", "source~lora")
    assert desk.lets_in(told["user"], told["secret"])
    foreign = desk(
        "devices", "add", "garden", "smoke-1", "--kind", "smoke_sensor", "--source", "lora", "--network-id", "01"
    )
    assert foreign.code == 0, foreign.err
    assert "hub sources rotate" in desk("devices", "rotate", "garden", "smoke-1").err

    second = desk.json("sources", "rotate", "lora")
    assert desk.lets_in(told["user"], told["secret"])
    assert desk.lets_in(second["user"], second["secret"])
    assert desk("sources", "revoke", "lora").code == 0
    assert not desk.lets_in(told["user"], told["secret"])
    assert not desk.lets_in(second["user"], second["secret"])

    last = desk.json("sources", "rotate", "lora")
    assert desk("devices", "remove", "garden", "smoke-1").code == 0
    assert desk("sources", "remove", "lora").code == 0
    desk.json("sources", "add", "lora", "--network", "chirpstack")
    assert not desk.lets_in(last["user"], last["secret"])


def test_what_was_at_a_site_that_is_removed_comes_in_no_more(desk: Desk) -> None:
    (told,) = desk.json("devices", "add", "garden", "gate-7", "--kind", "access_controller", "--credentials")[
        "credentials"
    ]
    assert desk.lets_in(told["user"], told["secret"])
    assert desk("sites", "remove", "garden", "--yes").code == 0
    assert not desk.lets_in(told["user"], told["secret"])


def test_a_source_that_is_not_there_gets_no_secret(desk: Desk) -> None:
    assert "[source_unknown]" in desk("sources", "rotate", "zigbee").err
    assert "[source_unknown]" in desk("sources", "revoke", "zigbee").err


def test_where_nobody_keeps_the_broker_it_is_said(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(f'data_dir = "{tmp_path}/data"\n', encoding="utf-8")
    here = ("--config", str(tmp_path / "hub.toml"))
    cli(*here, "sites", "add", "garden")
    said = cli(*here, "broker", "plan")
    assert said.code == 2
    assert "broker.keeper" in said.err
