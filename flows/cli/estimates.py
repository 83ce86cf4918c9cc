"""Estimates the time, the requests, the disk space and the price of a run, and writes nothing."""

import heapq
import math
from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.cli.bucket_requests import count_requests
from diamond_cutter.flows.cli.models import describe
from diamond_cutter.flows.errors import RequestError, sentence
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.events.stream import Expected, publish
from diamond_cutter.flows.planning import LayerPlan, RunPlan, plan_run, settle_recipe
from diamond_cutter.flows.quantities import rounded
from diamond_cutter.flows.request_fields import LOCAL
from diamond_cutter.flows.run_scope import run_scope
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.importing.model_globs import models_matching
from diamond_cutter.tasks.photos.finding import check_images
from diamond_cutter.tasks.rendering.batch_size import ON_A_PROCESSOR
from diamond_cutter.tasks.rendering.estimate import LayerCost, measure_layers

_TIMEOUT_S = 1800.0
# Measured for shards as lossless WebP: sprites compress badly, because they start from noise.
_BYTES_PER_PIXEL = 2.6
_MEASURED_LAYERS = 3
# Roughly, of a plan.
_MODEL_S = 20.0


class LayerEstimate(FrozenModel):
    """The estimate for one layer."""

    layer: str
    sprites_done: int
    sprites_adopted: int = Field(description="number of done sprites to copy from other sets")
    sprites_to_do: int
    shards: int
    bytes: int
    seconds: float = Field(description="part of the run's time, while all devices are busy")


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
    requests: int = Field(description="number of requests to the bucket")
    seconds: float = Field(description="from the first to the last shard")
    devices: int = Field(description="number of devices of each worker")
    workers: int
    worker_hours: float = Field(description="hours of all workers together")
    price: float | None = Field(
        default=None, description="of the worker hours, in the currency of the price per hour"
    )


def estimate_models(
    request: SpritesRequest, workers: int | None = None, price_per_hour: float | None = None
) -> tuple[list[RunEstimate], list[str]]:
    """Estimate a run for each of its models, and return a sentence for each that cannot be had.

    Args:
        request: the request.
        workers: the number of machines; if omitted, that of the cluster that the request names.
        price_per_hour: the price of one machine per hour.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met for any model.
    """
    if workers is None:
        workers = _workers_on(request.runner)
    found, errors = list[RunEstimate](), list[DiamondCutterError]()
    names = models_matching(open_bucket(request.bucket), request.models)
    publish(Expected(command="plan", seconds={"models": _MODEL_S * len(names)}))
    with run_scope(), Progress("models", len(names)) as progress:
        for name in names:
            count = progress.of_part(name, 1)
            try:
                found.append(estimate(request.of_model(name), workers, price_per_hour))
            except (ModelError, RequestError) as error:
                errors.append(error)
            count.complete()
    if not found:
        raise errors[0]
    return found, [f"skipped a model: {sentence(error)}" for error in errors]


def _workers_on(runner: str) -> int:
    if runner == LOCAL:
        return 1
    from diamond_cutter.flows.server.prefect_server import quiet_console
    from diamond_cutter.flows.task_runners import places_on

    with quiet_console():
        return places_on(runner)


def estimate(
    request: SpritesRequest, workers: int = 1, price_per_hour: float | None = None
) -> RunEstimate:
    """Estimate a run from a few steps on up to three of its layers, without photos and retries.

    Args:
        request: the request.
        workers: the number of machines that share the run, each like this one.
        price_per_hour: the price of one machine per hour.

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
    slots = len(devices) * workers
    layers = tuple(
        _estimate_layer(layer, request, costs.get(layer.layer), slots) for layer in plan.layers
    )
    seconds = _makespan(_shards(plan, request, costs), slots)
    worker_hours = workers * seconds / 3600
    return RunEstimate(
        model=card.key,
        recipe=request.recipe.key,
        layers=layers,
        sprites_done=plan.done,
        sprites_adopted=plan.adopted,
        sprites_to_do=plan.to_do,
        shards=plan.shard_count,
        bytes=sum(layer.bytes for layer in layers),
        requests=count_requests(plan, slots),
        seconds=rounded(seconds),
        devices=len(devices),
        workers=workers,
        worker_hours=rounded(worker_hours),
        price=None if price_per_hour is None else rounded(worker_hours * price_per_hour),
    )


def _estimate_layer(
    layer: LayerPlan, request: SpritesRequest, cost: LayerCost | None, slots: int
) -> LayerEstimate:
    planes = 4 if request.recipe.alpha else 3
    busy_s = 0.0
    if cost is not None and layer.shards:
        busy_s = min(slots, len(layer.shards)) * cost.tracing_s + sum(
            _shard_s(shard, layer, request, cost) for shard in layer.shards
        )
    return LayerEstimate(
        layer=layer.layer,
        sprites_done=layer.done,
        sprites_adopted=layer.adopted,
        sprites_to_do=layer.to_do,
        shards=len(layer.shards),
        bytes=round(layer.to_do * request.recipe.size_px**2 * _BYTES_PER_PIXEL * planes / 3)
        + sum(shard.size for shard in layer.adoptable),
        seconds=rounded(busy_s / slots),
    )


def _shard_s(
    channels: Sequence[int], layer: LayerPlan, request: SpritesRequest, cost: LayerCost
) -> float:
    """Return the seconds that a shard takes once its layer is traced."""
    in_a_batch = request.recipe.subjects_in(request.batch_size or ON_A_PROCESSOR)
    pictures = math.ceil(len(channels) / in_a_batch) * in_a_batch * request.recipe.variants
    return pictures * request.recipe.at(layer.layer).steps * cost.step_s


def _shards(
    plan: RunPlan, request: SpritesRequest, costs: dict[str, LayerCost]
) -> Iterator[tuple[str, float, float]]:
    """Yield the layer of each shard, the seconds of its tracing, and those of its rendering."""
    for layer in plan.layers:
        for shard in layer.shards:
            cost = costs[layer.layer]
            yield layer.layer, cost.tracing_s, _shard_s(shard, layer, request, cost)


def _makespan(shards: Iterator[tuple[str, float, float]], slots: int) -> float:
    """Return the seconds until all shards are done, each on the device that is free first.

    A device traces a layer when it gets the first shard of it.
    """
    # The time at which a device is free, its number, and the layer that it has traced.
    free: list[tuple[float, int, str]] = [(0.0, slot, "") for slot in range(slots)]
    for layer, tracing_s, rendering_s in shards:
        at_s, slot, traced = free[0]
        busy_s = rendering_s + (0.0 if traced == layer else tracing_s)
        heapq.heapreplace(free, (at_s + busy_s, slot, layer))
    return max(at_s for at_s, _, _ in free)


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
