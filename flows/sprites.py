"""The flow that renders sprites: ensure the bundle, plan, adopt, render, gather, publish, commit.

The plan is made from the records in the bucket. After any kind of end, the same request therefore
renders only the missing sprites.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from prefect import flow

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.artifacts import RunArtifacts
from diamond_cutter.flows.deployments.triggers import in_deployed_bucket
from diamond_cutter.flows.errors import RequestError, sentence
from diamond_cutter.flows.events.executions import RunExecutions, kept_executions
from diamond_cutter.flows.events.observers import observed
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.expected_seconds import expect_sprites
from diamond_cutter.flows.model_run import ModelRun, Photos
from diamond_cutter.flows.planning import LayerPlan, RunPlan, only_failed, plan_run, settle_recipe
from diamond_cutter.flows.quantities import rounded
from diamond_cutter.flows.run_scope import known_card, known_images, remember_card, workplace
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites_rendering import SpritesRendering
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.sprites_summary import (
    RunSummary,
    SpritesFailed,
    SpritesSummary,
    photo_warnings,
    without_sprite,
)
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.executions import End
from diamond_cutter.storage.sets.layout import (
    mixes_key,
    recipe_key,
    run_record_key,
    spritemap_record_key,
)
from diamond_cutter.storage.sets.records import RunRecord
from diamond_cutter.storage.sets.sprite_set import commit, put_determined
from diamond_cutter.storage.sets.survey import survey_set
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.gallery.task import publish_gallery
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.gathering.spritemap import part_name
from diamond_cutter.tasks.gathering.task import adopt_shards
from diamond_cutter.tasks.importing.model_globs import models_matching
from diamond_cutter.tasks.importing.task import ensure_bundle
from diamond_cutter.tasks.photos.activations import stored_activations
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.photos.task import measure_photos


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
            for run in SpritesRendering(bucket, runs, slots, progress).run():
                summaries[run.plan.card.key] = _finish(bucket, run, executions)
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
    for name in names:
        try:
            run = _plan(bucket, request.of_model(name), slots)
            runs.setdefault(run.plan.card.key, run)
        except (ModelError, RequestError, BadPhotos) as error:
            skipped.append(error)
    if not runs:
        raise skipped[0]
    return list(runs.values()), skipped


def _plan(bucket: Bucket, request: SpritesRequest, slots: DeviceSlots) -> ModelRun:
    with doing(f"looking for {request.model} and its sprites in the bucket"):
        card = ensure_card(request.bucket, request.model, slots)
        request = settle_recipe(bucket, card, request)
        plan = plan_run(bucket, card, request)
    if plan.to_do:
        bucket.check()
    _put_settings(bucket, card, request)
    plan = _adopt(bucket, plan, request)
    if request.retry_failed:
        plan = only_failed(bucket, plan, request.recipe)
    with doing("measuring the photos"):
        photos = _photos(plan, request, slots)
    return ModelRun(request, plan, photos, RunArtifacts(plan))


def _finish(bucket: Bucket, run: ModelRun, executions: RunExecutions) -> RunSummary:
    """Publish the sprites of a model, and commit them if they are complete."""
    with doing("publishing the index and the gallery"):
        run.publish_index()
        publish_gallery(run.request.bucket, run.plan.card, run.request.recipe.key)
    if run.is_complete:
        _commit_run(bucket, run)
    ended: End = "complete" if run.is_complete else "stopped"
    executions.keep(run, "failed" if run.outcome.failures else ended)
    summary = _summary(bucket, run)
    run.artifacts.publish_summary(summary)
    return summary


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


def _commit_run(bucket: Bucket, run: ModelRun) -> None:
    """Write the run's record, unless the one that is there says the same."""
    plan, outcome = run.plan, run.outcome
    model, recipe = plan.card.key, run.request.recipe.key
    record = RunRecord(
        model=model,
        recipe=recipe,
        selection={layer.layer: layer.channels for layer in plan.layers},
        shards=tuple(sorted(_shards_of(bucket, plan, recipe))),
        spritemaps=tuple(
            _spritemap_key(plan, recipe, layer)
            for layer in plan.layers
            if layer.layer in outcome.spritemaps
        ),
        sprites=plan.done + outcome.found + outcome.rendered,
        flagged=outcome.flagged,
        rungs=outcome.rungs,
        failures=outcome.sentences,
        failed={layer: tuple(sorted(of)) for layer, of in outcome.failed_channels.items()},
        finished=datetime.now(UTC).replace(microsecond=0),
    )
    key = run_record_key(model, recipe, plan.selection_id)
    commit(
        bucket,
        key,
        record,
        lambda theirs: theirs.model_copy(update={"finished": record.finished}) == record,
    )


def _spritemap_key(plan: RunPlan, recipe: str, layer: LayerPlan) -> str:
    return spritemap_record_key(
        plan.card.key, recipe, layer.layer, part_name(layer.channels, layer.out_of)
    )


def _shards_of(bucket: Bucket, plan: RunPlan, recipe: str) -> Iterator[str]:
    survey = survey_set(
        bucket, plan.card.key, recipe, indexed_shards(bucket, plan.card.key, recipe)
    )
    for layer in plan.layers:
        owners, wanted = survey.of(layer.layer).owners(), set(layer.channels)
        yield from {record for channel, record in owners.items() if channel in wanted}


def _summary(bucket: Bucket, run: ModelRun) -> RunSummary:
    plan, outcome = run.plan, run.outcome
    dead, unrendered = without_sprite(outcome.spritemaps, run.photos)
    return RunSummary(
        model=plan.card.key,
        recipe=run.request.recipe.key,
        bucket=bucket.url,
        run=run_record_key(plan.card.key, run.request.recipe.key, plan.selection_id),
        spritemaps={
            layer.layer: outcome.spritemaps[layer.layer].file.key
            for layer in plan.layers
            if layer.layer in outcome.spritemaps
        },
        rendered=outcome.rendered,
        reused=plan.done + outcome.found,
        failed=outcome.failed,
        left=run.left,
        retried=plan.to_do if run.request.retry_failed else None,
        flagged=outcome.flagged,
        rungs=outcome.rungs,
        dead=dead,
        unrendered=unrendered,
        photos=next((record.images for record in run.photos.values()), None),
        sprites_per_second=rounded(outcome.rendered / outcome.render_seconds)
        if outcome.rendered
        else None,
        warnings=photo_warnings(run.request.photos, run.photos),
        failures=outcome.sentences,
    )
