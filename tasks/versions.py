"""The versions of the software that computes something, for its record."""

import importlib.metadata
import os
import platform

import numpy as np
from PIL import __version__ as pillow_version

from diamond_cutter.storage.sets.records import Versions


def software_versions() -> Versions:
    """Return the versions of the software in this process, and its device."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    device = (
        tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
        if gpus
        else platform.machine() + " CPU"
    )
    return Versions(
        diamond_cutter=importlib.metadata.version("diamond-cutter"),
        python=platform.python_version(),
        numpy=np.__version__,
        tensorflow=tf.__version__,
        pillow=pillow_version,
        device=device,
    )


def device_of_this_process() -> str:
    """Return the device that a device's process may use: `cpu`, or `gpu:` and its name for CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return f"gpu:{visible}" if visible else "cpu"
