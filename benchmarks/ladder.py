"""Measures the time of the ladder on a late layer of an untrained network, where most sprites fail.

    uv run python benchmarks/ladder.py --layer block_12_project --channels 24

It renders the same channels without and with the ladder, both including the traces, as for the
first shard of a layer. It prints the ratio of their times, which must be at most 2, and the number
of sprites by the attempt that drew them.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
from cyclopts import App

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from diamond_cutter.tasks.rendering.batch_size import ON_A_PROCESSOR
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.sprites import layer_renderer, render_sprites
from diamond_cutter.tasks.rendering.subjects import Channels

MOST_TIMES = 2.0

app = App()


@app.default
def main(
    *, layer: str = "block_12_project", channels: int = 24, size_px: int = 128, steps: int = 160
) -> None:
    """Render without and with the ladder; exit with 1 if the ladder more than doubles the time."""
    bundle, recipe = untrained(), RenderRecipe(size_px=size_px, steps=steps)
    numbers, seconds = range(channels), {}
    for name, ladder in (("without", ()), ("with", recipe.ladder)):
        layer_renderer.cache_clear()
        started = time.perf_counter()
        chosen = recipe.model_copy(update={"ladder": ladder})
        sprites = render_sprites(
            bundle, Channels(layer=layer), numbers, chosen, batch_size=ON_A_PROCESSOR
        )
        seconds[name] = time.perf_counter() - started
        rungs = Counter(sprite.scores.rung for sprite in sprites)
        print(
            f"{name:8} the ladder: {seconds[name]:7.1f} s; sprites by attempt: {dict(rungs)}",
            flush=True,
        )
    ratio = seconds["with"] / seconds["without"]
    print(f"{ratio:.2f} times the time of the first attempt")
    sys.exit(0 if ratio <= MOST_TIMES else 1)


def untrained() -> Bundle:
    """Return an untrained MobileNetV2, whose late layers have tiny activations."""
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "untrained.keras"
        keras.applications.MobileNetV2(
            weights=None, input_shape=(64, 64, 3), alpha=0.35, classes=5
        ).save(path)
        return import_user_model(
            path, "untrained", options=ImportOptions(value_range=(-1, 1))
        ).bundle


if __name__ == "__main__":
    app()
