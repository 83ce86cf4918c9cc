"""Train new layers on a device, and make a bundle of the result."""

from typing import Any

from prefect import task

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.attaching.checkpoints import AttachedRecord, stored_result
from diamond_cutter.tasks.attaching.job import AttachJob
from diamond_cutter.tasks.attaching.spec import AttachSpec
from diamond_cutter.tasks.attaching.training import bundle_and_commit, train_and_commit
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.retrying import RETRIED


@task(
    name="train new layers",
    task_run_name="new layers on {job.model}",
    **RETRIED,
)
def train_layers(
    job: AttachJob, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> AttachedRecord:
    """Return the record of a training, which runs on the next free device unless it is stored."""
    bucket = open_bucket(job.bucket)
    stored = stored_result(bucket, job.folder)
    if stored is None or stored.division != job.dataset.division:
        slots.run(train_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)
        stored = stored_result(bucket, job.folder)
    if stored is None:
        raise RuntimeError(f"{job.folder} has no result after its training")
    return stored


@task(
    name="make bundle",
    task_run_name="make bundle of {name}",
    **RETRIED,
)
def make_bundle(
    bucket_url: str, folder: str, name: str, spec: AttachSpec, slots: DeviceSlots, timeout_s: float
) -> ModelCard:
    """Return the card of the trained network's bundle, which is stored under a name."""
    return slots.run(bundle_and_commit, bucket_url, folder, name, spec, timeout_s=timeout_s)
