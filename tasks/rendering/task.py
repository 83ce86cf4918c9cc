"""Renders one shard on the next free device, unless another run has it."""

from typing import Any, Literal

from prefect import task

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Token, open_bucket
from diamond_cutter.storage.sets.claims import claim
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.storage.sets.sprite_set import is_whole, read_record
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.rendering.shard import ShardJob, prepare_shard, render_and_commit
from diamond_cutter.tasks.retrying import RETRIED


class ShardOutcome(FrozenModel):
    """What became of a shard.

    how: `rendered`; `there`, if it has a sound record by now; `claimed`, if another process is at
        work on it.
    """

    how: Literal["rendered", "there", "claimed"]


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
        slots.run(
            render_and_commit,
            job,
            timeout_s=timeout_s,
            on_progress=on_progress,
            ahead=prepare_shard,
        )
        return ShardOutcome(how="rendered")
