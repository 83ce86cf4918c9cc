"""Choose methods, and measure images of a dataset, on the next free device."""

from typing import Any

from prefect import task

from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.report_keys import methods_key
from diamond_cutter.tasks.attribution.choosing_methods import choose_and_commit, stored_methods
from diamond_cutter.tasks.attribution.job import ImagesJob, attribute_and_commit, stored_images
from diamond_cutter.tasks.attribution.method_choice import MethodsRecord
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.retrying import RETRIED

IMAGES_AT_ONCE = 128


@task(name="choose methods", **RETRIED)
def choose_methods(
    job: ImagesJob, images: int, slots: DeviceSlots, timeout_s: float
) -> MethodsRecord:
    """Choose the method of each layer on the next free device, unless already stored.

    Args:
        job: with a few of the images.
        images: number of images of the dataset.
        slots: the devices.
        timeout_s: time limit.
    """
    bucket = open_bucket(job.bucket)
    stored = stored_methods(bucket, job.folder)
    if stored is None:
        slots.run(choose_and_commit, job, images, timeout_s=timeout_s)
        stored = stored_methods(bucket, job.folder)
    if stored is None:
        raise RuntimeError(
            f"{methods_key(job.folder)} disappeared after it was written. Run the same command "
            "again."
        )
    return stored


@task(name="attribute images", task_run_name="{job.title}", **RETRIED)
def attribute_images(job: ImagesJob, slots: DeviceSlots, timeout_s: float, on_progress: Any) -> str:
    """Measure images on the next free device, unless already stored; return the record's key."""
    if stored_images(open_bucket(job.bucket), job) is None:
        slots.run(attribute_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)
    return job.record_key
