"""The flow that renders sprites: ensure the bundle, plan, adopt, render, gather, publish, commit.

The plan is made from the records in the bucket. After any kind of end, the same request therefore
renders only the missing sprites.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import Context, copy_context
from typing import TypeVar

from prefect import flow

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.artifacts import RunArtifacts
from diamond_cutter.flows.deployments.triggers import in_deployed_bucket
from diamond_cutter.flows.errors import RequestError, sentence
from diamond_cutter.flows.events.executions import kept_executions
from diamond_cutter.flows.events.observers import observed
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.expected_seconds import expect_sprites
from diamond_cutter.flows.model_run import ModelRun, Photos
from diamond_cutter.flows.planning import RunPlan, only_failed, plan_run, settle_recipe
from diamond_cutter.flows.run_scope import known_card, known_images, remember_card, workplace
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites_publishing import finished, publish_model
from diamond_cutter.flows.sprites_rendering import SpritesRendering
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.sprites_summary import (
    RunSummary,
    SpritesFailed,
    SpritesSummary,
)
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import Bucket, Token, open_bucket
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import mixes_key, recipe_key
from diamond_cutter.storage.sets.sprite_set import put_determined
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.gathering.task import adopt_shards
from diamond_cutter.tasks.importing.model_globs import models_matching
from diamond_cutter.tasks.importing.stored import find_model
from diamond_cutter.tasks.importing.task import ensure_bundle
from diamond_cutter.tasks.photos.activations import stored_activations
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.photos.task import measure_photos

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@flow(name="sprites", persist_result=False)
def sprites(request: SpritesRequest) -> SpritesSummary:
    """Render the requested sprites and gather them into spritemaps.

    Raises:
        SpritesFailed: some shards failed; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        RunnerLost: the cluster on which the tasks worked is gone.
    """
    outlive_the_server()
    name_process()
    request = in_deployed_bucket(request)
    bucket = open_bucket(request.bucket)
    with (
        observed("sprites"),
        workplace(
            request.runner, devices_of(request.devices), request.grace_s, request.budget_minutes
        ) as slots,
    ):
        runs, skipped = _planned(bucket, request, slots)
        expect_sprites(runs)
        summaries: dict[str, RunSummary] = {}
        with kept_executions(bucket, "sprites", runs) as executions, _progress(runs) as progress:

            def finish(run: ModelRun, lost: Token | None) -> bool:
                published = publish_model(bucket, run, lost)
                if published:
                    summaries[run.plan.card.key] = finished(bucket, run, executions)
                return published

            SpritesRendering(bucket, runs, slots, progress).run(finish)
            for run in runs:
                # Another run still publishes it, and the budget of this one is used up.
                if run.plan.card.key not in summaries:
                    summaries[run.plan.card.key] = finished(bucket, run, executions)
        summary = SpritesSummary(
            models=tuple(summaries[run.plan.card.key] for run in runs),
            skipped=tuple(f"skipped a model: {sentence(error)}" for error in skipped),
        )
        if summary.failures:
            raise SpritesFailed(summary)
    return summary


def _progress(runs: Sequence[ModelRun]) -> Progress:
    layers = {
        (run.plan.card.key, layer.layer): sum(map(len, layer.shards)) * layer.variants
        for run in runs
        for layer in run.plan.layers
    }
    return Progress("sprites", sum(layers.values()), layers)


def _planned(
    bucket: Bucket, request: SpritesRequest, slots: DeviceSlots
) -> tuple[list[ModelRun], list[DiamondCutterError]]:
    """Return the requested models with their plans, and why others cannot be rendered.

    Raises:
        DiamondCutterError: no model can be rendered; the error of the first one.
    """
    runs: dict[str, ModelRun] = {}
    skipped: list[DiamondCutterError] = []
    names = models_matching(bucket, request.models)
    _remember_cards(bucket, names)
    requests: dict[str, tuple[ModelCard, SpritesRequest]] = {}
    for name in names:
        try:
            with doing(f"looking for {name} in the bucket"):
                card = ensure_card(request.bucket, name, slots)
            requests.setdefault(card.key, (card, request.of_model(name)))
        except (ModelError, RequestError) as error:
            skipped.append(error)
    with doing("looking for the sprites in the bucket"):
        plans = list(_each(bucket, lambda asked: _plan(bucket, *asked), requests.values()))
    sound = [planned for planned in plans if not isinstance(planned, DiamondCutterError)]
    if any(plan.to_do for _, plan in sound):
        bucket.check()
    list(_each(bucket, lambda planned: _put_settings(bucket, planned[1].card, planned[0]), sound))
    for planned in plans:
        try:
            if isinstance(planned, DiamondCutterError):
                raise planned
            run = _prepared(bucket, *planned, slots)
            runs[run.plan.card.key] = run
        except (ModelError, RequestError, BadPhotos) as error:
            skipped.append(error)
    if not runs:
        raise skipped[0]
    return list(runs.values()), skipped


def _each(
    bucket: Bucket, call: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result | DiamondCutterError]:
    """Yield the result or the error of a call for each item, with the bucket's concurrency."""

    def run(within: tuple[Context, _Item]) -> _Result | DiamondCutterError:
        try:
            return within[0].run(call, within[1])
        except (ModelError, RequestError) as error:
            return error

    # Each call has a copy of the context, so that it sees the scope of the run.
    return at_once(bucket, run, ((copy_context(), item) for item in items))


def _remember_cards(bucket: Bucket, names: Sequence[str]) -> None:
    """Read the cards of models in the bucket, several at a time."""
    unknown = [name for name in names if known_card(bucket.url, name) is None]
    found = _each(bucket, lambda name: find_model(bucket, name), unknown if names[1:] else [])
    for name, card in zip(unknown, found, strict=False):
        if isinstance(card, ModelCard):
            remember_card(bucket.url, name, card)


def _plan(
    bucket: Bucket, card: ModelCard, request: SpritesRequest
) -> tuple[SpritesRequest, RunPlan]:
    request = settle_recipe(bucket, card, request)
    return request, plan_run(bucket, card, request)


def _prepared(
    bucket: Bucket, request: SpritesRequest, plan: RunPlan, slots: DeviceSlots
) -> ModelRun:
    plan = _adopt(bucket, plan, request)
    if request.retry_failed:
        plan = only_failed(bucket, plan, request.recipe)
    with doing("measuring the photos"):
        photos = _photos(plan, request, slots)
    return ModelRun(request, plan, photos, RunArtifacts(plan))


def ensure_card(bucket_url: str, model: str, slots: DeviceSlots) -> ModelCard:
    """Return the card of a model, importing the model first if the bucket lacks it.

    Raises:
        ModelError: the model is unknown, or its weights are missing or unusable.
    """
    card = known_card(bucket_url, model) or ensure_bundle(bucket_url, model, slots)
    remember_card(bucket_url, model, card)
    return card


def _put_settings(bucket: Bucket, card: ModelCard, request: SpritesRequest) -> None:
    """Store the recipe, and the mixes if there are any."""
    recipe = request.recipe
    put_determined(bucket, recipe_key(card.key, recipe.key), recipe.to_bytes())
    if request.mixes:
        content = request.mixes.model_dump_json(indent=1).encode() + b"\n"
        put_determined(bucket, mixes_key(card.key, recipe.key, request.mixes.name), content)


def _adopt(bucket: Bucket, plan: RunPlan, request: SpritesRequest) -> RunPlan:
    """Copy shards of other sets; if some are lost meanwhile, return a plan that renders them."""
    if not plan.adoptable:
        return plan
    if adopt_shards(request.bucket, plan.card.key, request.recipe, plan.adoptable):
        return plan
    return plan_run(bucket, plan.card, request, adopting=False)


def _photos(plan: RunPlan, request: SpritesRequest, slots: DeviceSlots) -> Photos:
    """Return the highest activations on the user's photos by layer; empty without photos."""
    if request.photos is None:
        return {}
    place, pre_activation = request.photos, request.recipe.pre_activation
    layers, model = [layer.layer for layer in plan.layers], plan.card.key
    images = known_images(place)
    if images is not None:
        stored = stored_activations(request.bucket, model, images.name, layers, pre_activation)
        if len(stored) == len(layers):
            return stored
    return measure_photos(request.bucket, model, place, layers, pre_activation, slots)
