"""Measures how several runs or workers share a run of 40 shards, and what they do to each other.

    uv run python benchmarks/shared_work.py            # all of it, about 20 minutes
    uv run python benchmarks/shared_work.py --only plain

The bucket is a strict server of Google Cloud Storage on loopback. The commands, the Prefect server,
the scheduler and the workers of Dask are real processes. A shard waits 4 s instead of being
rendered, because one machine has too few cores for four workers.

plain: one run, and two runs of the same request at once.
dask: 1, 2 and 4 workers.
faults: four workers; one is killed, one is stopped for three minutes, the bucket is cut off for a
minute, the scheduler is killed and the command repeated. Afterwards no shard may be missing, none
may have been rendered twice except for the one of the stopped worker, and no claim may be left.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclopts import App

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.waiting_shards import LOG, SECONDS
from diamond_cutter.flows.server.prefect_server import prefect_server
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.layout import is_claim, is_shard_record
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.importing.stored import import_bundle
from diamond_cutter.tasks.rendering.shard import SHARD_CHANNELS
from tests.flows.dask_cluster import Cluster, dask
from tests.storage.fault_proxy import FaultProxy, standing_before
from tests.storage.gcs_server import GcsServer, serving
from tests.waiting import wait_for

Part = Literal["plain", "dask", "faults"]

LAYER, MODEL = "head", "efficientnet-lite0"
DISTURBED_AFTER = 4  # shards
STOPPED_FOR_S = 180.0
CUT_OFF_FOR_S = 60.0
PYTHON = [sys.executable, "-m"]
WAITING = ("--preload", "benchmarks.waiting_shards")

Disturbance = Callable[[], object]

app = App()


@dataclass
class Measured:
    """A run, or several at once: its time, exit codes, and the shards that it rendered."""

    seconds: float
    codes: list[int]
    rendered: Counter[str]


class Bench:
    """The servers, and the size of the run."""

    def __init__(
        self, server: GcsServer, proxy: FaultProxy, folder: Path, shards: int, seconds: float
    ) -> None:
        self.server, self.proxy, self.folder = server, proxy, folder
        self.shards, self.seconds, self._count = shards, seconds, 0

    def new_bucket(self) -> str:
        """Make a bucket that holds the model."""
        self._count += 1
        name = f"bucket-{self._count}"
        self.server.make(name)
        with DeviceSlots([""]) as slots:
            slots.run(import_bundle, f"gs://{name}", MODEL, timeout_s=600)
        os.environ[LOG] = str(self.folder / name)
        return f"gs://{name}"

    def command(self, bucket: str, *options: str) -> list[str]:
        """Return the command of a run."""
        channels = f"0:{self.shards * SHARD_CHANNELS}"
        recipe = ("--recipe.size-px", "32", "--recipe.name", "waiting")
        what = (MODEL, "--layers", LAYER, "--channels", channels, "--bucket", bucket)
        return [*PYTHON, "benchmarks.waiting_shards", "sprites", *what, *recipe, *options]

    def run(
        self, bucket: str, *options: str, at_once: int = 1, disturb: Disturbance = bool
    ) -> Measured:
        """Run the command, once or several times at once, and disturb it after a while."""
        started = time.monotonic()
        log = self.folder / "said"
        with log.open("ab") as said:
            processes = [
                subprocess.Popen(self.command(bucket, *options), stdout=said, stderr=said)
                for _ in range(at_once)
            ]
            while disturb is not bool and len(self.rendered()) < DISTURBED_AFTER:
                time.sleep(0.1)
            disturb()
            codes = [process.wait() for process in processes]
        measured = Measured(time.monotonic() - started, codes, self.rendered())
        if any(codes):
            print(log.read_text()[-2000:])
        return measured

    def rendered(self) -> Counter[str]:
        """Return how often each shard was rendered."""
        log = Path(os.environ[LOG])
        return Counter(log.read_text().split()) if log.exists() else Counter()

    def problems(self, bucket: str, measured: Measured, *, repeated: int = 0) -> list[str]:
        """Return what is wrong in the bucket after a run that may repeat `repeated` shards."""
        keys = [info.key for info in open_bucket(bucket).list()]
        claims = sum(map(is_claim, keys))
        records = sum(is_shard_record(key) for key in keys if key.startswith("sprites/"))
        twice = sum(count > 1 for count in measured.rendered.values())
        return [
            text
            for wrong, text in (
                (any(measured.codes), f"exit codes {measured.codes}"),
                (records != self.shards, f"{records} of {self.shards} shards"),
                (twice > repeated, f"{twice} shards were rendered twice"),
                (claims > 0, f"{claims} claims are left"),
            )
            if wrong
        ]


def measure_plain(bench: Bench) -> list[str]:
    """Compare one run with two at once."""
    times, problems = [], []
    for at_once in (1, 2):
        bucket = bench.new_bucket()
        measured = bench.run(bucket, at_once=at_once)
        times.append(measured.seconds)
        problems += bench.problems(bucket, measured)
    ratio = times[1] / times[0]
    print(f"plain runs: one {times[0]:.1f} s, two at once {times[1]:.1f} s, ratio {ratio:.2f}")
    return [*problems, *([f"two runs take {ratio:.2f} of one"] if ratio > 0.6 else [])]


def measure_dask(bench: Bench) -> list[str]:
    """Measure 1, 2 and 4 workers."""
    problems, first_s = [], 0.0
    for workers in (1, 2, 4):
        bucket = bench.new_bucket()
        with dask(workers, *WAITING) as cluster:
            measured = bench.run(bucket, "--runner", f"dask://{cluster.address}")
        first_s = first_s or measured.seconds
        busy_s = bench.shards * bench.seconds / workers
        overhead_ms = 1000 * (measured.seconds - busy_s) * workers / bench.shards
        print(
            f"{workers} Dask workers: {measured.seconds:.1f} s, "
            f"{measured.seconds / first_s:.2f} of one worker; of {busy_s:.0f} s waiting; overhead "
            f"{overhead_ms:.0f} ms of a worker for each shard, the start of the command included",
            flush=True,
        )
        problems += bench.problems(bucket, measured)
    return problems


def measure_faults(bench: Bench) -> list[str]:
    """Disturb runs on four workers."""
    problems = []

    def kill_worker(cluster: Cluster) -> None:
        wait_for(lambda: cluster.worker_process(0)).kill()

    def stop_worker(cluster: Cluster) -> None:
        process = wait_for(lambda: cluster.worker_process(0))
        process.suspend()
        time.sleep(STOPPED_FOR_S)
        process.resume()

    def cut_off(cluster: Cluster) -> None:
        bench.proxy.chance, bench.proxy.by_chance = 1.0, ("reset",)
        time.sleep(CUT_OFF_FOR_S)
        bench.proxy.chance = 0.0

    def kill_scheduler(cluster: Cluster) -> None:
        cluster.scheduler.send_signal(signal.SIGKILL)

    for disturb in (kill_worker, stop_worker, cut_off, kill_scheduler):
        bucket = bench.new_bucket()
        with dask(4, *WAITING) as cluster:
            runner = ("--runner", f"dask://{cluster.address}")
            measured = bench.run(bucket, *runner, disturb=lambda: disturb(cluster))  # noqa: B023
        told = f"{disturb.__name__}: {measured.seconds:.1f} s, exit codes {measured.codes}"
        if disturb is kill_scheduler:
            with dask(4, *WAITING) as cluster:
                again = bench.run(bucket, "--runner", f"dask://{cluster.address}")
            told += f", the same command again {again.seconds:.1f} s, {again.codes}"
            measured = again
        # The claim of a stopped worker is lost, and another one may render its shard meanwhile. The
        # record that is written first counts.
        found = bench.problems(bucket, measured, repeated=disturb is stop_worker)
        renderings = measured.rendered.total()
        print(f"{told}, {renderings} renderings: {'; '.join(found) or 'all there'}", flush=True)
        problems += found
    return problems


PARTS: dict[Part, Callable[[Bench], list[str]]] = {
    "plain": measure_plain,
    "dask": measure_dask,
    "faults": measure_faults,
}


@app.default
def main(*, shards: int = 40, seconds: float = 4.0, only: Part | None = None) -> None:
    """Measure, and exit with 1 if anything is wrong."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving() as server,
        standing_before(server.url) as proxy,
    ):
        os.environ |= {
            SECONDS: str(seconds),
            "DO_NOT_TRACK": "1",
            "NO_PROXY": "127.0.0.1",
            "PREFECT_HOME": str(Path(folder, "prefect")),
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "STORAGE_EMULATOR_HOST": proxy.url,
        }
        problems = []
        with prefect_server():
            bench = Bench(server, proxy, Path(folder), shards, seconds)
            for part, measure in PARTS.items():
                if only in (None, part):
                    problems += measure(bench)
    print("\n".join(problems) or "no problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    app()
