"""Measures the memory and the traces of a rendering process over many shards.

    uv run python benchmarks/memory.py --layer head --shards 40 --steps 16
    uv run python benchmarks/memory.py --layer stem block_2 block_4 block_6 block_8 block_10
    --shards 24 --steps 2

It renders and commits real shards of 32 channels into a temporary bucket, as a device's process
does, and prints the resident memory after each. After the first shard of each layer memory may grow
by 5 % with one layer, and by 15 % with several, which are traced again at each turn. A single layer
must be traced once.
"""

import os
import sys
import tempfile
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import psutil
from cyclopts import App, Parameter

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.importing.stored import import_bundle, read_bundle
from diamond_cutter.tasks.rendering.batch_size import ON_A_PROCESSOR
from diamond_cutter.tasks.rendering.precision import execution_here
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import SHARD_CHANNELS, ShardJob, render_and_commit
from diamond_cutter.tasks.rendering.sprites import layer_renderer
from diamond_cutter.tasks.rendering.subjects import Channels
from diamond_cutter.tasks.rendering.trace_key import TraceKey

FLAT_WITHIN, FLAT_WITHIN_OF_SEVERAL = 0.05, 0.15

app = App()


@app.default
def main(
    *,
    model: str = "efficientnet-lite0",
    layer: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("head",),
    shards: int = 40,
    steps: int = 16,
) -> None:
    """Render shards, print the memory after each, and exit with 1 if it grows too much."""
    recipe = RenderRecipe(steps=steps, ladder=())
    with tempfile.TemporaryDirectory() as bucket:
        card = import_bundle(bucket, model)
        resident = []
        for shard in range(shards):
            name = layer[shard % len(layer)]
            first = shard // len(layer) * SHARD_CHANNELS % card.layer(name).channels
            resident.append(resident_after(bucket, card, name, first, recipe))
            print(f"shard {shard + 1:3}, {name:16}: {resident[-1] / 1e6:8.1f} MB", flush=True)
        key = TraceKey.of(recipe, ON_A_PROCESSOR, execution_here())
        traces = (
            layer_renderer(read_bundle(bucket, card.key), layer[:1], key).trace_count
            if len(layer) == 1
            else 1
        )
    begin = max(2, len(layer))
    growth = max(resident[begin:]) / max(resident[begin - 1 : begin + 1]) - 1
    print(
        f"{', '.join(layer)} of {model}: from shard {begin + 1} on memory grew by "
        f"{100 * growth:.1f} %; traces of the loop: {traces}"
    )
    allowed = FLAT_WITHIN if len(layer) == 1 else FLAT_WITHIN_OF_SEVERAL
    sys.exit(0 if growth <= allowed and traces == 1 else 1)


def resident_after(
    bucket: str, card: ModelCard, layer: str, first: int, recipe: RenderRecipe
) -> int:
    """Render and commit a shard, and return this process's resident memory in bytes."""
    channels = range(first, min(first + SHARD_CHANNELS, card.layer(layer).channels))
    render_and_commit(
        ShardJob(
            bucket=bucket,
            model=card.key,
            subjects=Channels(layer=layer),
            numbers=tuple(channels),
            recipe=recipe,
        )
    )
    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    app()
