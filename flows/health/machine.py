"""Checks the disks and the memory of this machine."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from diamond_cutter.flows.health.findings import Finding, Findings, failure
from diamond_cutter.flows.quantities import sized
from diamond_cutter.storage import StorageError, staging
from diamond_cutter.storage.url import GcsUrl, split_url
from diamond_cutter.tasks.devices import visible_devices

_DISK_FAILED, _DISK_WARNING = 200e6, 2e9
# Rendering EfficientNet-Lite0 peaks at 3.1 GB, features and imports of models at 1.5 to 1.8 GB
# (docs/performance.md). Small networks need hardly more than TensorFlow itself.
_DEVICE_PROCESS, _SMALL_PROCESS = 3e9, 1.5e9
_CGROUPS = (
    # The limit, the use, and the file and the line of caches that can be dropped.
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
     "total_inactive_file"),
)  # fmt: skip


def check_disks(
    bucket_url: str, prefect_home: Path, cache: Path, stop: threading.Event
) -> Findings:
    """Yield a finding for each folder with files that grow."""
    for name, folder in _folders(bucket_url, prefect_home, cache):
        check = f"disk: {name}"
        try:
            yield _check_disk(check, folder)
        except StorageError as error:
            yield failure(check, error)


def check_cache(cache: Path, stop: threading.Event) -> Findings:
    """Yield the finding about the folder of weights."""
    try:
        with staging.explained(f"write to {cache}, the cache of weights"):
            staging.check_writable(cache)
    except StorageError as error:
        # Models whose weights are in packages, or in the bucket, do not need it.
        yield failure("weights", error).model_copy(update={"state": "warning"})
        return
    files = [path for path in cache.rglob("*") if path.is_file()] if cache.is_dir() else []
    size = sum(path.stat().st_size for path in files)
    there = f"{len(files)} files, {sized(size)}" if files else "no files yet"
    yield Finding(check="weights", state="ok", found=f"{there} in {cache}, writable")


def check_memory(stop: threading.Event) -> Findings:
    """Yield the finding about the free memory, of which each device process needs a part."""
    devices = len(visible_devices())
    free, needed = free_memory(), devices * _DEVICE_PROCESS
    who = "a device process needs" if devices == 1 else f"{devices} device processes need"
    found = f"{sized(free)} free; {who} about {sized(needed)}"
    if free >= needed:
        yield Finding(check="memory", state="ok", found=found)
        return
    yield Finding(
        check="memory",
        state="failed" if free < _SMALL_PROCESS else "warning",
        found=f"{found}. Close other programs, or use fewer devices or a larger machine.",
    )


def free_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the bytes that this process can still take, within the limit of its container."""
    free = float(psutil.virtual_memory().available)
    for limit, used, statistics, caches in _CGROUPS:
        try:
            allowed = int((cgroup / limit).read_text())
            taken = int((cgroup / used).read_text())
            lines = (cgroup / statistics).read_text().splitlines()
        except (OSError, ValueError):
            continue  # without a limit the file says "max"
        droppable = next(
            (int(line.split()[1]) for line in lines if line.split()[:1] == [caches]), 0
        )
        free = min(free, allowed - taken + droppable)
    return max(free, 0.0)


def _folders(bucket_url: str, prefect_home: Path, cache: Path) -> Iterator[tuple[str, Path]]:
    with suppress(StorageError):  # the check of the bucket says what is wrong with the URL
        bucket = split_url(bucket_url, "bucket")
        if not isinstance(bucket, GcsUrl):
            yield "bucket", bucket.absolute()
    yield "temporary files", Path(tempfile.gettempdir())
    yield "Prefect", prefect_home
    yield "weights", cache


def _check_disk(check: str, folder: Path) -> Finding:
    with staging.explained(f"read the free space of {folder}"):
        place = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(place).free
    found = f"{sized(free)} free for {folder}"
    if free >= _DISK_WARNING:
        return Finding(check=check, state="ok", found=found)
    return Finding(
        check=check,
        state="failed" if free < _DISK_FAILED else "warning",
        found=f"{found}. Free some space, or choose a folder on another disk.",
    )
