"""Errors of calls on devices."""

from diamond_cutter.errors import DiamondCutterError


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


class NoDeviceLeft(WorkerError):
    """Every device of the run has failed; the text says how each did."""


class DeviceMissing(DiamondCutterError):
    """The process of a GPU cannot compute on it."""
