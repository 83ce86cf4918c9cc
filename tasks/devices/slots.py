"""One long-lived worker process per device, used from the threads of a flow.

A worker sees only its own device, ignores Ctrl-C, prints nothing on the terminal and ends with its
parent. Functions that it runs report their progress with `report_progress`.

A GPU that fails falls out, and the calls go on with the other devices:

- Each new process of a GPU is checked before its first call. A GPU that it cannot compute on falls
  out at once. So a death, a hang, or an error that blames the GPU leads to a check, because the
  process is then started again.
- A call that fails with an error that blames its GPU is tried on each other device, before its
  caller gets the error. A GPU falls out if two different calls in a row fail in this way. One call
  alone does not count twice, because its work may be at fault.
"""

from __future__ import annotations

import atexit
import logging
import pickle
import threading
import time
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

from diamond_cutter.errors import first_line
from diamond_cutter.tasks.devices.child_process import stop_child
from diamond_cutter.tasks.devices.choice import device_title, devices_of, is_gpu
from diamond_cutter.tasks.devices.gpu_check import compute_on_gpu
from diamond_cutter.tasks.devices.phases import tell_phase
from diamond_cutter.tasks.devices.slot import DeviceBlamed, DeviceLost, Slot, revived
from diamond_cutter.tasks.devices.worker_errors import (
    NoDeviceLeft,
    SlotsClosed,
    WorkerDied,
    WorkerError,
)
from diamond_cutter.tasks.devices.worker_process import OnProgress, WorkerProcess

_CLOSE_GRACE_S = 5.0
_CHECK_LIMIT_S = 300.0

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class DeviceSlots:
    """The devices of this machine, each with a process that runs one call at a time.

    A process starts with the first call, and again with the next call after it died or was killed.
    In a process of a cluster, a copy stands for the devices of that machine.

    Args:
        devices: their names (see `choice.py`).
        check: a module-level function that raises an error if its process cannot compute on its
            GPU.

    Attributes:
        on_lost: called with a sentence when a device falls out and others are left. Default: it
            becomes a warning in the log.
    """

    def __init__(
        self, devices: Sequence[str], check: Callable[[], object] = compute_on_gpu
    ) -> None:
        if not devices:
            raise ValueError(
                "device slots need at least one device. A machine without a GPU has the device ''"
            )
        self._slots = [Slot(device) for device in devices]
        self._check = pickle.dumps((check, ()))
        self._free = self._slots[::-1]
        self._waiting: list[Set[Slot]] = []
        self._lost: list[str] = []
        self.on_lost: Callable[[str], object] = logging.getLogger(__name__).warning
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

    def __len__(self) -> int:
        """Return the number of devices that have not fallen out."""
        return len(self._slots)

    @property
    def has_gpu(self) -> bool:
        """Tell whether one of the devices is a GPU."""
        return any(is_gpu(slot.device) for slot in self._slots)

    def run(
        self,
        function: Callable[[*_Arguments], _Result],
        *args: *_Arguments,
        timeout_s: float,
        on_progress: OnProgress | None = None,
        ahead: Callable[[*_Arguments], object] | None = None,
        within: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> _Result:
        """Run a module-level function on the next free device, and return its small result.

        The limit does not include waiting for a device, starting its process and importing the
        function's module.

        Args:
            function: what to run.
            args: its arguments.
            timeout_s: time limit.
            on_progress: called with each value that the function reports: text is the phase that
                has begun. If omitted, phases are told to `phases_heard_by`.
            ahead: a module-level function of the same arguments. If no device is free, it runs
                in the process that is likely to be free next, if that runs the same function now.
                It may compile what the call will need, and its errors are ignored.
            within: the call runs in this context, which is entered once a device is free. An error
                on entering prevents the call, and is raised.

        Raises:
            WorkerDied: the process ended during the call.
            WorkerTimedOut: the call took longer than `timeout_s`.
            WorkerRaised: the call raised or returned an object that cannot be pickled. Other
                exceptions arrive as they were raised.
            SlotsClosed: the slots were closed before the call had its result.
            NoDeviceLeft: all devices have fallen out.
        """
        request = pickle.dumps((function, args))
        preparation = pickle.dumps((ahead, args)) if ahead else None
        tried: set[Slot] = set()
        while True:
            if preparation is not None and (busy := self._likely_next(function)) is not None:
                busy.work_ahead(preparation)
            slot = self._take(tried)
            slot.function = function
            try:
                heard = on_progress or tell_phase
                with within():
                    result: _Result = self._run_on(slot, request, timeout_s, heard)
                    return result
            except DeviceLost as lost:
                self._drop(slot, str(lost))
            except DeviceBlamed as failure:
                tried.add(slot)
                if all(slot in tried for slot in self._slots):
                    raise failure.error from None
            finally:
                self._give_back(slot)

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

    def _take(self, tried: Set[Slot]) -> Slot:
        """Return a free slot that was not tried yet, if there are any others; in order of calls.

        A call that has worked ahead must not lose its device to a later one.
        """
        with self._changed:
            self._waiting.append(tried)
            try:
                self._changed.wait_for(
                    lambda: self._is_next(tried) or self._closed or self._refuses or not self._slots
                )
            finally:
                # By identity: equal sets belong to other calls.
                self._waiting = [each for each in self._waiting if each is not tried]
                self._changed.notify_all()
            self._check_open()
            if self._refuses:
                raise SlotsClosed("the run starts no more work")
            slot = self._untried(tried)[-1]
            self._free.remove(slot)
            slot.taken, slot.prepares = time.monotonic(), False
            return slot

    def _is_next(self, tried: Set[Slot]) -> bool:
        """Tell whether a waiting call can have a free slot that no earlier call can have."""
        able = (each for each in self._waiting if self._untried(each))
        return next(able, None) is tried

    def _untried(self, tried: Set[Slot]) -> list[Slot]:
        if all(slot in tried for slot in self._slots):
            return self._free
        return [slot for slot in self._free if slot not in tried]

    def _likely_next(self, function: Callable[..., object]) -> WorkerProcess | None:
        """Return the process with the oldest call, if it can work ahead.

        None if a device is free, or if the process works ahead already. None also beside another
        function, because not all functions stand work of others beside them.
        """
        with self._changed:
            if len(self._free) > len(self._waiting) or not self._slots:
                return None
            oldest = min(self._slots, key=lambda slot: slot.taken)
            if oldest.prepares or oldest.function is not function:
                return None
            oldest.prepares = oldest.worker is not None
            return oldest.worker

    def _run_on(
        self, slot: Slot, request: bytes, timeout_s: float, on_progress: OnProgress | None
    ) -> Any:
        try:
            message = self._worker(slot).call(request, timeout_s, on_progress)
        except BaseException as error:
            # The worker may still be busy, and its answer must not reach the next caller.
            slot.discard()
            if isinstance(error, WorkerDied):
                if self._closed:
                    raise SlotsClosed("the device slots were closed during the call") from None
                slot.note(request, error, str(error))
            raise
        if message.kind == "raised":
            raised = revived(message.value)
            slot.note(request, raised, message.value.text)
            raise raised
        slot.failed.clear()
        return message.value

    def _worker(self, slot: Slot) -> WorkerProcess:
        """Return the process of a slot, started and checked if it is not running.

        Raises:
            DeviceLost: the process cannot compute on its GPU.
        """
        if slot.worker is not None and slot.worker.process.poll() is not None:
            slot.discard()
        # Under the lock, so that `close` does not miss a process that is about to start.
        with self._changed:
            self._check_open()
            if slot.worker is not None:
                return slot.worker
            slot.worker = worker = WorkerProcess(slot.device)
        if is_gpu(slot.device):
            self._check_device(worker)
        return worker

    def _check_device(self, worker: WorkerProcess) -> None:
        try:
            message = worker.call(self._check, _CHECK_LIMIT_S, None)
        except WorkerError as error:
            if self._closed:
                raise SlotsClosed("the device slots were closed during the call") from None
            raise DeviceLost(first_line(error)) from error
        if message.kind == "raised":
            raise DeviceLost(first_line(revived(message.value)))

    def _drop(self, slot: Slot, why: str) -> None:
        slot.discard()
        sentence = f"{device_title(slot.device)} has failed: {why.rstrip('.')}"
        with self._changed:
            self._slots.remove(slot)
            self._lost.append(sentence)
            left = len(self._slots)
            self._changed.notify_all()
        if left:
            others = "another device" if left == 1 else f"{left} other devices"
            self.on_lost(f"{sentence}. The run continues on {others}.")

    def _give_back(self, slot: Slot) -> None:
        with self._changed:
            if self._closed:
                slot.discard()
            if slot in self._slots:
                self._free.append(slot)
            # All, because the one that wakes up may have tried this device.
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise SlotsClosed("the device slots are closed")
        if not self._slots:
            raise NoDeviceLeft(
                f"no device is left. {'; '.join(self._lost)}. Check the GPUs, or choose the "
                "processor: --devices cpu, or the environment variable CUDA_VISIBLE_DEVICES=-1."
            )


@cache
def slots_of_this_process() -> DeviceSlots:
    """Return the devices of this machine, which live until this process ends."""
    slots = DeviceSlots(devices_of(None))
    atexit.register(slots.close)
    return slots
