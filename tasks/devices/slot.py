"""The place of one device among the slots: its process, and what its last calls say about it."""

import pickle
from collections.abc import Callable

from diamond_cutter.errors import first_line
from diamond_cutter.tasks.devices.choice import is_gpu
from diamond_cutter.tasks.devices.messages import Raised, is_of_device
from diamond_cutter.tasks.devices.worker_errors import WorkerRaised
from diamond_cutter.tasks.devices.worker_process import WorkerProcess

_FAILED_CALLS = 2


class DeviceLost(Exception):
    """A device cannot be used any more; the text says why."""


class DeviceBlamed(Exception):
    """A call has failed with an error that blames the device."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Slot:
    """A device, its process, and what its last calls say about it.

    taken: when its call began, by `time.monotonic`.
    function: what its call runs, once it has begun in the process.
    prepares: whether it was told to work ahead during its call.
    failed: the calls since the last success that failed with an error that blames the device.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.worker: WorkerProcess | None = None
        self.taken, self.prepares = 0.0, False
        self.function: Callable[..., object] | None = None
        self.failed: set[bytes] = set()

    def discard(self) -> None:
        """Kill the process, if there is one."""
        if self.worker is not None:
            self.worker.discard()
            self.worker = None

    def note(self, request: bytes, error: BaseException, text: str) -> None:
        """Note a failed call; if the error blames the device, end the process.

        Args:
            request: the call.
            error: of the call.
            text: of the error, with its traceback or with what the process had printed.

        Raises:
            DeviceBlamed: the error blames the device.
            DeviceLost: several different calls have failed in this way.
        """
        if not is_gpu(self.device) or not is_of_device(text):
            return
        self.discard()
        self.failed.add(request)
        if len(self.failed) >= _FAILED_CALLS:
            raise DeviceLost(first_line(error))
        raise DeviceBlamed(error)


def revived(raised: Raised) -> BaseException:
    """Return an exception of a worker as it was raised, or as WorkerRaised with its text."""
    if raised.pickled is None:
        return WorkerRaised(
            f"the call raised an exception that cannot be sent between processes:\n{raised.text}"
        )
    error: Exception = pickle.loads(raised.pickled)
    error.add_note(f"In the worker:\n{raised.text}")
    return error
