"""Channels of a layer -> sprites, through batches of one fixed shape."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model_inventory.bundle import Bundle
from storage.records import SpriteScores
from tasks.rendering.image import initial_spectrum
from tasks.rendering.random_streams import sprite_stream
from tasks.rendering.recipe import RenderRecipe
from tasks.rendering.renderer import LayerRenderer, Shape
from tasks.rendering.scores import score_sprite
from tasks.rendering.transforms import draw_transforms

_FRESH_TRANSFORMS = 8


@dataclass(frozen=True)
class Sprite:
    """A channel's picture, uint8 `[height, width, 3]`, and what is known of it."""

    picture: np.ndarray
    scores: SpriteScores


def render_sprites(
    bundle: Bundle,
    layer: str,
    channels: Sequence[int],
    recipe: RenderRecipe,
    *,
    batch_size: int,
    on_batch: Callable[[int], object] = lambda rendered: None,
) -> list[Sprite]:
    """Render sprites of a layer's channels, in their order.

    Each sprite depends on the bundle, the layer, its channel and the recipe alone; with the same batch size on the same
    machine it is the same bit for bit, whatever is rendered beside it.

    Args:
        bundle: the model.
        layer: one of its layers.
        channels: of that layer.
        recipe: how to render.
        batch_size: how many sprites are optimised at once; the last batch is padded.
        on_batch: called with the number of sprites that each batch has rendered.

    Raises:
        UnknownLayer: names the nearest layers.
    """
    renderer = layer_renderer(bundle, layer, Shape.of(recipe, batch_size))
    sprites: list[Sprite] = []
    for first in range(0, len(channels), batch_size):
        batch = list(channels[first : first + batch_size])
        sprites += _render_batch(renderer, layer, batch, recipe, batch_size)
        on_batch(len(batch))
    return sprites


def learning_rates(recipe: RenderRecipe) -> np.ndarray:
    """Return the learning rate of each step, float32 `[step]`: constant, then falling linearly towards zero."""
    left = np.arange(recipe.steps, 0, -1)
    cooling = max(recipe.cooldown * recipe.steps, 1.0)
    return (recipe.learning_rate * np.minimum(left / cooling, 1.0)).astype(np.float32)


@functools.lru_cache(maxsize=2)
def layer_renderer(bundle: Bundle, layer: str, shape: Shape) -> LayerRenderer:
    """Return the renderer of a layer; the last two are kept, so that a layer's shards share one trace."""
    return LayerRenderer(bundle, layer, shape)


def batch_inputs(layer: str, channels: Sequence[int], recipe: RenderRecipe) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what a batch's optimisation starts from: first spectra, transforms of each step, channels, learning rates."""
    images = (sprite_stream(recipe.seed, layer, channel, "image") for channel in channels)
    spectrum = np.stack([initial_spectrum(stream, recipe.size_px, recipe.initial_sd) for stream in images], axis=1)
    maps = _transforms(layer, channels, recipe, "transforms", recipe.steps)
    return spectrum, maps, np.array(channels, np.int32), learning_rates(recipe)


def _transforms(layer: str, channels: Sequence[int], recipe: RenderRecipe, purpose: str, count: int) -> np.ndarray:
    streams = (sprite_stream(recipe.seed, layer, channel, purpose) for channel in channels)
    return np.stack([draw_transforms(stream, recipe, count) for stream in streams], axis=1)


def _render_batch(renderer: LayerRenderer, layer: str, channels: list[int], recipe: RenderRecipe, batch_size: int) -> list[Sprite]:
    members = channels + [channels[-1]] * (batch_size - len(channels))
    spectrum, maps, ids, rates = batch_inputs(layer, members, recipe)
    images = renderer.optimise(spectrum, maps, ids, rates, recipe.redirect_steps)
    pictures = np.round(np.nan_to_num(images, nan=0.5) * 255).astype(np.uint8)
    # What is scored is what is kept: the picture as bytes, or the number that is not one.
    seen = np.where(np.isfinite(images), pictures.astype(np.float32) / 255, images)
    objectives, highest = renderer.score(seen, _transforms(layer, members, recipe, "scores", _FRESH_TRANSFORMS), ids)
    return [
        Sprite(pictures[i], score_sprite(channel, pictures[i], float(objectives[i]), float(highest[i])))
        for i, channel in enumerate(channels)
    ]
