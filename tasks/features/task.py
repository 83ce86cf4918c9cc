"""Compute the features of images, and the costs of layers, on the next free device."""

from typing import Any

from prefect import task

from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.cut_keys import costs_key
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.features.job import FeaturesJob, costs_and_commit, features_and_commit
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.features.stored import (
    CostsRecord,
    features_folder,
    stored_costs,
    stored_features,
)
from diamond_cutter.tasks.retrying import RETRIED


@task(name="compute features", task_run_name="{job.title}", **RETRIED)
def compute_features(
    job: FeaturesJob, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> None:
    """Compute the features of images on the next free device, unless already stored."""
    if stored_features(open_bucket(job.bucket), job.folder, job.numbers) is None:
        slots.run(features_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)


@task(name="measure costs", task_run_name="costs of {model}", **RETRIED)
def measure_costs(
    bucket_url: str,
    model: str,
    dataset: str,
    spec: CutSpec,
    slots: DeviceSlots,
    timeout_s: float,
) -> CostsRecord:
    """Return what the layers of a model cost, measured on the next free device once."""
    bucket, folder = open_bucket(bucket_url), features_folder(dataset, model, spec)
    stored = stored_costs(bucket, folder)
    if stored is None:
        slots.run(costs_and_commit, bucket_url, model, folder, spec.layers, timeout_s=timeout_s)
        stored = stored_costs(bucket, folder)
    if stored is None:
        raise RuntimeError(f"{costs_key(folder)} disappeared after it was written")
    return stored
