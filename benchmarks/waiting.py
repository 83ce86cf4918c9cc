"""Measures how long shards wait for tracing and compiling, with and without preparation.

    uv run python benchmarks/waiting.py --layers block_4 block_6 block_8 block_10

A flow keeps a second shard waiting for the device. With preparation, the device's process traces
and compiles what that shard needs while it renders the first. The two variants run in turns, each
in a new process. A shard waits from the start of its call to its first step. The processor time of
the process tells what preparation costs.
"""

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

# Workers import this file by its name in the repository.
sys.path.insert(0, str(Path(__file__).parents[1]))

from cyclopts import App, Parameter

from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.importing.stored import import_bundle
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import ShardJob, prepare_shard, render_and_commit
from diamond_cutter.tasks.rendering.subjects import Channels

_TIMEOUT_S = 7200.0

app = App(default_parameter=Parameter(consume_multiple=True))


class Shard(NamedTuple):
    """The seconds of one shard.

    waiting_s: from its start to its first step.
    all_s: from its start to its end.
    """

    waiting_s: float
    all_s: float


@app.default
def main(
    *,
    model: str = "efficientnet-lite0",
    layers: tuple[str, ...] = ("block_4", "block_6", "block_8", "block_10"),
    channels: int = 32,
    steps: int = 160,
    rounds: int = 1,
) -> None:
    """Render the layers with and without preparation, and print both and their ratios."""
    print(f"{channels} channels, {steps} steps; seconds of waiting / of each shard:")
    for _ in range(rounds):
        without = _measure(model, layers, channels, steps, prepare=False)
        prepared = _measure(model, layers, channels, steps, prepare=True)
        for name, (shards, busy_s) in {"without": without, "prepared": prepared}.items():
            columns = "  ".join(
                f"{layer} {shard.waiting_s:.1f} / {shard.all_s:.1f}"
                for layer, shard in zip(layers, shards, strict=True)
            )
            waiting, total = (sum(column) for column in zip(*shards, strict=True))
            print(
                f"{name:9}{columns}  waiting share {waiting / total:.1%}, "
                f"wall {total:.1f} s, processor {busy_s:.1f} s"
            )
        # Nothing can be prepared for the first layer.
        later = [sum(shard.waiting_s for shard in shards[1:]) for shards, _ in (prepared, without)]
        totals = [sum(shard.all_s for shard in shards) for shards, _ in (prepared, without)]
        print(
            f"prepared / without: waiting of later layers {later[0] / later[1]:.2f}, "
            f"wall {totals[0] / totals[1]:.2f}, processor {prepared[1] / without[1]:.2f}",
            flush=True,
        )


def _measure(
    model: str, layers: tuple[str, ...], channels: int, steps: int, *, prepare: bool
) -> tuple[list[Shard], float]:
    """Render a shard of each layer as a flow does; return their seconds and the process's."""
    # By the name that workers know.
    from benchmarks.waiting import processor_s, render_timed

    with (
        tempfile.TemporaryDirectory() as bucket,
        DeviceSlots([""]) as slots,
        ThreadPoolExecutor(2) as in_flight,
    ):
        card = slots.run(import_bundle, bucket, model, timeout_s=_TIMEOUT_S)
        before = slots.run(processor_s, timeout_s=_TIMEOUT_S)
        jobs = [
            ShardJob(
                bucket=bucket,
                model=card.key,
                subjects=Channels(layer=layer),
                numbers=tuple(range(channels)),
                recipe=RenderRecipe(name="waiting", steps=steps),
            )
            for layer in layers
        ]

        def render(job: ShardJob) -> Shard:
            ahead = prepare_shard if prepare else None
            return slots.run(render_timed, job, timeout_s=_TIMEOUT_S, ahead=ahead)

        shards = list(in_flight.map(render, jobs))
        return shards, slots.run(processor_s, timeout_s=_TIMEOUT_S) - before


def render_timed(job: ShardJob) -> Shard:
    """Render a shard in this process, and return its seconds."""
    from diamond_cutter.tasks.rendering.renderer import LayerRenderer

    started, steps_began = time.monotonic(), list[float]()
    run_loop = LayerRenderer._run_loop

    def noted(renderer: LayerRenderer, course: Any, *inputs: Any) -> Any:
        # A prepared layer takes a few steps only.
        if course.steps == job.recipe.steps:
            steps_began.append(time.monotonic())
        return run_loop(renderer, course, *inputs)

    with patch.object(LayerRenderer, "_run_loop", noted):
        render_and_commit(job)
    return Shard(steps_began[0] - started, time.monotonic() - started)


def processor_s() -> float:
    """Return the processor time of this process so far."""
    spent = os.times()
    return spent.user + spent.system


if __name__ == "__main__":
    app()
