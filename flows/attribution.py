"""The flow that explains a folder of images: measure, inspect some, render sprites, publish.

The work is planned from the records in the bucket. After any kind of end, the same request
therefore does only the missing work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefect import flow

from diamond_cutter.errors import first_line
from diamond_cutter.flows.artifacts import ReportArtifacts
from diamond_cutter.flows.attribution_command import command_of
from diamond_cutter.flows.attribution_request import (
    AttributionRequest,
    AttributionRun,
    attribution_spec,
)
from diamond_cutter.flows.attribution_summary import ReportSummary, summary_of
from diamond_cutter.flows.deployments.triggers import in_deployed_bucket
from diamond_cutter.flows.errors import AttributionFailed
from diamond_cutter.flows.events.observers import observed
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.events.stream import TaskFailed, publish
from diamond_cutter.flows.left_over import BudgetSpent, LeftOver
from diamond_cutter.flows.model_check import preprocessing_note
from diamond_cutter.flows.planning import settle_recipe
from diamond_cutter.flows.report_sprites import (
    damaged_sprites,
    photos_are_noted,
    render_report_sprites,
)
from diamond_cutter.flows.run_scope import may_start, resolve_images, tasks_in_flight, workplace
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites import ensure_card
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.task_futures import FutureQueue, error_of
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.layout import recipe_key
from diamond_cutter.storage.sets.records import ImagesRecord
from diamond_cutter.storage.sets.report_keys import methods_key
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.attribution.job import ImagesJob
from diamond_cutter.tasks.attribution.label_classes import classes_by_label
from diamond_cutter.tasks.attribution.method_choice import SAMPLE, MethodsRecord
from diamond_cutter.tasks.attribution.task import IMAGES_AT_ONCE, attribute_images, choose_methods
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.gallery.task import publish_gallery
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.reporting.choosing import evenly
from diamond_cutter.tasks.reporting.contents import (
    DetailsRecord,
    ReportRecord,
)
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums, sum_measurements
from diamond_cutter.tasks.reporting.stored import image_tables, stored_details, stored_report
from diamond_cutter.tasks.reporting.task import (
    ReportJob,
    detail_images,
    publish_report,
)

# Extra time for each image that is inspected.
_INSPECTION_S = 60.0


@flow(name="attribute-dataset", persist_result=False)
def attribute_dataset(request: AttributionRequest) -> ReportSummary | LeftOver:
    """Explain a folder of images, and publish the report; or return what the budget leaves.

    Raises:
        AttributionFailed: some readable images failed; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    outlive_the_server()
    name_process()
    request = in_deployed_bucket(request)
    bucket = open_bucket(request.bucket)
    with (
        observed("attribute"),
        workplace(
            request.runner, devices_of(request.devices), request.grace_s, request.budget_minutes
        ) as slots,
    ):
        run = _resolve(bucket, request, slots)
        done = _complete_report(run)
        if done is not None:
            _update_gallery(run)
            return summary_of(bucket, run.folder, done, reused=True)
        bucket.check()
        try:
            return _explain(_with_methods(run, slots), slots)
        except BudgetSpent as spent:
            return spent.left_over


def _resolve(bucket: Bucket, request: AttributionRequest, slots: DeviceSlots) -> AttributionRun:
    images = resolve_images(request.images)
    with doing("looking for the model in the bucket"):
        card = ensure_card(request.bucket, request.model, slots)
    asked = SpritesRequest(model=card.key, bucket=request.bucket, recipe=request.recipe)
    recipe = settle_recipe(bucket, card, asked).recipe
    named = classes_by_label(card, images)
    card, images = named or (card, images)
    spec = attribution_spec(card, request, recipe.key, classes_by_label=named is not None)
    return AttributionRun(request, bucket, card, images, spec, recipe)


def _complete_report(run: AttributionRun) -> ReportRecord | None:
    """Return the report if it is there and nothing that belongs to it is missing or damaged."""
    done = stored_report(run.bucket, run.folder)
    if done is None or not photos_are_noted(run):
        return None
    return None if damaged_sprites(run, stored_details(run.bucket, run.folder)) else done


def _with_methods(run: AttributionRun, slots: DeviceSlots) -> AttributionRun:
    """Return the run with a method for each layer, chosen before anything is measured."""
    if run.spec.method != "auto":
        return run
    if not may_start():
        raise BudgetSpent(len(run.images.images), "images")
    count = len(run.images.images)
    sample = _job(run, evenly(range(count), SAMPLE))
    with doing("choosing the method of each layer"):
        record: MethodsRecord = choose_methods(sample, count, slots, run.request.timeout_s)
    return replace(run, spec=run.spec.model_copy(update={"methods": record.methods}))


def _explain(run: AttributionRun, slots: DeviceSlots) -> ReportSummary:
    bucket, request = run.bucket, run.request
    artifacts = ReportArtifacts(run.card.name, run.images.name)
    with Progress("images", len(run.images.images)) as progress:
        records = _attribute(run, slots, progress, artifacts)
    with doing("adding up the measurements"):
        reduced = sum_measurements(image_tables(bucket, list(records)))
    refused = {
        name: reason for record in records.values() for name, reason in record.refused.items()
    }
    if not reduced.images:
        name, reason = next(iter(refused.items()))
        raise BadPhotos(
            f"all {len(run.images.images)} images in {request.images} are unreadable. The first is "
            f"{name!r}: {reason}."
        )
    details = _inspect(run, reduced, slots)
    lacks, groups = render_report_sprites(run, reduced, details, refused)
    job = ReportJob(
        request.bucket,
        run.card,
        run.images,
        run.spec,
        (*_methods_keys(run), *records),
        refused,
        groups,
        lacks,
        preprocessing_note(run, reduced, slots),
        command_of(request, run.images.name.rpartition("@")[0]),
    )
    with doing("publishing the report"):
        record: ReportRecord = publish_report(job, reduced, details)
        _update_gallery(run)
    summary = summary_of(bucket, run.folder, record, reused=False)
    artifacts.publish(bucket, summary, record)
    return summary


def _update_gallery(run: AttributionRun) -> None:
    """Add the report to the gallery's pages of channels, if there are sprites at all."""
    if run.bucket.stat(recipe_key(run.card.key, run.recipe.key)) is not None:
        publish_gallery(run.request.bucket, run.card, run.recipe.key)


def _attribute(
    run: AttributionRun, slots: DeviceSlots, progress: Progress, artifacts: ReportArtifacts
) -> Mapping[str, ImagesRecord]:
    """Measure all images, and return their records by key, in the order of the images."""
    count, failures, done = len(run.images.images), list[str](), 0
    jobs = [
        _job(run, range(first, min(first + IMAGES_AT_ONCE, count)))
        for first in range(0, count, IMAGES_AT_ONCE)
    ]

    def submit(job: ImagesJob) -> Any:
        on_progress = progress.of_part(job.title, len(job.images))
        return attribute_images.submit(job, slots, run.request.timeout_s, on_progress)

    def counted() -> str:
        return f"{done:,} of {count:,} images"

    for job, future in FutureQueue(
        jobs, submit, tasks_in_flight, may_start=may_start, done=counted
    ):
        error = error_of(future)
        if error is not None:
            failures.append(f"{job.title}: {first_line(error, limit=None)}")
            publish(TaskFailed(problem=failures[-1]))
        done += len(job.images)
        artifacts.images_done(done / count)
    if failures:
        raise AttributionFailed(failures)
    if done < count:
        raise BudgetSpent(count - done, "images")
    return {
        job.record_key: ImagesRecord.from_bytes(run.bucket.get(job.record_key), job.record_key)
        for job in jobs
    }


def _methods_keys(run: AttributionRun) -> tuple[str, ...]:
    return (methods_key(run.folder),) if run.spec.methods else ()


def _inspect(run: AttributionRun, reduced: DatasetSums, slots: DeviceSlots) -> DetailsRecord:
    """Measure the images that the report shows one by one in more detail."""
    numbers = evenly([line.image for line in reduced.images], run.spec.shown)
    if not may_start():
        raise BudgetSpent(len(numbers), "images to inspect")
    timeout_s = run.request.timeout_s + _INSPECTION_S * len(numbers)
    with Progress("inspected images", len(numbers)) as progress:
        on_progress = progress.of_part("inspecting images", len(numbers))
        return detail_images(_job(run, numbers), slots, timeout_s, on_progress)


def _job(run: AttributionRun, numbers: Sequence[int]) -> ImagesJob:
    images = tuple(NumberedImage(number, run.images.images[number]) for number in numbers)
    return ImagesJob(run.request.bucket, run.card.key, run.images.name, run.spec, images)
