"""How long the stages of a command will take, for the bar of the whole command.

The numbers are rough: measured on a processor with two cores, and on one GPU. What a run measures
itself replaces them while a stage goes on (see `events/whole.py`).
"""

from collections.abc import Sequence

from diamond_cutter.flows.attribution_request import AttributionRun
from diamond_cutter.flows.events.stream import Expected, publish
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.run_scope import on_gpus, places
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

# Of a sprite of 128 x 128 pixels in 160 steps, and of a layer that is traced.
_SPRITE_S, _TRACING_S = 1.2, 7.0
_SPRITE_ON_A_GPU_S, _TRACING_ON_A_GPU_S = 0.05, 30.0
_USUAL = 160 * 128 * 128
# Of an image, and once for each stage.
_IMAGE_S, _INSPECTION_S, _TRACING_IMAGES_S = 0.06, 0.1, 6.0
# Rendered to tune a layer.
_TUNING_SPRITES = 120
_FEATURES_S, _SCORES_S, _TRAINING_S = 0.03, 1.0, 15.0


def expect_sprites(runs: Sequence[ModelRun]) -> None:
    """Publish how long the rendering of several models will take."""
    seconds = sum(
        sprites_s(layer.to_do, 1, run.request.recipe)
        for run in runs
        for layer in run.plan.layers
        if layer.shards
    )
    publish(Expected(command="sprites", seconds={"sprites": seconds}))


def sprites_s(sprites: int, layers: int, recipe: RenderRecipe) -> float:
    """Return the seconds that sprites of some layers take, on all devices together."""
    if not sprites:
        return 0.0
    each_s, tracing_s = (
        (_SPRITE_ON_A_GPU_S, _TRACING_ON_A_GPU_S) if on_gpus() else (_SPRITE_S, _TRACING_S)
    )
    size = recipe.steps * recipe.size_px**2 / _USUAL
    return (sprites * each_s * size + layers * tracing_s) / places()


def expect_attribution(run: AttributionRun) -> None:
    """Publish how long a report on images will take."""
    images, layers = len(run.images.images), len(run.spec.layers)
    shown = min(images, run.spec.shown)
    sprites = layers * (run.spec.channels + run.spec.groups) if run.spec.channels else 0
    publish(
        Expected(
            command="attribute",
            seconds={
                "images": _TRACING_IMAGES_S + images * _IMAGE_S * layers / places(),
                "inspected images": _TRACING_IMAGES_S + shown * _INSPECTION_S * layers,
                "sprites": sprites_s(sprites, 2 * layers, run.recipe),
                "publishing the report": 1.0 + 0.02 * shown * layers,
            },
        )
    )


def expect_report_sprites(sprites: int, layers: int, recipe: RenderRecipe) -> None:
    """Publish how many sprites a report lacks, of channels and groups, and how long they take."""
    seconds = {"sprites": sprites_s(sprites, layers, recipe)}
    publish(Expected(command="attribute", seconds=seconds, items={"sprites": sprites}))


def expect_cut(images: int, models: int, layers: int, heads: int) -> None:
    """Publish how long the search for a cut will take."""
    publish(
        Expected(
            command="cut",
            seconds={
                "measuring the costs": 4.0 * models,
                "images through networks": _TRACING_IMAGES_S + images * models * _FEATURES_S,
                "layers scored": layers * (_SCORES_S + images / 1000) / places() + 3.0,
                "training heads": min(heads, layers) * _TRAINING_S,
                "sprites": 15.0,
            },
        )
    )


def expect_comparison(images: int, layers: int) -> None:
    """Publish how long a comparison of two models will take."""
    publish(
        Expected(
            command="compare",
            seconds={
                "images through networks": 2 * _TRACING_IMAGES_S + 2 * images * _FEATURES_S,
                "steps for layers": 2.0 + layers * _SCORES_S,
            },
        )
    )


def expect_training(images: int, shown: int) -> None:
    """Publish how long the training of new layers takes; `shown` counts images of all epochs."""
    publish(
        Expected(
            command="attach",
            seconds={
                "images through networks": _TRACING_IMAGES_S + images * _FEATURES_S,
                "images trained on, at most": _TRAINING_S + shown * _FEATURES_S,
            },
        )
    )


def expect_tuning(layers: int, seconds_per_sprite: float | None) -> None:
    """Publish how long the tuning of some layers will take."""
    each_s = 2 * _TRACING_S + _TUNING_SPRITES * (seconds_per_sprite or _SPRITE_S)
    publish(Expected(command="tune", seconds={"layers": layers * each_s / places()}))
