"""The flow that renders sprites: ensure the bundle, plan, adopt shards, render shards, gather
spritemaps, publish, commit.

The bucket's records decide what there is to do, so the same request again does only what is
missing, after whatever end.
"""

import itertools
import queue
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from diamond_cutter.flows.artifacts import RunArtifacts
from diamond_cutter.flows.planning import LayerPlan, RunPlan, plan_run, settle_recipe, shard_jobs
from diamond_cutter.flows.progress import Progress, doing
from diamond_cutter.flows.quantities import rounded
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.sprites_summary import (
    RunSummary,
    SpritesFailed,
    photo_warnings,
    without_sprite,
)
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.layout import (
    mixes_key,
    recipe_key,
    run_record_key,
    spritemap_record_key,
)
from diamond_cutter.storage.sets.records import (
    Attempt,
    Flag,
    PhotoActivations,
    RunRecord,
    SpritemapRecord,
)
from diamond_cutter.storage.sets.sprite_set import commit, put_determined
from diamond_cutter.storage.sets.survey import survey_set
from diamond_cutter.tasks.devices import DeviceSlots, visible_devices
from diamond_cutter.tasks.gallery.task import publish_gallery
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.gathering.spritemap import part_name
from diamond_cutter.tasks.gathering.task import (
    adopt_shards,
    gather_spritemap,
    publish_index,
)
from diamond_cutter.tasks.importing.task import ensure_bundle
from diamond_cutter.tasks.photos.task import activations_key, measure_photos
from diamond_cutter.tasks.rendering.task import FINAL_ERRORS, ShardJob, render_shard

_INDEXED_TOGETHER = 256  # shards
_DEVICES = visible_devices()
# A shard on each device, and one that waits for the next device to be free. The rest waits here, so
# that a spritemap does not queue behind all shards of the layers that follow.
_SHARDS_IN_FLIGHT = len(_DEVICES) + 1


Photos = Mapping[str, PhotoActivations]


@dataclass
class Outcome:
    """What has become of a run's shards and spritemaps so far."""

    photos: Photos = field(default_factory=dict)
    spritemaps: dict[str, SpritemapRecord] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    rendered: int = 0
    failed: int = 0
    render_seconds: float = 0.0

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return a sentence for each shard or spritemap that failed."""
        return tuple(itertools.chain.from_iterable(self.failures.values()))

    @property
    def flagged(self) -> dict[Flag, int]:
        """Return how many sprites of the spritemaps bear each flag."""
        flags = Counter(
            flag
            for record in self.spritemaps.values()
            for sprite in record.sprites
            for flag in sprite.flags
        )
        return dict(sorted(flags.items()))

    @property
    def rungs(self) -> dict[Attempt, int]:
        """Return how many sprites of the spritemaps each rung of the ladder saved, and how many
        none did.
        """
        rungs = Counter(
            sprite.rung
            for record in self.spritemaps.values()
            for sprite in record.sprites
            if sprite.rung != "first"
        )
        return dict(sorted(rungs.items()))


# mypy cannot see that this runner's futures are Prefect's.
_RUNNER: Any = ThreadPoolTaskRunner(max_workers=_SHARDS_IN_FLIGHT + 1)


@flow(name="sprites", task_runner=_RUNNER, persist_result=False)
def sprites(request: SpritesRequest) -> RunSummary:
    """Render the sprites that a request asks for and gather them into spritemaps.

    Raises:
        SpritesFailed: some shards could not be rendered; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    outlive_the_server()
    name_process()
    bucket = open_bucket(request.bucket)
    with DeviceSlots(_DEVICES) as slots:
        with doing("looking for the model and its sprites in the bucket"):
            card = ensure_bundle(request.bucket, request.model, slots)
            request = settle_recipe(bucket, card, request)
            plan = plan_run(bucket, card, request)
        if plan.to_do:
            bucket.check()
        put_determined(bucket, recipe_key(card.key, request.recipe.key), request.recipe.to_bytes())
        if request.mixes:
            content = request.mixes.model_dump_json(indent=1).encode() + b"\n"
            put_determined(
                bucket, mixes_key(card.key, request.recipe.key, request.mixes.name), content
            )
        if plan.adoptable and not adopt_shards(
            request.bucket, card.key, request.recipe, plan.adoptable
        ):
            # Something was removed or damaged since it was found: what has not come is rendered.
            plan = plan_run(bucket, card, request, adopting=False)
        with doing("measuring the photos"):
            photos = _photos(plan, request, slots)
        artifacts = RunArtifacts(plan)
        with Progress("sprites", plan.to_do) as progress:
            outcome = _render_and_gather(plan, request, photos, slots, progress, artifacts)
    with doing("publishing the index and the gallery"):
        _publish_index(plan, request, photos)
        publish_gallery(request.bucket, card, request.recipe.key)
    _commit_run(bucket, plan, request, outcome)
    summary = _summary(bucket, plan, request, outcome)
    artifacts.publish_summary(summary)
    if outcome.failures:
        raise SpritesFailed(summary)
    return summary


def _photos(plan: RunPlan, request: SpritesRequest, slots: DeviceSlots) -> Photos:
    """Return what the user's photos do to the plan's layers; nothing if there are none."""
    if request.photos is None:
        return {}
    layers = [layer.layer for layer in plan.layers]
    return measure_photos(
        request.bucket, plan.card.key, request.photos, layers, request.recipe.pre_activation, slots
    )


def _publish_index(plan: RunPlan, request: SpritesRequest, photos: Photos) -> None:
    publish_index(
        request.bucket,
        plan.card,
        request.recipe.key,
        {layer: _highest(photos, layer) for layer in photos},
    )


def _highest(photos: Photos, layer: str) -> dict[int, float]:
    return dict(enumerate(photos[layer].highest)) if layer in photos else {}


def _render_and_gather(
    plan: RunPlan,
    request: SpritesRequest,
    photos: Photos,
    slots: DeviceSlots,
    progress: Progress,
    artifacts: RunArtifacts,
) -> Outcome:
    """Render the plan's shards, each layer's spritemap following its last shard."""
    outcome, started, not_indexed = Outcome(photos), time.monotonic(), 0
    landed: queue.SimpleQueue[PrefectFuture[Any]] = queue.SimpleQueue()
    shards: dict[PrefectFuture[Any], ShardJob] = {}
    gathers: dict[PrefectFuture[Any], LayerPlan] = {}
    layers = {layer.layer: layer for layer in plan.layers}
    left = Counter({layer.layer: len(layer.shards) for layer in plan.layers})
    jobs = shard_jobs(
        plan, request, {layer: activations_key(record) for layer, record in photos.items()}
    )

    def render(job: ShardJob) -> None:
        future = render_shard.submit(
            job, slots, request.shard_timeout_s, progress.of_part(job.name, job.sprites)
        )
        shards[future] = job
        future.add_done_callback(landed.put)

    def gather(layer: LayerPlan) -> None:
        arguments = (
            request.bucket,
            plan.card,
            request.recipe.key,
            layer.layer,
            layer.channels,
            request.spritemap_format,
        )
        future = gather_spritemap.submit(*arguments, _highest(photos, layer.layer), layer.out_of)
        gathers[future] = layer
        future.add_done_callback(landed.put)

    for layer in plan.layers:
        if not layer.shards:
            gather(layer)
    for job in itertools.islice(jobs, _SHARDS_IN_FLIGHT):
        render(job)
    while shards or gathers:
        future = landed.get()
        if future in gathers:
            layer = gathers.pop(future)
            _note_spritemap(outcome, layer, future)
            artifacts.layer_done(len(outcome.spritemaps))
            not_indexed += len(layer.shards)
            if not_indexed >= _INDEXED_TOGETHER and (shards or gathers):
                # Whoever looks at a run of days, or starts it again, need not read all of its
                # records.
                _publish_index(plan, request, photos)
                not_indexed = 0
            continue
        job = shards.pop(future)
        _note_shard(outcome, job, future)
        outcome.render_seconds = time.monotonic() - started
        for next_job in itertools.islice(jobs, 1):
            render(next_job)
        left[job.name] -= 1
        if left[job.name] == 0 and job.name not in outcome.failures:
            gather(layers[job.name])
    return outcome


def _note_shard(outcome: Outcome, job: ShardJob, future: PrefectFuture[Any]) -> None:
    error = error_of(future)
    if error is None:
        outcome.rendered += job.sprites
        return
    outcome.failed += job.sprites
    outcome.failures.setdefault(job.name, []).append(f"{job.title}: {first_line(error)}")


def _note_spritemap(outcome: Outcome, layer: LayerPlan, future: PrefectFuture[Any]) -> None:
    error = error_of(future)
    if error is None:
        outcome.spritemaps[layer.layer] = future.result()
    else:
        outcome.failures.setdefault(layer.layer, []).append(
            f"spritemap of {layer.layer}: {first_line(error)}"
        )


def error_of(future: PrefectFuture[Any]) -> BaseException | None:
    """Return what a task failed with; raise it if no other task of the run can fare better."""
    future.wait()  # it has landed, but knows its state only when asked to wait for it
    if future.state.is_completed():
        return None
    error = future.result(raise_on_failure=False)
    if isinstance(error, FINAL_ERRORS):
        raise error
    return (
        error
        if isinstance(error, BaseException)
        else RuntimeError(future.state.message or future.state.name)
    )


def first_line(error: BaseException) -> str:
    """Return an error in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _commit_run(bucket: Bucket, plan: RunPlan, request: SpritesRequest, outcome: Outcome) -> None:
    """Write the run's record, unless the one that is there says the same."""
    model, recipe = plan.card.key, request.recipe.key
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
        sprites=plan.done + outcome.rendered,
        flagged=outcome.flagged,
        rungs=outcome.rungs,
        failures=outcome.sentences,
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


def _summary(
    bucket: Bucket, plan: RunPlan, request: SpritesRequest, outcome: Outcome
) -> RunSummary:
    dead, unrendered = without_sprite(outcome.spritemaps, outcome.photos)
    return RunSummary(
        model=plan.card.key,
        recipe=request.recipe.key,
        bucket=bucket.url,
        spritemaps={
            layer.layer: outcome.spritemaps[layer.layer].file.key
            for layer in plan.layers
            if layer.layer in outcome.spritemaps
        },
        rendered=outcome.rendered,
        reused=plan.done,
        failed=outcome.failed,
        flagged=outcome.flagged,
        rungs=outcome.rungs,
        dead=dead,
        unrendered=unrendered,
        photos=next((record.images for record in outcome.photos.values()), None),
        sprites_per_second=rounded(outcome.rendered / outcome.render_seconds)
        if outcome.rendered
        else None,
        warnings=photo_warnings(request.photos, outcome.photos),
        failures=outcome.sentences,
    )
