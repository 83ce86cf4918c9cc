"""The devices of this machine, each with its own process in which tasks render."""

from diamond_cutter.tasks.devices.choice import (
    DEVICES_HELP,
    BadDevices,
    check_devices,
    devices_of,
    visible_devices,
)
from diamond_cutter.tasks.devices.messages import report_progress
from diamond_cutter.tasks.devices.slots import DeviceSlots
from diamond_cutter.tasks.devices.worker_errors import (
    NoDeviceLeft,
    SlotsClosed,
    WorkerDied,
    WorkerError,
    WorkerRaised,
    WorkerTimedOut,
)

__all__ = [
    "DEVICES_HELP",
    "BadDevices",
    "DeviceSlots",
    "NoDeviceLeft",
    "SlotsClosed",
    "WorkerDied",
    "WorkerError",
    "WorkerRaised",
    "WorkerTimedOut",
    "check_devices",
    "devices_of",
    "report_progress",
    "visible_devices",
]
