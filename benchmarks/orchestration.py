"""Measures the flow's overhead in a run of 40 shards, with 4 s of busy waiting for rendering.

    uv run python benchmarks/orchestration.py

The flow, its Prefect server, the device's process, the bucket, the gathering and the index are
real. Instead of rendering, a worker multiplies matrices on all cores for a while and commits a
small shard. The run may take at most 5 % longer than the waiting. The start of the server and the
recording of the last events are printed separately, because they happen once, not per shard.
"""

import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

# Workers import this file by its name in the repository.
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from cyclopts import App

from diamond_cutter.storage import crc32c, open_bucket
from diamond_cutter.storage.sets.records import ShardRecord, SpriteScores, Versions
from diamond_cutter.storage.sets.sprite_set import commit, is_whole, put_fingerprinted
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import SHARD_CHANNELS, ShardJob
from diamond_cutter.tasks.sheets import compose, encode_lossless, shard_columns

LAYER = "head"
LIMIT = 0.05
_SECONDS = "BUSY_SHARD_SECONDS"
_NO_VERSIONS = Versions(
    diamond_cutter="0", python="0", numpy="0", tensorflow="0", pillow="0", device="none"
)

app = App()


@app.default
def main(*, shards: int = 40, seconds: float = 4.0) -> None:
    """Run the flow, print its times, and exit with 1 if the overhead exceeds the limit."""
    os.environ |= {_SECONDS: str(seconds), "DO_NOT_TRACK": "1"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PREFECT_HOME"] = str(Path(folder, "prefect"))
        starting_s, run_s, ending_s = _measure(str(Path(folder, "bucket")), shards)
    busy_s = shards * seconds
    share = run_s / busy_s - 1
    print(f"{shards} shards of {seconds:g} s: {busy_s:.1f} s of rendering, one device")
    print(
        f"flow run            {run_s:7.1f} s, of which {run_s - busy_s:.1f} s orchestration "
        f"({share:.1%}; at most {LIMIT:.0%})"
    )
    print(f"server start        {starting_s:7.1f} s")
    print(f"last events, stop   {ending_s:7.1f} s")
    print(
        f"all                 {starting_s + run_s + ending_s:7.1f} s "
        f"({(starting_s + run_s + ending_s) / busy_s - 1:.1%} over)"
    )
    sys.exit(1 if share > LIMIT else 0)


def _measure(bucket: str, shards: int) -> tuple[float, float, float]:
    """Return the seconds of the server's start, the flow run and the server's end."""
    import diamond_cutter.tasks.rendering.task
    from benchmarks.orchestration import prepare_nothing, wait_and_commit
    from diamond_cutter.flows.server.prefect_server import prefect_server
    from diamond_cutter.flows.sprites import sprites
    from diamond_cutter.flows.sprites_request import SpritesRequest
    from diamond_cutter.tasks.devices import DeviceSlots
    from diamond_cutter.tasks.importing.stored import import_bundle

    with DeviceSlots([""]) as slots:
        slots.run(import_bundle, bucket, "efficientnet-lite0", timeout_s=600)
    diamond_cutter.tasks.rendering.task.render_and_commit = wait_and_commit
    diamond_cutter.tasks.rendering.task.prepare_shard = prepare_nothing
    request = SpritesRequest(
        model="efficientnet-lite0",
        layers=(LAYER,),
        channels=f"0:{shards * SHARD_CHANNELS}",
        bucket=bucket,
        recipe=RenderRecipe(size_px=32, name="waiting"),
    )
    before = time.monotonic()
    with prefect_server():
        started = time.monotonic()
        (summary,) = sprites(request).models
        ended = time.monotonic()
    if summary.rendered != shards * SHARD_CHANNELS:
        raise RuntimeError(
            f"{summary.rendered} sprites were rendered, not {shards * SHARD_CHANNELS}"
        )
    return started - before, ended - started, time.monotonic() - ended


def wait_and_commit(job: ShardJob) -> None:
    """Keep all cores busy for the time of a shard, then commit a shard of noise."""
    started = datetime.now(UTC)
    matrix = np.ones((256, 256), np.float32)
    until = time.monotonic() + float(os.environ[_SECONDS])
    while time.monotonic() < until:
        matrix @ matrix
    commit_noise(job, started)


def prepare_nothing(job: ShardJob) -> None:
    """Leave out what rendering would need."""


def commit_noise(job: ShardJob, started: datetime) -> None:
    """Commit a shard of noise that depends only on its channels."""
    count, cell_px = len(job.numbers), job.recipe.size_px
    columns = shard_columns(count, cell_px)
    noise = (
        np.random.default_rng(channel).integers(0, 256, (cell_px, cell_px, 3), np.uint8)
        for channel in job.numbers
    )
    data = encode_lossless(compose(enumerate(noise), count, columns, cell_px))
    bucket = open_bucket(job.bucket)
    record = ShardRecord(
        model=job.model,
        recipe=job.recipe.key,
        layer=job.name,
        layer_sha256="0" * 64,
        batch_size=1,
        execution="none",
        cell_px=cell_px,
        columns=columns,
        sprites=tuple(map(_scores, job.numbers)),
        file=put_fingerprinted(bucket, job.record_key, data, "webp", crc32c(data)),
        started=started,
        seconds=1.0,
        versions=_NO_VERSIONS,
    )
    commit(bucket, job.record_key, record, lambda theirs: is_whole(bucket, theirs.file))


def _scores(channel: int) -> SpriteScores:
    return SpriteScores(
        channel=channel,
        objective=1.0,
        highest_activation=1.0,
        contrast=0.3,
        saturation=0.0,
        checkerboard=0.1,
    )


if __name__ == "__main__":
    app()
