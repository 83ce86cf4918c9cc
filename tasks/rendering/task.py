"""Renders one shard on the next free device."""

from typing import Any

from prefect import task

from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.storage.sets.sprite_set import is_whole, read_record
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.rendering.shard import ShardJob, prepare_shard, render_and_commit
from diamond_cutter.tasks.retrying import RETRIED


@task(name="render shard", task_run_name="{job.title}", **RETRIED)
def render_shard(job: ShardJob, slots: DeviceSlots, timeout_s: float, on_progress: Any) -> str:
    """Render a shard on the next free device, unless it has a record by now; return its key."""
    bucket = open_bucket(job.bucket)
    present = read_record(bucket, job.record_key, ShardRecord)
    if present is None or not is_whole(bucket, present.file):
        slots.run(
            render_and_commit,
            job,
            timeout_s=timeout_s,
            on_progress=on_progress,
            ahead=prepare_shard,
        )
    return job.record_key
