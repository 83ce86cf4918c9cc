"""Computes the features of images by several models, and runs jobs as tasks."""

from collections.abc import Callable, Sequence
from typing import Any

from diamond_cutter.errors import first_line
from diamond_cutter.flows.errors import CutFailed
from diamond_cutter.flows.events.progress import Progress
from diamond_cutter.flows.events.stream import TaskFailed, publish
from diamond_cutter.flows.left_over import BudgetSpent
from diamond_cutter.flows.run_scope import may_start, tasks_in_flight
from diamond_cutter.flows.task_futures import FutureQueue, error_of
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.features.job import MODELS_AT_ONCE, FeaturesJob
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.features.stored import (
    FeatureSet,
    batch_ranges,
    feature_set,
    features_folder,
)
from diamond_cutter.tasks.features.task import compute_features
from diamond_cutter.tasks.photos.image_set import FoundImage

ModelFeatures = tuple[ModelCard, CutSpec]


def features_of_images(
    bucket_url: str,
    dataset: str,
    images: Sequence[FoundImage],
    models: Sequence[ModelFeatures],
    slots: DeviceSlots,
    timeout_s: float,
) -> list[FeatureSet]:
    """Return the features of all images by each model; compute what the bucket lacks.

    Args:
        bucket_url: of the features.
        dataset: the name and hash of the images' folder.
        images: the images; the position of an image is its number.
        models: each model with the specification of its features.
        slots: the devices.
        timeout_s: time limit for each task.

    Raises:
        CutFailed: some tasks failed, after all others have ended.
        BudgetSpent: some tasks were not started.
    """
    jobs = [
        job
        for first in range(0, len(models), MODELS_AT_ONCE)
        for numbers in batch_ranges(len(images))
        for job in _jobs(
            bucket_url, dataset, images, models[first : first + MODELS_AT_ONCE], numbers
        )
    ]
    with Progress("images through networks", sum(len(job.images) for job in jobs)) as progress:

        def submit(job: FeaturesJob) -> Any:
            on_progress = progress.of_part(job.title, len(job.images))
            return compute_features.submit(job, slots, timeout_s, on_progress)

        run_all(jobs, "batches of images", submit, tasks_in_flight)
    bucket = open_bucket(bucket_url)
    return [
        feature_set(bucket, features_folder(dataset, card.key, spec), len(images))
        for card, spec in models
    ]


def _jobs(
    bucket_url: str,
    dataset: str,
    images: Sequence[FoundImage],
    models: Sequence[ModelFeatures],
    numbers: range,
) -> list[FeaturesJob]:
    batch = tuple(NumberedImage(number, images[number]) for number in numbers)
    # One decoding serves models whose images have the same channels.
    shapes = list(dict.fromkeys(card.image.shape for card, _ in models))
    return [
        FeaturesJob(
            bucket_url,
            card.key,
            dataset,
            spec,
            batch,
            card.image.shape,
            tuple(shape for shape in shapes if shape[2] == card.image.channels),
        )
        for card, spec in models
    ]


def run_all(
    jobs: Sequence[Any],
    parts: str,
    submit: Any,
    limit: Callable[[], int],
    failures: list[str] | None = None,
) -> list[tuple[Any, Any]]:
    """Run jobs as tasks, and return each with its result, in the order of the jobs.

    Args:
        jobs: what is run.
        parts: what the jobs are called, such as `layers`.
        submit: starts the task of a job.
        limit: returns the number of tasks at a time.
        failures: receives a sentence for each task that failed; if omitted, failures are raised.

    Raises:
        CutFailed: some tasks failed, after all others have ended.
        BudgetSpent: some tasks were not started.
    """
    found, failed = dict[int, Any](), list[str]()
    places = {id(job): place for place, job in enumerate(jobs)}

    def counted() -> str:
        return f"{len(found):,} of {len(jobs):,} {parts}"

    for job, future in FutureQueue(jobs, submit, limit, may_start=may_start, done=counted):
        error = error_of(future)
        if error is not None:
            failed.append(first_line(error))
            publish(TaskFailed(problem=failed[-1]))
        else:
            found[places[id(job)]] = future.result()
    if failures is not None:
        failures += failed
    elif failed:
        raise CutFailed(failed)
    if len(found) + len(failed) < len(jobs):
        raise BudgetSpent(len(jobs) - len(found) - len(failed), parts)
    return [(jobs[place], found[place]) for place in sorted(found)]
