"""Environment variables of device processes that have begun already."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from diamond_cutter.tasks.devices import DeviceSlots
from tests.waiting import AT_MOST_S


@contextmanager
def variable_in_device(slots: DeviceSlots, name: str, value: str) -> Iterator[None]:
    """Set a variable in the process of the only device, in the block."""
    before = slots.run(_set, name, value, timeout_s=AT_MOST_S)
    try:
        yield
    finally:
        slots.run(_set, name, before, timeout_s=AT_MOST_S)


def _set(name: str, value: str | None) -> str | None:
    """Set or remove a variable, and return what it was."""
    before = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    return before
