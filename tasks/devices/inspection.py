"""Reports from a device's process what TensorFlow finds there."""

import os
from typing import NamedTuple

from diamond_cutter.storage.sets.records import Versions
from diamond_cutter.tasks.versions import software_versions

_SIDE = 64


class DeviceReport(NamedTuple):
    """What TensorFlow finds in a device's process.

    Attributes:
        versions: of the software in this process.
        gpus: the names of the GPUs.
        broken: why GPUs do not compute, by their names.
        cores: the number of processor cores that this process may use.
    """

    versions: Versions
    gpus: tuple[str, ...]
    broken: dict[str, str]
    cores: int


def inspect_devices() -> DeviceReport:
    """Return what TensorFlow finds in this process; each GPU multiplies two small matrices."""
    import tensorflow as tf

    names = tuple(device.name for device in tf.config.list_logical_devices("GPU"))
    broken = {}
    for name in names:
        try:
            with tf.device(name):
                ones = tf.ones((_SIDE, _SIDE))
                if float(tf.reduce_sum(ones @ ones)) != _SIDE**3:
                    broken[name] = "it computes a wrong product of two matrices"
        except tf.errors.OpError as error:
            broken[name] = str(error.message).partition("\n")[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return DeviceReport(software_versions(), names, broken, cores or 1)
