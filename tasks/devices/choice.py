"""The devices that a run may use, and the user's choice among them.

A device has a name: that of a GPU for `CUDA_VISIBLE_DEVICES`, '' for the processor, or 'cpu/N' for
one of N processes that share the processor's cores.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from itertools import takewhile

from diamond_cutter.errors import DiamondCutterError

DEVICES_HELP = (
    "where to compute: gpu, gpu:0,gpu:1 (two of several), cpu, or cpu:2 (two processes that share "
    "the cores); if omitted, all GPUs, otherwise the processor"
)
_ITEM = re.compile(r"(gpu|cpu)(?::(\d{1,4}))?")
_SHARE = "cpu/"


class BadDevices(DiamondCutterError, ValueError):
    """The choice of devices is not valid here."""


def visible_devices() -> list[str]:
    """Return the names of the GPUs; a machine without a GPU has the single device ''."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [str(index) for index in range(_count_gpus())] or [""]
    names = (name.strip() for name in chosen.split(","))
    # CUDA ignores everything after the first invalid name.
    return list(takewhile(lambda name: name not in ("", "-1"), names)) or [""]


def devices_of(choice: str | None) -> list[str]:
    """Return the devices of a choice such as `gpu:0,gpu:1` or `cpu:2`; of None, all visible ones.

    GPUs are counted among the visible ones, from 0. `gpu` is all of them.

    Raises:
        BadDevices: the choice cannot be read, or names a device that this machine lacks.
    """
    visible = visible_devices()
    if choice is None:
        return visible
    check_devices(choice)
    kinds = [_parts(item) for item in choice.split(",")]
    if kinds[0][0] == "cpu":
        return _processes(kinds[0][1] or 1)
    gpus = [device for device in visible if is_gpu(device)]
    chosen = [number for _, number in kinds if number is not None]
    for number in chosen:
        if number >= len(gpus):
            raise BadDevices(_missing(f"the device gpu:{number}", gpus))
    if not gpus:
        raise BadDevices(_missing("the device gpu", gpus))
    return [gpus[number] for number in chosen] or gpus


def check_devices(choice: str) -> str:
    """Return a choice of devices that can be read, whatever devices this machine has.

    Raises:
        BadDevices: it cannot be read.
    """
    expected = "expected gpu:0,gpu:1 (numbers of GPUs), gpu, cpu, or cpu:2 (a number of processes)"
    items = choice.split(",")
    if not all(_ITEM.fullmatch(item.strip()) for item in items):
        raise BadDevices(f"the choice {choice!r} cannot be read: {expected}")
    kinds = [_parts(item) for item in items]
    if len(set(kinds)) < len(kinds):
        raise BadDevices(f"the devices {choice!r} repeat one: expected each once")
    if ("cpu", 0) in kinds:
        raise BadDevices(f"the devices {choice!r} have no process: {expected}")
    if len(kinds) > 1 and not all(kind == "gpu" and number is not None for kind, number in kinds):
        raise BadDevices(f"the devices {choice!r} do not go together: {expected}")
    return choice


def is_gpu(device: str) -> bool:
    """Tell whether a device is a GPU."""
    return device != "" and not device.startswith(_SHARE)


def cores_of(device: str) -> int | None:
    """Return the number of cores of a process that shares the processor, None for all."""
    if not device.startswith(_SHARE):
        return None
    return max(_cores() // int(device.removeprefix(_SHARE)), 1)


def device_title(device: str) -> str:
    """Return the name of a device in sentences."""
    return f"GPU {device}" if is_gpu(device) else "the processor"


def _parts(item: str) -> tuple[str, int | None]:
    kind, _, number = item.strip().partition(":")
    return kind, int(number) if number else None


def _processes(count: int) -> list[str]:
    if count > _cores():
        raise BadDevices(
            f"the devices cpu:{count} do not exist: expected at most a process for each core, "
            f"found {_cores()} cores"
        )
    return [f"{_SHARE}{count}"] * count if count > 1 else [""]


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _missing(what: str, gpus: Sequence[str]) -> str:
    if not gpus:
        return f"{what} does not exist: found no GPU. Choose --devices cpu."
    names = ", ".join(f"gpu:{number}" for number in range(len(gpus)))
    return f"{what} does not exist: expected {names}, found {len(gpus)} GPUs"


def _count_gpus() -> int:
    command = shutil.which("nvidia-smi")
    if command is None:
        return 0
    try:
        listing = subprocess.run(
            [command, "-L"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listing.splitlines())
