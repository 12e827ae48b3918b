"""The wheel, built and installed in an environment elsewhere: it is whole, and works far from this tree.

What it proves: the wheel holds every module, migration and YAML file, its command starts, and nothing of it is read
from the tree. What it does not: that its dependencies can be downloaded. They are lent by this environment (one line in
a .pth file; the editable installation of the tree does not come with them), because fetching them would cost a minute.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.config.settings import packaged
from hub.yaml_documents import load_tree
from tests.house.rooms import HOUSE, modules
from tests.ui.installation import environment
from tests.waiting import PATIENCE_SECONDS

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it with the pinned builder of this environment."""
    directory = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q")
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(directory), str(HOUSE)]
    subprocess.run(command, check=True, env=environment())
    (found,) = directory.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install it elsewhere; return the way to run its commands there."""
    place = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    python = place / "venv" / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*command, "--disable-pip-version-check", str(wheel)], check=True, env=environment())
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    lent = place / "venv" / "lib" / version / "site-packages" / "lent.pth"
    lent.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    def it(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(python.with_name(name)), *words]
        return subprocess.run(
            command,
            cwd=place,
            env=environment(TERM="dumb"),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    return it


def document(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 -- JSON is anything
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_wheel_holds_every_module_and_every_yaml_file_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    code = {path.as_posix() for path in modules("hub", "simulators")}
    yaml = {
        f"hub/packaged/{path.relative_to(HOUSE).as_posix()}"
        for room in ("device_profiles", "rules", "scenes", "city_rules")
        for path in (HOUSE / room).rglob("*.yaml")
    }
    assert sorted((code | yaml) - set(names)) == []
    assert [name for name in names if name.startswith(("tests/", "benchmarks/"))] == []


def test_nothing_of_it_is_read_from_the_tree(run: Run) -> None:
    told = run("python", "-c", "import hub, simulators; print(hub.__file__, simulators.__file__)")
    assert told.returncode == 0, told.stderr
    assert str(HOUSE) not in told.stdout
    assert "/elsewhere" in told.stdout
    assert run("hub", "version").stdout == "0.1.0\n"


def test_the_demo_adds_up_there(run: Run) -> None:
    done = run("hub", "demo", "--duration", "3")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines()[-1] == "adds up"


def test_an_installation_made_there_has_its_own_yaml_over_what_shipped_by_name(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "garden"
    assert run("hub", "init", str(place), "--yes").returncode == 0
    own = (HOUSE / "device_profiles" / "milesight" / "gs524n.yaml").read_text("utf-8")
    assert "label: {en: Smoke sensor GS524N," in own
    mine = own.replace("label: {en: Smoke sensor GS524N,", "label: {en: Ours,")
    (place / "device_profiles" / "ours.yaml").write_text(mine, encoding="utf-8")
    rule = "rule: smoke-alarm\nversion: 9.0.0\nfor_each: smoke_sensor\nwhen: status == 'alarm'\n"
    rule += "raise: {event: fire.smoke_alarm, severity: low}\n"
    (place / "rules" / "ours.yaml").write_text(rule, encoding="utf-8")

    at = ("hub", "--config", str(place / "hub.toml"))
    assert document(run(*at, "profiles", "show", "milesight/gs524n", "--json"))["label"]["en"] == "Ours"
    rules = {each["rule"]: each for each in document(run(*at, "rules", "list", "--json"))}
    shipped = load_tree([packaged("rules")], {"rule"})
    assert rules.keys() == {document.name for document in shipped.values()}
    assert (rules["smoke-alarm"]["version"], rules["smoke-alarm"]["severity"]) == ("9.0.0", "low")
    # The registry is made by the migrations inside the wheel.
    assert run(*at, "sites", "add", "garden").returncode == 0
    assert [site["id"] for site in document(run(*at, "sites", "list", "--json"))] == ["garden"]
