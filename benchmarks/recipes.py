"""Draws the pictures of docs/recipes.md: the same channels with each named recipe.

    uv run python benchmarks/recipes.py docs/images

It writes a sheet for each recipe, `recipe-fast.webp` and so on, with a row for each layer, and
transparent parts on white.
"""

import os
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
from cyclopts import App, Parameter
from PIL import Image

from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.scores import on_white
from diamond_cutter.tasks.rendering.sprites import render_sprites
from diamond_cutter.tasks.rendering.subjects import Channels

LAYERS = ("block_3", "block_10.depthwise", "block_15", "logits")

# `tiny` is for other models.
RECIPES = tuple(name for name in PRESETS if name != "tiny")

app = App()


@app.default
def main(
    folder: Path,
    *,
    model: str = "efficientnet-lite0",
    layer: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = LAYERS,
    channels: int = 8,
    recipe: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = RECIPES,
) -> None:
    """Render the first channels of each layer, and write a sheet for each recipe into a folder."""
    bundle = import_model(model)
    for name in recipe:
        rows = []
        for row in layer:
            sprites = render_sprites(
                bundle,
                Channels(layer=row),
                range(channels),
                RenderRecipe(name=name),
                batch_size=channels,
            )
            rows.append(np.concatenate([on_white(sprite.picture) for sprite in sprites], axis=1))
            achieved = [
                sprite.scores.objective for sprite in sprites if sprite.scores.objective is not None
            ]
            print(f"{name:8}{row:24}{np.mean(achieved):10.2f}", flush=True)
        Image.fromarray(np.concatenate(rows)).save(
            folder / f"recipe-{name}.webp", quality=88, method=4
        )


if __name__ == "__main__":
    app()
