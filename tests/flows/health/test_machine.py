"""Free space and free memory are compared with what a run needs."""

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from diamond_cutter.flows.health import machine
from diamond_cutter.flows.health.machine import check_cache, check_disks, check_memory, free_memory
from diamond_cutter.storage import staging

STOP = threading.Event()


def set_free(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free))


@pytest.mark.parametrize(("free", "state"), [(0, "failed"), (1e9, "warning"), (9e9, "ok")])
def test_disks_that_are_nearly_full(
    free: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_free(monkeypatch, free)
    found = list(check_disks(str(tmp_path / "new"), tmp_path, tmp_path, STOP))
    names = ["bucket", "temporary files", "Prefect", "weights"]
    assert [each.check for each in found] == [f"disk: {name}" for name in names]
    assert {each.state for each in found} == {state}
    assert ("Free some space" in found[0].found) is (state != "ok")


@pytest.mark.parametrize("url", ["gs://place/prefix", "s3://place", "file"])
def test_the_other_disks_are_checked_whatever_the_bucket_is(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    given = str(tmp_path / "file") if url == "file" else url
    found = [each.check for each in check_disks(given, tmp_path, tmp_path, STOP)]
    assert found[-3:] == ["disk: temporary files", "disk: Prefect", "disk: weights"]
    assert len(found) == 3 + (url == "file")


def test_the_cache_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = check_cache(tmp_path / "new", STOP)
    assert (found.state, found.found) == ("ok", f"no files yet in {tmp_path / 'new'}, writable")
    (tmp_path / "weights").write_bytes(bytes(1500))
    (found,) = check_cache(tmp_path, STOP)
    assert found.found == f"1 files, 1.50 kB in {tmp_path}, writable"

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(staging, "check_writable", refuse)
    (found,) = check_cache(tmp_path, STOP)
    assert found.state == "warning"
    assert "not allowed to write to" in found.found


@pytest.mark.parametrize(
    ("devices", "free", "state"),
    [(1, 1e9, "failed"), (1, 2e9, "warning"), (2, 5e9, "warning"), (2, 9e9, "ok")],
)
def test_memory_for_the_device_processes(
    devices: int, free: float, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: free)
    monkeypatch.setattr(machine, "visible_devices", lambda: [""] * devices)
    (found,) = check_memory(STOP)
    assert found.state == state
    assert ("need" in found.found, "Close other programs" in found.found) == (True, state != "ok")


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8e9))
    assert free_memory(tmp_path) == 8e9
    (tmp_path / "memory.current").write_text("3000000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 500000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) == 8e9
    (tmp_path / "memory.max").write_text("4000000000\n")
    assert free_memory(tmp_path) == 1.5e9
