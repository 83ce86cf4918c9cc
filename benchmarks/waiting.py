"""Measures how long shards wait for tracing and compiling, with and without preparation.

    uv run python benchmarks/waiting.py --layers block_4 block_6 block_8 block_10

While a device renders a shard, its process can trace and compile what the next one needs. It knows
the next one because that shard waits for the device, as in a local run. A cluster tells it which
one is probably next. Both variants, and one without preparation, run in turns, each in a new
process. A shard waits from the start of its call to its first step. The processor time of the
process tells what preparation costs.
"""

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args
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

Variant = Literal["without", "waits", "told"]

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
    """Render the layers in all variants, and print them and their ratios."""
    print(f"{channels} channels, {steps} steps; seconds of waiting / of each shard:")
    for _ in range(rounds):
        measured = {
            variant: _measure(model, layers, channels, steps, variant)
            for variant in get_args(Variant)
        }
        for name, (shards, busy_s) in measured.items():
            columns = "  ".join(
                f"{layer} {shard.waiting_s:.1f} / {shard.all_s:.1f}"
                for layer, shard in zip(layers, shards, strict=True)
            )
            waiting, total = (sum(column) for column in zip(*shards, strict=True))
            print(
                f"{name:9}{columns}  waiting share {waiting / total:.1%}, "
                f"wall {total:.1f} s, processor {busy_s:.1f} s"
            )
        later, totals, busy = zip(*map(_sums, measured.values()), strict=True)
        for number, name in list(enumerate(measured))[1:]:
            print(
                f"{name} / without: waiting of later layers {later[number] / later[0]:.2f}, "
                f"wall {totals[number] / totals[0]:.2f}, processor {busy[number] / busy[0]:.2f}",
                flush=True,
            )


def _sums(measured: tuple[list[Shard], float]) -> tuple[float, float, float]:
    """Return the waiting of later layers, the time of all, and the processor time."""
    shards, busy_s = measured
    # Nothing can be prepared for the first layer.
    waiting_s = sum(shard.waiting_s for shard in shards[1:])
    return waiting_s, sum(shard.all_s for shard in shards), busy_s


def _measure(
    model: str, layers: tuple[str, ...], channels: int, steps: int, variant: Variant
) -> tuple[list[Shard], float]:
    """Render a shard of each layer as a flow does; return their seconds and the process's."""
    # By the name that workers know.
    from benchmarks.waiting import processor_s, render_timed

    with (
        tempfile.TemporaryDirectory() as bucket,
        DeviceSlots([""]) as slots,
        ThreadPoolExecutor(2 if variant == "waits" else 1) as in_flight,
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

        def render(job: ShardJob, then: ShardJob | None) -> Shard:
            ahead = None if variant == "without" else prepare_shard
            told = (then,) if then and variant == "told" else None
            return slots.run(render_timed, job, timeout_s=_TIMEOUT_S, ahead=ahead, then=told)

        shards = list(in_flight.map(render, jobs, [*jobs[1:], None]))
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
