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
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

from diamond_cutter.errors import first_line
from diamond_cutter.tasks.devices.child_process import stop_child
from diamond_cutter.tasks.devices.choice import device_title, devices_of, is_gpu
from diamond_cutter.tasks.devices.gpu_check import compute_on_gpu
from diamond_cutter.tasks.devices.phases import tell_phase
from diamond_cutter.tasks.devices.pool import DevicePool
from diamond_cutter.tasks.devices.slot import DeviceBlamed, DeviceLost, Slot, revived
from diamond_cutter.tasks.devices.worker_errors import (
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
        self._pool = DevicePool(devices)
        self._check = pickle.dumps((check, ()))
        self.on_lost: Callable[[str], object] = logging.getLogger(__name__).warning

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
        return len(self._pool.slots)

    @property
    def has_gpu(self) -> bool:
        """Tell whether one of the devices is a GPU."""
        return any(is_gpu(slot.device) for slot in self._pool.slots)

    def run(
        self,
        function: Callable[[*_Arguments], _Result],
        *args: *_Arguments,
        timeout_s: float,
        on_progress: OnProgress | None = None,
        ahead: Callable[[*_Arguments], object] | None = None,
        then: tuple[*_Arguments] | None = None,
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
            ahead: a module-level function of the same arguments. While no device is free, it runs
                in the process that is likely to be free next, if that runs the same function now.
                It may compile what the call will need, and its errors are ignored.
            then: the arguments of the call that the device will probably get next, if no waiting
                call shows it. `ahead` runs with them beside this call.
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
        of_next = pickle.dumps((ahead, then)) if ahead and then else None
        tried: set[Slot] = set()
        while True:
            slot = self._pool.take(function, tried, preparation)
            try:
                begun = partial(self._begun, slot, function, of_next)
                with within():
                    result: _Result = self._run_on(
                        slot, request, timeout_s, on_progress or tell_phase, begun
                    )
                    return result
            except DeviceLost as lost:
                self._drop(slot, str(lost))
            except DeviceBlamed as failure:
                tried.add(slot)
                if all(slot in tried for slot in self._pool.slots):
                    raise failure.error from None
            finally:
                self._pool.give_back(slot)

    def close(self) -> None:
        """End all processes; running and waiting calls raise SlotsClosed."""
        with self._pool.changed:
            self._pool.closed = True
            self._pool.changed.notify_all()
            workers = [slot.worker for slot in self._pool.slots if slot.worker is not None]
        for worker in workers:
            stop_child(worker.process, _CLOSE_GRACE_S)
        with self._pool.changed:
            # A caller still reads the pipe of a busy slot, and will discard it.
            for slot in self._pool.free:
                slot.discard()

    def admit(self, *, more: bool) -> None:
        """Raise SlotsClosed in calls that have no device yet, or admit calls again.

        Calls on a device go on.
        """
        self._pool.admit(more=more)

    def _begun(self, slot: Slot, function: Callable[..., object], of_next: bytes | None) -> None:
        """Note that a call has begun, and work ahead of the next one if that is known."""
        self._pool.note_begun(slot, function, prepares=of_next is not None)
        if of_next is not None and slot.worker is not None:
            slot.worker.work_ahead(of_next)

    def _run_on(
        self,
        slot: Slot,
        request: bytes,
        timeout_s: float,
        on_progress: OnProgress,
        on_begun: Callable[[], object],
    ) -> Any:
        try:
            message = self._worker(slot).call(request, timeout_s, on_progress, on_begun)
        except BaseException as error:
            # The worker may still be busy, and its answer must not reach the next caller.
            slot.discard()
            if isinstance(error, WorkerDied):
                if self._pool.closed:
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
        with self._pool.changed:
            self._pool.check_open()
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
            if self._pool.closed:
                raise SlotsClosed("the device slots were closed during the call") from None
            raise DeviceLost(first_line(error)) from error
        if message.kind == "raised":
            raise DeviceLost(first_line(revived(message.value)))

    def _drop(self, slot: Slot, why: str) -> None:
        sentence = f"{device_title(slot.device)} has failed: {why.rstrip('.')}"
        left = self._pool.drop(slot, sentence)
        if left:
            others = "another device" if left == 1 else f"{left} other devices"
            self.on_lost(f"{sentence}. The run continues on {others}.")


@cache
def slots_of_this_process() -> DeviceSlots:
    """Return the devices of this machine, which live until this process ends."""
    slots = DeviceSlots(devices_of(None))
    atexit.register(slots.close)
    return slots
