"""Which device a call gets: the next free one, in the order of the calls."""

import threading
import time
from collections.abc import Callable, Sequence, Set

from diamond_cutter.tasks.devices.slot import Slot
from diamond_cutter.tasks.devices.worker_errors import NoDeviceLeft, SlotsClosed


class DevicePool:
    """Hands devices to calls, and takes them back.

    Attributes:
        slots: the devices that have not fallen out.
        free: those of them without a call.
        closed: whether calls get no device any more.
        changed: the lock of all of these, which tells waiting calls about changes.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self.slots = [Slot(device) for device in devices]
        self.free = self.slots[::-1]
        self.closed = self._refuses = False
        self.changed = threading.Condition()
        self._waiting: list[Set[Slot]] = []
        self._lost: list[str] = []

    def take(
        self, function: Callable[..., object], tried: Set[Slot], preparation: bytes | None
    ) -> Slot:
        """Return a free device that was not tried yet, if there are any others.

        Calls get devices in their order: one that has worked ahead must not lose its device to a
        later one.

        Args:
            function: what the call runs.
            tried: devices on which the call has failed.
            preparation: a pickled call that works ahead of this one, while it waits.

        Raises:
            SlotsClosed: the devices were closed, or no call begins any more.
            NoDeviceLeft: all devices have fallen out.
        """
        with self.changed:
            self._waiting.append(tried)
            try:
                while not (self._is_next(tried) or self.closed or self._refuses or not self.slots):
                    if preparation is None or not self._prepare(function, preparation):
                        self.changed.wait()
                    else:
                        preparation = None
            finally:
                # By identity: equal sets belong to other calls.
                self._waiting = [each for each in self._waiting if each is not tried]
                self.changed.notify_all()
            self.check_open()
            if self._refuses:
                raise SlotsClosed("the run starts no more work")
            slot = self._untried(tried)[-1]
            self.free.remove(slot)
            slot.taken, slot.function, slot.prepares = time.monotonic(), None, False
            return slot

    def note_begun(self, slot: Slot, function: Callable[..., object], *, prepares: bool) -> None:
        """Note that the call on a device has begun, so that work ahead may run beside it."""
        with self.changed:
            slot.function, slot.prepares = function, prepares
            self.changed.notify_all()

    def give_back(self, slot: Slot) -> None:
        """Take back a device."""
        with self.changed:
            if self.closed:
                slot.discard()
            if slot in self.slots:
                self.free.append(slot)
            # All, because the one that wakes up may have tried this device.
            self.changed.notify_all()

    def admit(self, *, more: bool) -> None:
        """Refuse calls that have no device yet, or admit calls again."""
        with self.changed:
            self._refuses = not more
            self.changed.notify_all()

    def drop(self, slot: Slot, sentence: str) -> int:
        """Let a device fall out, and return how many are left."""
        slot.discard()
        with self.changed:
            self.slots.remove(slot)
            self._lost.append(sentence)
            self.changed.notify_all()
            return len(self.slots)

    def check_open(self) -> None:
        """Check that calls can have devices.

        Raises:
            SlotsClosed: the devices were closed.
            NoDeviceLeft: all devices have fallen out.
        """
        if self.closed:
            raise SlotsClosed("the device slots are closed")
        if not self.slots:
            raise NoDeviceLeft(
                f"no device is left. {'; '.join(self._lost)}. Check the GPUs, or choose the "
                "processor: --devices cpu, or the environment variable CUDA_VISIBLE_DEVICES=-1."
            )

    def _is_next(self, tried: Set[Slot]) -> bool:
        """Tell whether a waiting call can have a free slot that no earlier call can have."""
        able = (each for each in self._waiting if self._untried(each))
        return next(able, None) is tried

    def _untried(self, tried: Set[Slot]) -> list[Slot]:
        if all(slot in tried for slot in self.slots):
            return self.free
        return [slot for slot in self.free if slot not in tried]

    def _prepare(self, function: Callable[..., object], preparation: bytes) -> bool:
        """Send work ahead to the device that is likely to be free next, if that can do it.

        That is the one with the oldest call of those that do not work ahead yet. It cannot do it if
        its call has not begun, or is of another function, because not all functions stand work of
        others beside them. If a device is free, a call that waits gets it.
        """
        busy = (slot for slot in self.slots if not slot.prepares)
        oldest = min(busy, key=lambda slot: slot.taken, default=None)
        if self.free or oldest is None or oldest.function is not function:
            return False
        oldest.prepares, worker = True, oldest.worker
        # Its pipe may be full, and others need not wait for that.
        self.changed.release()
        try:
            if worker is not None:
                worker.work_ahead(preparation)
        finally:
            self.changed.acquire()
        return True
