"""The packages are compared with what is required, and TensorFlow is asked in its own process."""

import importlib.metadata
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from diamond_cutter.flows.health import software
from diamond_cutter.flows.health.findings import Check, run_checks
from diamond_cutter.flows.health.software import check_packages, check_tensorflow
from diamond_cutter.storage.sets.records import Versions
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.devices.inspection import DeviceReport

STOP = threading.Event()


def test_this_environment_is_fine() -> None:
    packages, extras = check_packages(STOP)
    assert (packages.state, extras.state) == ("ok", "ok")
    assert importlib.metadata.version("diamond-cutter") in packages.found
    assert "hub" in extras.found.partition(" installed")[0]


def test_packages_that_are_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "": ["numpy>=99", "no-such-package"],
        "mine": ["numpy>=99"],
        "other": ["no-such-package"],
        "deep": ["tensorflow[and-cuda]"],
    }
    monkeypatch.setattr(
        software,
        "_requirements_by_extra",
        lambda: {extra: [*map(Requirement, each)] for extra, each in names.items()},
    )
    packages, extras = check_packages(STOP)
    assert packages.state == "failed"
    assert "expected >=99, no-such-package is missing. Run pip install" in packages.found
    assert extras.state == "warning"
    assert "not installed: deep, mine, other. Versions differ: mine (numpy is" in extras.found


@pytest.mark.slow
def test_tensorflow_answers(lasting_slots: DeviceSlots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "DeviceSlots", lambda devices: nullcontext(lasting_slots))
    (found,) = check_tensorflow(STOP)
    assert found.state == "ok"
    assert found.found.startswith(f"TensorFlow {importlib.metadata.version('tensorflow')}")


@pytest.mark.parametrize(
    ("gpus", "broken", "visible", "state", "words"),
    [
        ((), {}, ["0"], "failed", "This machine has 1 GPUs, but TensorFlow finds 0"),
        (("/GPU:0",), {"/GPU:0": "no memory"}, ["0"], "failed", "does not compute (no memory)"),
        (("/GPU:0", "/GPU:1"), {}, ["0", "1"], "ok", "2 GPUs (a GPU)"),
        ((), {}, [], "ok", "no GPU; a GPU with 4 cores"),
    ],
)
def test_gpus(
    gpus: tuple[str, ...], broken: dict[str, str], visible: list[str], state: str, words: str
) -> None:
    versions = Versions(
        diamond_cutter="1", python="3", numpy="2", tensorflow="2.21", pillow="11", device="a GPU"
    )
    found = software._describe(DeviceReport(versions, gpus, broken, 4), visible)
    assert found.state == state
    assert words in found.found


@pytest.mark.slow
def test_another_module_named_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorflow.py").write_text("raise RuntimeError('not the real one')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    checks = [Check("TensorFlow", 60, check_tensorflow)]
    (found,) = run_checks(checks)
    assert found.state == "failed"
    assert "RuntimeError: not the real one" in found.found
    assert "Remove other files named tensorflow from PYTHONPATH" in found.found
