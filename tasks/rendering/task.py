"""Renders one shard on the next free device, unless another run has it."""

import time
from typing import Any

from prefect import task
from prefect.runtime import task_run

from diamond_cutter.storage import Token, open_bucket
from diamond_cutter.storage.sets.claims import claim
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.storage.sets.sprite_set import is_whole, read_record
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.rendering.shard import ShardJob, prepare_shard, render_and_commit
from diamond_cutter.tasks.rendering.work import ShardOutcome
from diamond_cutter.tasks.retrying import RETRIED


@task(name="render shard", task_run_name="{job.title}", **RETRIED)
def render_shard(
    job: ShardJob, slots: DeviceSlots, timeout_s: float, on_progress: Any, lost: Token | None = None
) -> ShardOutcome:
    """Render a shard on the next free device.

    `lost` is a claim on the shard that its owner no longer renews.
    """
    bucket = open_bucket(job.bucket)
    with claim(bucket, job.record_key, lost) as other:
        present = read_record(bucket, job.record_key, ShardRecord)
        if present is not None and is_whole(bucket, present.file):
            return ShardOutcome(how="there")
        if other is not None:
            return ShardOutcome(how="claimed")
        asked = time.perf_counter()
        work = slots.run(
            render_and_commit,
            job,
            timeout_s=timeout_s,
            on_progress=on_progress,
            ahead=prepare_shard,
        )
        passed_s = time.perf_counter() - asked
        return ShardOutcome(
            how="rendered",
            work=work,
            waiting_s=max(passed_s - work.seconds, 0.0) if work else 0.0,
            retries=max(task_run.run_count - 1, 0),
        )
