"""Checks in a worker that TensorFlow can compute on the worker's GPU."""

from diamond_cutter.tasks.devices.worker_errors import DeviceMissing


def compute_on_gpu() -> None:
    """Compute a small sum on this process's GPU.

    Without this check, TensorFlow would compute everything on the processor if it finds no GPU.

    Raises:
        DeviceMissing: TensorFlow finds no GPU.
        tensorflow.errors.OpError: the GPU does not compute.
    """
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        raise DeviceMissing(
            "TensorFlow finds no such GPU; it needs an NVIDIA driver, and the extra [gpu] of this "
            "package"
        )
    with tf.device("/GPU:0"):
        float(tf.reduce_sum(tf.ones(64)))
