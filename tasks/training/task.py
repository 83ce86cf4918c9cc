"""Train heads on some cuts of a model on the next free device."""

from typing import Any

from prefect import task

from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.sprite_set import read_record
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.retrying import RETRIED
from diamond_cutter.tasks.training.job import TrainedRecord, TrainingJob, train_and_commit


@task(name="train heads", task_run_name="heads of {job.model}", **RETRIED)
def train_heads(
    job: TrainingJob, slots: DeviceSlots, timeout_s: float, on_progress: Any
) -> TrainedRecord:
    """Return how trained heads test, trained on the next free device unless already stored."""
    bucket = open_bucket(job.bucket)
    stored = read_record(bucket, job.key, TrainedRecord)
    if stored is None or stored.division != job.dataset.division:
        slots.run(train_and_commit, job, timeout_s=timeout_s, on_progress=on_progress)
    return TrainedRecord.from_bytes(bucket.get(job.key), job.key)
