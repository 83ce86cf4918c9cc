"""Estimates the time and disk space of a run, without writing anything."""

import math

import numpy as np
from pydantic import Field

from diamond_cutter.flows.cli.models import describe
from diamond_cutter.flows.planning import LayerPlan, RunPlan, plan_run, settle_recipe
from diamond_cutter.flows.progress import doing
from diamond_cutter.flows.quantities import rounded
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.photos.finding import check_images
from diamond_cutter.tasks.rendering.batch_size import ON_A_PROCESSOR
from diamond_cutter.tasks.rendering.estimate import LayerCost, measure_layers

_TIMEOUT_S = 1800.0
# Measured for shards as lossless WebP: sprites compress badly, because they start from noise.
_BYTES_PER_PIXEL = 2.6
_MEASURED_LAYERS = 3


class LayerEstimate(FrozenModel):
    """The estimate for one layer."""

    layer: str
    sprites_done: int
    sprites_adopted: int = Field(description="number of done sprites to copy from other sets")
    sprites_to_do: int
    shards: int
    bytes: int
    seconds: float


class RunEstimate(FrozenModel):
    """The estimate for a run."""

    model: str
    recipe: str
    layers: tuple[LayerEstimate, ...]
    sprites_done: int
    sprites_adopted: int = Field(description="number of done sprites to copy from other sets")
    sprites_to_do: int
    shards: int
    bytes: int
    seconds: float
    devices: int


def estimate(request: SpritesRequest) -> RunEstimate:
    """Estimate a run from a few steps on up to three of its layers, without photos and retries.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    if request.photos is not None:
        check_images(request.photos)
    card = describe(request.bucket, request.model)
    bucket = open_bucket(request.bucket)
    request = settle_recipe(bucket, card, request)
    with doing("reading the records in the bucket"):
        plan = plan_run(bucket, card, request)
    devices = devices_of(request.devices)
    costs = _costs(plan, request, devices) if plan.to_do else {}
    layers = tuple(
        _estimate_layer(layer, request, costs.get(layer.layer), len(devices))
        for layer in plan.layers
    )
    return RunEstimate(
        model=card.key,
        recipe=request.recipe.key,
        layers=layers,
        sprites_done=plan.done,
        sprites_adopted=plan.adopted,
        sprites_to_do=plan.to_do,
        shards=plan.shard_count,
        bytes=sum(layer.bytes for layer in layers),
        seconds=rounded(sum(layer.seconds for layer in layers)),
        devices=len(devices),
    )


def _estimate_layer(
    layer: LayerPlan, request: SpritesRequest, cost: LayerCost | None, devices: int
) -> LayerEstimate:
    in_a_batch = request.recipe.subjects_in(request.batch_size or ON_A_PROCESSOR)
    batches = sum(math.ceil(len(shard) / in_a_batch) for shard in layer.shards)
    steps = batches * in_a_batch * request.recipe.variants * request.recipe.at(layer.layer).steps
    planes = 4 if request.recipe.alpha else 3
    return LayerEstimate(
        layer=layer.layer,
        sprites_done=layer.done,
        sprites_adopted=layer.adopted,
        sprites_to_do=layer.to_do,
        shards=len(layer.shards),
        bytes=round(layer.to_do * request.recipe.size_px**2 * _BYTES_PER_PIXEL * planes / 3)
        + sum(shard.size for shard in layer.adoptable),
        seconds=rounded((cost.tracing_s + steps * cost.step_s) / devices)
        if cost and batches
        else 0.0,
    )


def _costs(plan: RunPlan, request: SpritesRequest, devices: list[str]) -> dict[str, LayerCost]:
    """Measure the first, the middle and the last layer, and interpolate the others."""
    names = [layer.name for layer in plan.card.layers]
    wanted = [layer for layer in plan.layers if layer.shards]
    measured = [
        wanted[place]
        for place in sorted(
            {round(place) for place in np.linspace(0, len(wanted) - 1, _MEASURED_LAYERS)}
        )
    ]
    with (
        doing(f"measuring some steps on {len(measured)} of {len(wanted)} layers"),
        DeviceSlots(devices[:1]) as slots,
    ):
        subjects = [layer.subjects for layer in measured]
        arguments = (
            request.bucket,
            request.model,
            subjects,
            request.recipe,
            request.batch_size or ON_A_PROCESSOR,
        )
        costs = slots.run(measure_layers, *arguments, timeout_s=_TIMEOUT_S)
    if len(measured) == 1:
        return {measured[0].layer: costs[0]}  # mixes have no depth to interpolate by
    depths = [names.index(layer.layer) for layer in measured]
    columns = [
        [float(np.interp(names.index(layer.layer), depths, column)) for layer in wanted]
        for column in zip(*costs, strict=True)
    ]
    return {layer.layer: LayerCost(*cost) for layer, *cost in zip(wanted, *columns, strict=True)}
