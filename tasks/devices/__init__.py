"""The devices of this machine, each with its own process in which tasks render."""

from diamond_cutter.tasks.devices.slots import (
    DeviceSlots,
    SlotsClosed,
    WorkerDied,
    WorkerError,
    WorkerRaised,
    WorkerTimedOut,
    report_progress,
    visible_devices,
)

__all__ = [
    "DeviceSlots",
    "SlotsClosed",
    "WorkerDied",
    "WorkerError",
    "WorkerRaised",
    "WorkerTimedOut",
    "report_progress",
    "visible_devices",
]
