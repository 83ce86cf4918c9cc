"""Renders one shard on the next free device, unless another run has it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from prefect import task
from prefect.runtime import task_run

from diamond_cutter.storage import Bucket, Token, open_bucket
from diamond_cutter.storage.sets.claims import claim
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.storage.sets.sprite_set import is_whole, read_record
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.rendering.shard import ShardJob, prepare_shard, render_and_commit
from diamond_cutter.tasks.rendering.work import ShardOutcome
from diamond_cutter.tasks.retrying import RETRIED


@task(name="render shard", task_run_name="{job.title}", **RETRIED)
def render_shard(
    job: ShardJob,
    slots: DeviceSlots,
    timeout_s: float,
    on_progress: Any,
    lost: Token | None = None,
    then: ShardJob | None = None,
) -> ShardOutcome:
    """Render a shard on the next free device.

    Args:
        job: the shard.
        slots: the devices.
        timeout_s: time limit on the device.
        on_progress: called with what the device reports.
        lost: a claim on the shard that its owner no longer renews.
        then: the shard that the device will probably render next, if it is of another layer. The
            device traces and compiles what it needs meanwhile.
    """
    bucket = open_bucket(job.bucket)

    @contextmanager
    def claimed() -> Iterator[None]:
        # Not before a device is free: other runs could render the shard meanwhile.
        with claim(bucket, job.record_key, lost) as is_ours:
            if not is_ours:
                raise _NotHere("claimed")
            if _is_there(bucket, job):
                raise _NotHere("there")
            yield

    asked = time.perf_counter()
    try:
        work = slots.run(
            render_and_commit,
            job,
            timeout_s=timeout_s,
            on_progress=on_progress,
            ahead=prepare_shard,
            then=(then,) if then else None,
            within=claimed,
        )
    except _NotHere as found:
        return ShardOutcome(how=found.how)
    passed_s = time.perf_counter() - asked
    return ShardOutcome(
        how="rendered",
        work=work,
        waiting_s=max(passed_s - work.seconds, 0.0) if work else 0.0,
        retries=max(task_run.run_count - 1, 0),
    )


class _NotHere(Exception):
    """A shard is not to be rendered here: it is `there`, or `claimed` by another process."""

    def __init__(self, how: Literal["there", "claimed"]) -> None:
        super().__init__(how)
        self.how = how


def _is_there(bucket: Bucket, job: ShardJob) -> bool:
    present = read_record(bucket, job.record_key, ShardRecord)
    return present is not None and is_whole(bucket, present.file)
