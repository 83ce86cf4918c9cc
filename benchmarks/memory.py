"""Watches the memory of a rendering process over the shards of one layer, and how often it traced.

    uv run python benchmarks/memory.py --layer head --shards 40 --steps 16

Renders and commits real shards of 32 channels into a temporary bucket, as a device's process does, and prints the resident
memory after each. It must be flat, within 5 %, from the third shard on, and one trace must serve the whole layer.
"""

import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import psutil
from cyclopts import App

from tasks.importing.stored import read_bundle
from tasks.importing.task import import_bundle
from tasks.rendering.batch_size import ON_A_PROCESSOR
from tasks.rendering.precision import execution_here
from tasks.rendering.recipe import RenderRecipe
from tasks.rendering.renderer import Shape
from tasks.rendering.sprites import layer_renderer
from tasks.rendering.subjects import Channels
from tasks.rendering.task import SHARD_CHANNELS, ShardJob, render_and_commit

FLAT_WITHIN = 0.05

app = App()


@app.default
def main(*, model: str = "efficientnet-lite0", layer: str = "head", shards: int = 40, steps: int = 16) -> None:
    """Render shards, print the memory after each, and exit with 1 unless it is flat."""
    of, recipe = Channels(layer=layer), RenderRecipe(steps=steps, ladder=())
    with tempfile.TemporaryDirectory() as bucket:
        card = import_bundle(bucket, model)
        resident = []
        for shard in range(shards):
            first = shard * SHARD_CHANNELS % card.layer(layer).channels
            channels = tuple(range(first, min(first + SHARD_CHANNELS, card.layer(layer).channels)))
            job = ShardJob(bucket=bucket, model=card.key, subjects=of, numbers=channels, recipe=recipe)
            render_and_commit(job)
            resident.append(psutil.Process().memory_info().rss)
            print(f"shard {shard + 1:3}: {resident[-1] / 1e6:8.1f} MB", flush=True)
        shape = Shape.of(recipe, ON_A_PROCESSOR, execution_here())
        traces = layer_renderer(read_bundle(bucket, card.key), (layer,), shape).trace_count
    settled = resident[2:]
    growth = max(settled) / settled[0] - 1
    print(f"{layer} of {model}: from the 3rd to the {shards}th shard memory grew by {100 * growth:.1f} %; traces of the loop: {traces}")
    sys.exit(0 if growth <= FLAT_WITHIN and traces == 1 else 1)


if __name__ == "__main__":
    app()
