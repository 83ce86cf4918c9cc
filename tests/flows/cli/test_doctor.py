"""The command prints a line for each finding, and ends with 1 if one failed."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from diamond_cutter.flows.cli.main import run
from diamond_cutter.flows.health import software
from diamond_cutter.tasks.devices import DeviceSlots

pytestmark = pytest.mark.slow

CHECKS = {"packages", "extras", "TensorFlow", "Prefect", "bucket: write", "memory", "clock"}


@pytest.fixture(autouse=True)
def ready(lasting_slots: DeviceSlots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "DeviceSlots", lambda devices: nullcontext(lasting_slots))


def test_all_checks_have_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["doctor", "--bucket", str(tmp_path / "new"), "--json"])
    found = json.loads(capsys.readouterr().out)
    failed = [each for each in found["findings"] if each["state"] == "failed"]
    assert (found["failed"], code) == (len(failed), 1 if failed else 0)
    assert CHECKS <= {each["check"] for each in found["findings"]}
    assert not list(tmp_path.iterdir())


def test_a_failed_check_fails_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(["doctor", "--bucket", str(tmp_path / "file")]) == 1
    printed = capsys.readouterr().out.splitlines()
    (line,) = [line for line in printed if line.startswith("bucket ")]
    assert line.split()[1] == "FAILED"
    assert printed[-1].startswith(f"{len(printed) - 2} checks: ")
