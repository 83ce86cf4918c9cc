"""The flow that explains a folder of images: measure them, look at some closely, render the sprites
that the report lacks, publish it.

The bucket's records decide what there is to do, so the same request again does only what is
missing, after whatever end.
"""

import itertools
import queue
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from diamond_cutter.flows.attribution_request import AttributionRequest, attribution_spec
from diamond_cutter.flows.attribution_summary import ReportSummary, summary_of
from diamond_cutter.flows.cli.listing import check_recipe, check_runs
from diamond_cutter.flows.errors import AttributionFailed
from diamond_cutter.flows.planning import selection_id, settle_recipe
from diamond_cutter.flows.progress import Progress, doing
from diamond_cutter.flows.report_artifacts import ReportArtifacts
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server, server_answers
from diamond_cutter.flows.sprites import error_of, first_line, sprites
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.sprites_summary import SpritesFailed
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.layout import (
    index_key,
    photo_activations_key,
    recipe_key,
    report_folder,
    run_record_key,
)
from diamond_cutter.storage.sets.records import ImagesRecord, PhotoActivations, RunRecord
from diamond_cutter.storage.sets.sprite_set import channels_missing, is_whole, read_record
from diamond_cutter.storage.sets.survey import survey_set
from diamond_cutter.storage.sets.views import check_view
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.task import IMAGES_AT_ONCE, ImagesJob, attribute_images
from diamond_cutter.tasks.devices import DeviceSlots, visible_devices
from diamond_cutter.tasks.gallery.task import publish_gallery
from diamond_cutter.tasks.gathering.contents import read_mixes, spritemap_records
from diamond_cutter.tasks.gathering.index import indexed_shards
from diamond_cutter.tasks.importing.task import ensure_bundle
from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.image_set import BadPhotos, ImageSet
from diamond_cutter.tasks.photos.reading import check_channels
from diamond_cutter.tasks.photos.task import keep_activations
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Mix, Mixes, Term
from diamond_cutter.tasks.reporting.choosing import channels_to_render, evenly
from diamond_cutter.tasks.reporting.contents import DetailsRecord, ReportRecord
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums, sum_measurements
from diamond_cutter.tasks.reporting.stored import image_tables, stored_details, stored_report
from diamond_cutter.tasks.reporting.task import (
    ReportJob,
    detail_images,
    publish_report,
)

_DEVICES = visible_devices()
_IN_FLIGHT = len(_DEVICES) + 1
# Of a group's direction, those channels that weigh most: what is left out is some percent of its
# length.
_GROUP_CHANNELS = 64
# A run's parameters take 512 kB at most, and a group two or three.
_MIXES_AT_ONCE = 128
# For each image that is looked at closely, beside the time of a part.
_LOOK_S = 60.0

_RUNNER: Any = ThreadPoolTaskRunner(max_workers=_IN_FLIGHT)


@dataclass(frozen=True)
class _Run:
    """What a run is of."""

    request: AttributionRequest
    bucket: Bucket
    card: ModelCard
    images: ImageSet
    spec: AttributionSpec
    recipe: RenderRecipe

    @property
    def folder(self) -> str:
        return report_folder(self.images.name, self.card.key, self.spec.key)

    def numbered(self, numbers: Sequence[int]) -> tuple[NumberedImage, ...]:
        return tuple(NumberedImage(number, self.images.images[number]) for number in numbers)


@flow(name="attribute-dataset", task_runner=_RUNNER, persist_result=False)
def attribute_dataset(request: AttributionRequest) -> ReportSummary:
    """Explain a folder of images, and publish the report.

    Raises:
        AttributionFailed: some images could not be measured though they can be read; all others are
            in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    outlive_the_server()
    name_process()
    bucket = open_bucket(request.bucket)
    images = find_images(request.images)
    with DeviceSlots(_DEVICES) as slots:
        with doing("looking for the model in the bucket"):
            card = ensure_bundle(request.bucket, request.model, slots)
        check_channels(card.image.channels)
        asked = SpritesRequest(model=card.key, bucket=request.bucket, recipe=request.recipe)
        recipe = settle_recipe(bucket, card, asked).recipe
        run = _Run(
            request, bucket, card, images, attribution_spec(card, request, recipe.key), recipe
        )
        done = stored_report(bucket, run.folder)
        if (
            done is not None
            and _photos_are_noted(run)
            and not _damaged(run, stored_details(bucket, run.folder))
        ):
            _tell_the_gallery(run)
            return summary_of(bucket, run.folder, done, reused=True)
        bucket.check()
        artifacts = ReportArtifacts(card.name, images.name)
        with Progress("images", len(images.images)) as progress:
            records = _attribute(run, slots, progress, artifacts)
        with doing("adding up what was measured"):
            reduced = sum_measurements(image_tables(bucket, list(records)))
        if not reduced.images:
            raise BadPhotos(
                f"none of the {len(images.images)} images in {request.images} can be read; "
                f"{_first_reason(records)}"
            )
        details = _look_closely(run, reduced, slots)
    refused = {
        name: reason for record in records.values() for name, reason in record.refused.items()
    }
    lacks, mixes = _render(run, reduced, details, refused)
    job = ReportJob(request.bucket, card, images, run.spec, tuple(records), refused, mixes, lacks)
    with doing("publishing the report"):
        record: ReportRecord = publish_report(job, reduced, details)
        _tell_the_gallery(run)
    summary = summary_of(bucket, run.folder, record, reused=False)
    artifacts.publish(summary, record)
    return summary


def _tell_the_gallery(run: _Run) -> None:
    """Let the pages of channels tell of the report, if there are sprites at all."""
    if run.bucket.stat(recipe_key(run.card.key, run.recipe.key)) is not None:
        publish_gallery(run.request.bucket, run.card, run.recipe.key)


def _damaged(run: _Run, details: DetailsRecord | None) -> set[str]:
    """Return the layers, and the mixes that are groups, of whose sprites something is damaged that
    a run publishes without rendering.
    """
    if not run.spec.channels or details is None:
        return set()
    bucket, model, recipe = run.bucket, run.card.key, run.recipe.key
    mixes = {mixes.name for mixes, _ in _group_mixes(details, run.spec)}
    names = {*run.spec.layers, *mixes}
    of_all = (check_recipe(bucket, model, recipe), *check_runs(bucket, model, recipe))
    if any(of_all) or check_view(
        bucket, index_key(model, recipe), due=True, judge=lambda data: None
    ):
        return names
    unread = {name for name in mixes if read_mixes(bucket, model, recipe, name) is None}
    spritemaps = (
        (name, record.file)
        for name in names
        for record in spritemap_records(bucket, model, recipe, name)
    )
    return unread | {name for name, file in spritemaps if not is_whole(bucket, file)}


def _attribute(
    run: _Run, slots: DeviceSlots, progress: Progress, artifacts: ReportArtifacts
) -> dict[str, ImagesRecord]:
    """Measure all images, some at a time, and return the records by their keys, in the order of the
    images.
    """
    count, failures, done = len(run.images.images), list[str](), 0
    parts = (
        range(first, min(first + IMAGES_AT_ONCE, count))
        for first in range(0, count, IMAGES_AT_ONCE)
    )
    jobs = [
        ImagesJob(run.request.bucket, run.card.key, run.images.name, run.spec, run.numbered(part))
        for part in parts
    ]
    left, landed = iter(jobs), queue.SimpleQueue[PrefectFuture[Any]]()
    running: dict[PrefectFuture[Any], ImagesJob] = {}

    def start(job: ImagesJob) -> None:
        future = attribute_images.submit(
            job, slots, run.request.timeout_s, progress.of_part(job.title, len(job.images))
        )
        running[future] = job
        future.add_done_callback(landed.put)

    for job in itertools.islice(left, _IN_FLIGHT):
        start(job)
    while running:
        future = landed.get()
        job, error = running.pop(future), error_of(future)
        if error is not None:
            failures.append(f"{job.title}: {first_line(error)}")
        done += len(job.images)
        artifacts.images_done(done / count)
        for next_job in itertools.islice(left, 1):
            start(next_job)
    if failures:
        raise AttributionFailed(failures)
    return {
        job.record_key: ImagesRecord.from_bytes(run.bucket.get(job.record_key), job.record_key)
        for job in jobs
    }


def _first_reason(records: Mapping[str, ImagesRecord]) -> str:
    name, reason = next(
        (name, reason) for record in records.values() for name, reason in record.refused.items()
    )
    return f"the first is {name!r}: {reason}"


def _look_closely(run: _Run, reduced: DatasetSums, slots: DeviceSlots) -> DetailsRecord:
    numbers = evenly([line.image for line in reduced.images], run.spec.shown)
    job = ImagesJob(
        run.request.bucket, run.card.key, run.images.name, run.spec, run.numbered(numbers)
    )
    with Progress("images looked at closely", len(numbers)) as progress:
        timeout_s = run.request.timeout_s + _LOOK_S * len(numbers)
        return detail_images(
            job, slots, timeout_s, progress.of_part("looking closely", len(numbers))
        )


def _render(
    run: _Run, reduced: DatasetSums, details: DetailsRecord, refused: Collection[str]
) -> tuple[tuple[str, ...], dict[str, tuple[str, tuple[int, ...]]]]:
    """Render the sprites that the report needs and the bucket lacks, and publish those again of
    which something else is damaged.

    Returns:
        what could not be rendered, in sentences; and by layer the name of the mixes that its groups
        are, and their numbers among these.
    """
    warnings = []
    _note_photos(run, reduced, tuple(refused))
    survey = survey_set(
        run.bucket,
        run.card.key,
        run.recipe.key,
        indexed_shards(run.bucket, run.card.key, run.recipe.key),
    )
    channels = channels_to_render(reduced.totals, details.cells, run.spec)
    wanted, damaged = (
        {layer: chosen for layer, chosen in channels.items() if chosen},
        _damaged(run, details),
    )

    def is_due(asked: Mapping[str, Sequence[int]]) -> bool:
        # All of it is asked for, whatever of it a killed run has left, so that a run that goes on
        # leaves what it would have left at once.
        key = run_record_key(run.card.key, run.recipe.key, selection_id(asked))
        lacking = any(
            channels_missing(channels, survey.of(name).owners()) for name, channels in asked.items()
        )
        return (
            lacking
            or bool(damaged.intersection(asked))
            or read_record(run.bucket, key, RunRecord) is None
        )

    asked = SpritesRequest(model=run.card.key, bucket=run.request.bucket, recipe=run.recipe)
    photos = None if run.recipe.negative else run.request.images
    if wanted and is_due(wanted):
        warnings += _sprites(asked.model_copy(update={"selection": wanted, "photos": photos}))
    places: dict[str, tuple[str, tuple[int, ...]]] = {}
    for mixes, layers in _group_mixes(details, run.spec):
        places |= {layer: (mixes.name, numbers) for layer, numbers in layers.items()}
        if is_due({mixes.name: tuple(range(len(mixes.mixes)))}):
            warnings += _sprites(asked.model_copy(update={"mixes": mixes}))
    return tuple(warnings), places


def _sprites(request: SpritesRequest) -> list[str]:
    """Render sprites; what fails is left out of the report, and said."""
    try:
        # A lost server begins no flow run: without it they are a part of this one.
        (sprites if server_answers() else sprites.fn)(request)
    except SpritesFailed as failure:
        return [f"the report lacks sprites: {failure}"]
    return []


def _note_photos(run: _Run, reduced: DatasetSums, refused: tuple[str, ...]) -> None:
    """Keep how high the images drive each channel, as `sprites --photos` would measure it anew."""
    for layer in run.spec.layers:
        record = PhotoActivations(
            model=run.card.key,
            layer=layer,
            photos=run.images.name,
            images=len(reduced.images),
            unreadable=refused,
            highest=tuple(float(f"{value:.6g}") for value in reduced.highest(layer)),
        )
        keep_activations(run.bucket, record)


def _photos_are_noted(run: _Run) -> bool:
    keys = (
        photo_activations_key(run.card.key, run.images.name, layer, pre_activation=False)
        for layer in run.spec.layers
    )
    return all(read_record(run.bucket, key, PhotoActivations) is not None for key in keys)


def _group_mixes(
    details: DetailsRecord, spec: AttributionSpec
) -> Iterator[tuple[Mixes, dict[str, tuple[int, ...]]]]:
    """Yield the groups of some layers as mixes, and by layer the numbers of its groups among them;
    as many as a run can be asked for.
    """
    chosen: list[Mix] = []
    places: dict[str, tuple[int, ...]] = {}
    for layer in spec.layers if spec.channels else ():
        directions = details.groups[layer].directions if layer in details.groups else ()
        if chosen and len(chosen) + len(directions) > _MIXES_AT_ONCE:
            yield Mixes(mixes=tuple(chosen)), places
            chosen, places = [], {}
        places[layer] = tuple(range(len(chosen), len(chosen) + len(directions)))
        labels = (f"{layer}, group {number + 1}"[:200] for number in range(len(directions)))
        chosen += [
            Mix(label=label, terms=(_term(layer, direction),))
            for label, direction in zip(labels, directions, strict=True)
        ]
    if chosen:
        yield Mixes(mixes=tuple(chosen)), places


def _term(layer: str, direction: Sequence[float]) -> Term:
    strongest = sorted(range(len(direction)), key=lambda channel: -abs(direction[channel]))[
        :_GROUP_CHANNELS
    ]
    channels = tuple(sorted(channel for channel in strongest if direction[channel]))
    return Term(
        layer=layer, channels=channels, weights=tuple(direction[channel] for channel in channels)
    )
