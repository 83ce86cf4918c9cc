"""The devices of this machine, each with a process of its own: where tasks render."""

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
