"""Measures what a sprite costs, by a few steps, in a device's process."""

import time
from typing import NamedTuple

from model_inventory.card import ModelCard
from model_inventory.catalogue import import_model
from tasks.rendering.recipe import RenderRecipe

_STEPS = 6


class LayerCost(NamedTuple):
    """What rendering costs at a layer, in seconds: once, and for each batch."""

    tracing_s: float
    batch_s: float


def import_card(name: str) -> ModelCard:
    """Return the card of a model, importing it without keeping it."""
    return import_model(name).card


def measure_layers(name: str, layers: tuple[str, ...], recipe: RenderRecipe, batch_size: int) -> list[LayerCost]:
    """Return what rendering costs at each of a model's layers, by a few steps of a full batch."""
    from tasks.rendering.renderer import LayerRenderer, Shape
    from tasks.rendering.sprites import batch_inputs

    bundle = import_model(name)
    costs = []
    for layer in layers:
        started = time.perf_counter()
        renderer = LayerRenderer(bundle, layer, Shape.of(recipe, batch_size))
        spectrum, maps, channels, rates = batch_inputs(layer, [0] * batch_size, recipe.model_copy(update={"steps": _STEPS}))
        renderer.optimise(spectrum, maps[:1], channels, rates[:1], 0)
        traced = time.perf_counter()
        renderer.optimise(spectrum, maps, channels, rates, 0)
        batch_s = (time.perf_counter() - traced) / _STEPS * recipe.steps
        costs.append(LayerCost(tracing_s=traced - started, batch_s=batch_s))
    return costs
