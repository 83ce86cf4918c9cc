"""The command line, and workers of Dask, in which a shard waits instead of being rendered.

    python -m benchmarks.waiting_shards sprites ...
    dask worker ADDRESS --preload benchmarks.waiting_shards

The time of a shard is in WAITING_SHARD_SECONDS. Each shard adds a line to the file in
WAITING_SHARD_LOG, so that one can see what was done twice. Everything else is real. A waiting
shard needs no processor, so several workers on one machine do not slow each other down.
"""

import os
import threading
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks.orchestration import commit_noise
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.rendering import shard, task
from diamond_cutter.tasks.rendering.shard import ShardJob

SECONDS, LOG = "WAITING_SHARD_SECONDS", "WAITING_SHARD_LOG"


def wait_and_commit(job: ShardJob) -> None:
    """Wait for the time of a shard, then commit a shard of noise."""
    started = datetime.now(UTC)
    time.sleep(float(os.environ[SECONDS]))
    commit_noise(job, started)
    with open(os.environ[LOG], "a") as log:
        log.write(f"{job.record_key}\n")


def install() -> None:
    """Have shards of this process wait, one at a time, instead of using a device's process."""
    run, device = DeviceSlots.run, threading.Lock()

    def run_here(slots: DeviceSlots, function: Any, *args: Any, **options: Any) -> Any:
        if function is wait_and_commit:
            with device, options["within"]():
                return function(*args)
        return run(slots, function, *args, **options)

    DeviceSlots.run = run_here  # type: ignore[method-assign]
    for module in (shard, task):
        module.render_and_commit = wait_and_commit  # type: ignore[attr-defined]


def dask_setup(worker: object) -> None:
    """Prepare a worker of Dask."""
    install()


if __name__ == "__main__":
    # Jobs on their way to a worker name this function by its module.
    from benchmarks.waiting_shards import install as install_by_name
    from diamond_cutter.flows.cli.main import main

    install_by_name()
    main()
