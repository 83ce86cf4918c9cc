"""Measures the processor time that a task costs the process of the flow, locally and with Dask.

    uv run python benchmarks/task_overhead.py

The flow, its queue, the arguments of the tasks and the Prefect server are real, and the tasks do
nothing. A flow is one process and holds Python's lock, so this time limits how many shards it can
hand out in a second. It includes the threads that send events to the server. The workers and the
server are other processes, and do not count.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cyclopts import App
from prefect import flow, task

from diamond_cutter.flows.run_scope import tasks_in_flight, workplace
from diamond_cutter.flows.server.prefect_server import prefect_server
from diamond_cutter.flows.task_futures import FutureQueue, error_of
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import ShardJob
from diamond_cutter.tasks.rendering.subjects import Channels
from diamond_cutter.tasks.rendering.task import ShardOutcome
from diamond_cutter.tasks.retrying import RETRIED
from tests.flows.dask_cluster import dask

app = App()


@task(name="nothing", task_run_name="{job.title}", **RETRIED)
def nothing(job: ShardJob, slots: Any, timeout_s: float, on_progress: Any) -> ShardOutcome:
    """Return at once."""
    return ShardOutcome(how="rendered")


@flow(name="overhead", persist_result=False)
def overhead(runner: str, tasks: int) -> float:
    """Return the seconds of processor time of a task."""
    jobs = [
        ShardJob(
            bucket="unused",
            model="toy@00000000",
            subjects=Channels(layer="layer"),
            numbers=tuple(range(32 * number, 32 * number + 32)),
            recipe=RenderRecipe(),
        )
        for number in range(tasks)
    ]
    with workplace(runner) as slots:
        before = time.process_time()
        queue = FutureQueue[ShardJob](
            jobs, lambda job: nothing.submit(job, slots, 1.0, None), tasks_in_flight
        )
        for _, future in queue:
            if error_of(future) is None:
                future.result()
        return (time.process_time() - before) / tasks


@app.default
def main(*, tasks: int = 300) -> None:
    """Print the milliseconds of a task, locally and on a Dask worker."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"PREFECT_HOME": folder, "DO_NOT_TRACK": "1"}
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
        # Workers find the task by the name of its module.
        from benchmarks.task_overhead import overhead

        with prefect_server(), dask(1) as cluster:
            for runner in ("local", f"dask://{cluster.address}"):
                print(f"{runner.partition(':')[0]}: {1000 * overhead(runner, tasks):.1f} ms a task")


if __name__ == "__main__":
    app()
