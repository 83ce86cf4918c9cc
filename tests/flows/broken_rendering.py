"""Ways in which rendering goes wrong, for a worker to run in the place of the real function."""

import os
import signal
import time
from pathlib import Path

# As it takes long, it is done before a call begins: the time that a call may take is then for
# rendering alone.
import tensorflow as tf  # noqa: F401

from diamond_cutter.tasks.rendering.shard import ShardJob, render_and_commit


def fail_on_second_shard(job: ShardJob) -> None:
    """Fail each time on the shard that begins with channel 32."""
    if job.numbers[0] == 32:
        raise ArithmeticError("the second shard cannot be rendered")
    render_and_commit(job)


def die_then_hang(job: ShardJob) -> None:
    """Kill the worker at the first try, and hang at the second."""
    tries = Path(job.bucket).with_suffix(".tries")
    doing = ("die", "hang", "render")[len(tries.read_text().split()) if tries.exists() else 0]
    with tries.open("a") as written:
        written.write(f"{doing} ")
    if doing == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if doing == "hang":
        time.sleep(600)
    render_and_commit(job)
