"""Measures what a sprite costs, by a few steps, in a device's process."""

import time

from model_inventory.card import ModelCard
from model_inventory.catalogue import import_model
from tasks.rendering.recipe import RenderRecipe

_STEPS = 6


def import_card(name: str) -> ModelCard:
    """Return the card of a model, importing it without keeping it."""
    return import_model(name).card


def seconds_per_sprite(name: str, layers: tuple[str, ...], recipe: RenderRecipe, batch_size: int) -> list[float]:
    """Return, for each of a model's layers, how long one sprite takes in a full batch, in seconds."""
    from tasks.rendering.renderer import LayerRenderer, Shape
    from tasks.rendering.sprites import batch_inputs

    bundle = import_model(name)
    seconds = []
    for layer in layers:
        renderer = LayerRenderer(bundle, layer, Shape.of(recipe, batch_size))
        spectrum, maps, channels, rates = batch_inputs(layer, [0] * batch_size, recipe.model_copy(update={"steps": _STEPS}))
        renderer.optimise(spectrum, maps[:1], channels, rates[:1], 0)
        started = time.perf_counter()
        renderer.optimise(spectrum, maps, channels, rates, 0)
        seconds.append((time.perf_counter() - started) / _STEPS * recipe.steps / batch_size)
    return seconds
