"""Measure images of a dataset on the next free device."""

from typing import Any

from prefect import task

from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.attribution.job import ImagesJob, attribute_and_commit, stored_images
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.retrying import RETRIED

IMAGES_AT_ONCE = 128


@task(name="attribute images", task_run_name="{job.title}", **RETRIED)
def attribute_images(job: ImagesJob, slots: DeviceSlots, timeout_s: float, on_progress: Any) -> str:
    """Measure images on the next free device, unless already stored; return the record's key."""
    if stored_images(open_bucket(job.bucket), job) is None:
        slots.run(attribute_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)
    return job.record_key
