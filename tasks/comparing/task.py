"""Compare the layers of two models on a device."""

from typing import Any

from prefect import task

from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.comparing.similar_layers import (
    LayersJob,
    SimilarLayersRecord,
    compare_and_commit,
    stored_layers,
)
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.retrying import RETRIED


@task(
    name="compare layers",
    **RETRIED,
)
def compare_layers(
    job: LayersJob, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> SimilarLayersRecord:
    """Return how alike the layers of two models are, computed in the next free process once."""
    stored = stored_layers(open_bucket(job.bucket), job)
    if stored is not None:
        return stored
    return slots.run(compare_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)
