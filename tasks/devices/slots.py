"""One long-lived worker process per device, used from the threads of a flow.

A worker sees only its own device, ignores Ctrl-C, prints nothing on the terminal and ends with its
parent. Functions that it runs report their progress with `report_progress`.
"""

from __future__ import annotations

import atexit
import os
import pickle
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from itertools import takewhile
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar, TypeVarTuple

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.tasks.devices.child_process import kill_child, log_tail, start_child, stop_child

# A worker that has not started the call by then hangs in its imports.
_START_LIMIT_S = 300.0
_CLOSE_GRACE_S = 5.0
# A dead worker is noticed after this time even if a child of its own holds the pipe open.
_LIFE_CHECK_S = 1.0

# TensorFlow reads these when it is imported. The user's own settings take precedence. Without the
# last, TensorFlow does not use oneDNN's faster kernels on processors without AVX-512.
_TENSORFLOW = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")
_OnProgress = Callable[[Any], None]


class WorkerError(DiamondCutterError):
    """A call on a device has no result."""

    exit_code = 1


class WorkerDied(WorkerError):
    """The worker process ended during the call."""


class WorkerTimedOut(WorkerError):
    """The call exceeded its time limit, so its process was killed."""


class WorkerRaised(WorkerError):
    """The call raised or returned an object that cannot be pickled; the text describes it."""


class SlotsClosed(WorkerError):
    """The slots were closed before the call had its result."""


class Message(NamedTuple):
    """A message from a worker."""

    kind: Literal["started", "progress", "result", "raised"]
    value: Any = None


class Raised(NamedTuple):
    """An exception on its way to the caller: as text, and pickled if possible."""

    text: str
    pickled: bytes | None


_parent: Connection | None = None


def report_progress_to(parent: Connection) -> None:
    """Make this process a worker that sends its progress to `parent`."""
    global _parent
    _parent = parent


def report_progress(value: object) -> None:
    """Send a small value to the `on_progress` of this worker's call; elsewhere do nothing."""
    if _parent is not None:
        _parent.send(Message("progress", value))


def visible_devices() -> list[str]:
    """Return the names of the GPUs; a machine without a GPU has the single device ''."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [str(index) for index in range(_count_gpus())] or [""]
    names = (name.strip() for name in chosen.split(","))
    # CUDA ignores everything after the first invalid name.
    return list(takewhile(lambda name: name not in ("", "-1"), names)) or [""]


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


class DeviceSlots:
    """The devices of this machine, each with a process that runs one call at a time.

    A process starts with the first call, and again with the next call after it died or was killed.
    In a process of a cluster, a copy stands for the devices of that machine.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        if not devices:
            raise ValueError(
                "device slots need at least one device. A machine without a GPU has the device ''"
            )
        self._slots = [_Slot(device) for device in devices]
        self._free = self._slots[::-1]
        self._closed = self._refuses = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[], DeviceSlots], tuple[()]]:
        """Pickle the slots as those of the machine on which they are unpickled."""
        return slots_of_this_process, ()

    def run(
        self,
        function: Callable[[*_Arguments], _Result],
        *args: *_Arguments,
        timeout_s: float,
        on_progress: _OnProgress | None = None,
    ) -> _Result:
        """Run a module-level function on the next free device, and return its small result.

        The limit does not include waiting for a device, starting its process and importing the
        function's module.

        Raises:
            WorkerDied: the process ended during the call.
            WorkerTimedOut: the call took longer than `timeout_s`.
            WorkerRaised: the call raised or returned an object that cannot be pickled. Other
                exceptions arrive as they were raised.
            SlotsClosed: the slots were closed before the call had its result.
        """
        request = pickle.dumps((function, args))
        slot = self._take()
        try:
            message = self._worker(slot).call(request, timeout_s, on_progress)
        except BaseException as error:
            # The worker may still be busy, and its answer must not reach the next caller.
            slot.discard()
            if isinstance(error, WorkerDied) and self._closed:
                raise SlotsClosed("the device slots were closed during the call") from None
            raise
        finally:
            self._give_back(slot)
        if message.kind == "raised":
            raise _revived(message.value)
        result: _Result = message.value
        return result

    def close(self) -> None:
        """End all processes; running and waiting calls raise SlotsClosed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            workers = [slot.worker for slot in self._slots if slot.worker is not None]
        for worker in workers:
            stop_child(worker.process, _CLOSE_GRACE_S)
        with self._changed:
            # A caller still reads the pipe of a busy slot, and will discard it.
            for slot in self._free:
                slot.discard()

    def admit(self, *, more: bool) -> None:
        """Raise SlotsClosed in calls that have no device yet, or admit calls again.

        Calls on a device go on.
        """
        with self._changed:
            self._refuses = not more
            self._changed.notify_all()

    def _take(self) -> _Slot:
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._closed or self._refuses)
            self._check_open()
            if self._refuses:
                raise SlotsClosed("the run starts no more work")
            return self._free.pop()

    def _worker(self, slot: _Slot) -> _Worker:
        if slot.worker is not None and slot.worker.process.poll() is not None:
            slot.discard()
        # Under the lock, so that `close` does not miss a process that is about to start.
        with self._changed:
            self._check_open()
            if slot.worker is None:
                slot.worker = _Worker(slot.device)
            return slot.worker

    def _give_back(self, slot: _Slot) -> None:
        with self._changed:
            if self._closed:
                slot.discard()
            self._free.append(slot)
            self._changed.notify()

    def _check_open(self) -> None:
        if self._closed:
            raise SlotsClosed("the device slots are closed")


@cache
def slots_of_this_process() -> DeviceSlots:
    """Return the devices of this machine, which live until this process ends."""
    slots = DeviceSlots(visible_devices())
    atexit.register(slots.close)
    return slots


class _Slot:
    def __init__(self, device: str) -> None:
        self.device = device
        self.worker: _Worker | None = None

    def discard(self) -> None:
        if self.worker is not None:
            self.worker.discard()
            self.worker = None


class _Worker:
    def __init__(self, device: str) -> None:
        self.name = f"the worker of device {device!r}" if device else "the CPU worker"
        environment = {**_TENSORFLOW, **os.environ, "CUDA_VISIBLE_DEVICES": device}
        self.log = tempfile.TemporaryFile()
        self.connection, theirs = Pipe()
        with theirs:
            self.process = start_child(
                "diamond_cutter.tasks.devices.worker",
                pass_fd=theirs.fileno(),
                environment=environment,
                log=self.log,
            )

    def call(self, request: bytes, timeout_s: float, on_progress: _OnProgress | None) -> Message:
        with suppress(ConnectionError):  # the answer, or its absence, is read below
            self.connection.send_bytes(request)
        limit_s, doing = _START_LIMIT_S, "start the call"
        deadline = time.monotonic() + limit_s
        while True:
            message = self._receive(deadline)
            if message is None or (message.kind == "progress" and time.monotonic() > deadline):
                raise WorkerTimedOut(
                    f"{self.name} was killed because it did not {doing} within {limit_s:g} s"
                )
            if message.kind == "started":
                limit_s, doing = timeout_s, "finish the call"
                deadline = time.monotonic() + limit_s
            elif message.kind != "progress":
                return message
            elif on_progress is not None:
                on_progress(message.value)

    def discard(self) -> None:
        kill_child(self.process)
        self.connection.close()
        self.log.close()

    def _receive(self, deadline: float) -> Message | None:
        try:
            while not self.connection.poll(min(max(deadline - time.monotonic(), 0), _LIFE_CHECK_S)):
                if self.process.poll() is not None and not self.connection.poll():
                    raise EOFError
                if time.monotonic() > deadline:
                    return None
            content = self.connection.recv_bytes()
        except (EOFError, ConnectionError):
            raise WorkerDied(self._obituary()) from None
        message: Message = pickle.loads(content)
        return message

    def _obituary(self) -> str:
        # The pipe closes a little before the exit status is available.
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LIFE_CHECK_S)
        status = self.process.returncode
        if status is None:
            end = "closed its pipe"
        else:
            end = (
                f"was killed by {signal.Signals(-status).name}"
                if status < 0
                else f"exited with code {status}"
            )
        printed = log_tail(self.log)
        return f"{self.name} {end} during the call" + (
            f". It had printed:\n{printed}" if printed else ""
        )


def _revived(raised: Raised) -> BaseException:
    if raised.pickled is None:
        return WorkerRaised(
            f"the call raised an exception that cannot be sent between processes:\n{raised.text}"
        )
    error: Exception = pickle.loads(raised.pickled)
    error.add_note(f"In the worker:\n{raised.text}")
    return error
