"""The environment of a worker: the device that it sees, and TensorFlow's settings for it."""

import os

from diamond_cutter.tasks.devices.choice import cores_of, is_gpu
from diamond_cutter.tasks.devices.compiled_programs import folder_for_compiled_programs

# TensorFlow reads these when it is imported. The user's own settings take precedence. Without the
# last, TensorFlow does not use oneDNN's faster kernels on processors without AVX-512.
_TENSORFLOW = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


def worker_environment(device: str) -> dict[str, str]:
    """Return the environment variables of a device's worker."""
    environment = {
        **_TENSORFLOW,
        **_threads(device),
        **os.environ,
        "CUDA_VISIBLE_DEVICES": device if is_gpu(device) else "",
    }
    folder = folder_for_compiled_programs() if is_gpu(device) else None
    if folder is not None:
        # The user's flags come last, so that they take precedence.
        environment["TF_XLA_FLAGS"] = " ".join(
            (
                f"--tf_xla_persistent_cache_directory={folder}",
                "--tf_xla_persistent_cache_device_types=XLA_GPU_JIT",
                os.environ.get("TF_XLA_FLAGS", ""),
            )
        ).strip()
    return environment


def _threads(device: str) -> dict[str, str]:
    """Return the number of threads of a process that shares the processor with others."""
    cores = cores_of(device)
    if cores is None:
        return {}
    return {"TF_NUM_INTRAOP_THREADS": str(cores), "TF_NUM_INTEROP_THREADS": str(cores)}
