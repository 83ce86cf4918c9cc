"""The flow that finds where to cut: features, scores, trained heads, sprites, report.

The work is planned from the records in the bucket. After any kind of end, the same request
therefore does only the missing work.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.artifacts import CutArtifacts
from diamond_cutter.flows.cut_request import CutRequest, CutRun, cut_spec
from diamond_cutter.flows.cut_sprites import render_cut_sprites
from diamond_cutter.flows.cut_summary import CutSummary, summary_of_cut
from diamond_cutter.flows.errors import CutFailed, sentence
from diamond_cutter.flows.planning import settle_recipe
from diamond_cutter.flows.progress import Progress, doing, say
from diamond_cutter.flows.quantities import passing
from diamond_cutter.flows.run_scope import device_slots, resolve_images, run_scope
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites import DEVICES, ensure_card
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.task_futures import FutureQueue, error_of, first_line
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.cut_keys import comparison_folder
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.cut_report.cuts import ComparedModel, Comparison, compare
from diamond_cutter.tasks.cut_report.job import ComparisonJob
from diamond_cutter.tasks.cut_report.stored import stored_comparison
from diamond_cutter.tasks.cut_report.task import publish_comparison
from diamond_cutter.tasks.cutting.choosing import Cut, cuts_to_train
from diamond_cutter.tasks.cutting.dataset import (
    Dataset,
    check_class_sizes,
    labelled_images,
    make_dataset,
)
from diamond_cutter.tasks.cutting.scores import ScoresRecord
from diamond_cutter.tasks.cutting.task import ScoringJob, join_layers, score_layer
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.features.stored import (
    CostsRecord,
    FeatureSet,
    batch_ranges,
    cut_folder,
    feature_set,
)
from diamond_cutter.tasks.features.task import (
    MODELS_AT_ONCE,
    FeaturesJob,
    compute_features,
    measure_costs,
)
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.photos.reading import check_channels
from diamond_cutter.tasks.training.task import TrainedRecord, TrainingJob, train_heads

# Scores need no device, only a core each.
SCORERS = max(1, min(8, os.cpu_count() or 1))

# mypy cannot see that this runner's futures are Prefect's.
_RUNNER: Any = ThreadPoolTaskRunner(max_workers=max(len(DEVICES), SCORERS) + 1)


@flow(name="find-cut", task_runner=_RUNNER, persist_result=False)
def find_cut(request: CutRequest) -> CutSummary:
    """Find the model and layer whose features classify a folder of images best.

    Raises:
        CutFailed: some tasks failed; all finished work is in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    outlive_the_server()
    name_process()
    bucket = open_bucket(request.bucket)
    with run_scope(), device_slots(DEVICES) as slots:
        run = _resolve(bucket, request, slots)
        folder = comparison_folder(run.images.name, run.comparison(_recipes(run)).key)
        done = stored_comparison(bucket, folder)
        if done is not None:
            return summary_of_cut(bucket, folder, done, run.skipped, reused=True)
        bucket.check()
        return _find(run, folder, slots)


def _resolve(bucket: Bucket, request: CutRequest, slots: DeviceSlots) -> CutRun:
    images = resolve_images(request.images)
    labelled, _ = labelled_images(images, request.images)
    models, skipped = list[ComparedModel](), list[DiamondCutterError]()
    for name in dict.fromkeys(request.models):
        try:
            with doing(f"looking for {name} in the bucket"):
                card = ensure_card(request.bucket, name, slots)
            check_channels(card.image.channels)
            models.append(ComparedModel(card, cut_spec(card, request)))
        except (ModelError, BadPhotos) as error:
            skipped.append(error)
    if not models:
        raise skipped[0]
    check_class_sizes(labelled, request.folds)
    reasons = tuple(f"skipped a model: {sentence(error)}" for error in skipped)
    return CutRun(request, bucket, images, labelled, tuple(models), reasons)


def _recipes(run: CutRun) -> str:
    """Return the keys of the recipes by which the models' sprites are rendered."""
    return "+".join(dict.fromkeys(_asked(run, model).recipe.key for model in run.models))


def _asked(run: CutRun, model: ComparedModel) -> SpritesRequest:
    request = run.request
    asked = SpritesRequest(model=model.card.key, bucket=request.bucket, recipe=request.recipe)
    return settle_recipe(run.bucket, model.card, asked)


def _find(run: CutRun, folder: str, slots: DeviceSlots) -> CutSummary:
    artifacts = CutArtifacts(run.images.name)
    costs = _measure_costs(run, slots)
    say(_estimate(run, costs))
    features = _compute_features(run, slots)
    refused = {
        name: reason for found in features.values() for name, reason in found.refused.items()
    }
    check_class_sizes(run.labelled, run.request.folds, refused)
    digests = features[run.models[0].card.key].digests
    dataset = make_dataset(run.labelled, digests, run.models[0].spec)
    with DeviceSlots([""] * SCORERS) as scorers:
        scores = _score(run, dataset, scorers)
        comparison = compare(run.models, scores, costs)
        joins = _join(run, dataset, comparison, scorers)
    trained = _train(run, dataset, comparison, slots)
    best = next(model for model in run.models if model.card.name == comparison.best.model)
    asked = _asked(run, best)
    job = ComparisonJob(
        bucket=run.request.bucket,
        folder=folder,
        images=run.images,
        place=run.request.images,
        labelled=run.labelled,
        dataset=dataset,
        cards=tuple(model.card for model in run.models),
        specs=tuple(model.spec for model in run.models),
        spec=run.comparison(_recipes(run)),
        recipe=asked.recipe.key,
        refused=refused,
        skipped=run.skipped,
        comparison=comparison,
        joins=joins,
        trained=trained,
    )
    shown, warnings = render_cut_sprites(job, best, asked, slots, run.request.timeout_s)
    with doing("publishing the report"):
        record = publish_comparison(job, shown, warnings)
    summary = summary_of_cut(run.bucket, folder, record, run.skipped, reused=False)
    artifacts.publish(summary)
    return summary


def _measure_costs(run: CutRun, slots: DeviceSlots) -> dict[str, CostsRecord]:
    """Return the costs of each model's layers, by the model's key."""
    found = {}
    for model in run.models:
        with doing(f"measuring the costs of {model.card.name}"):
            found[model.card.key] = measure_costs(
                run.request.bucket,
                model.card.key,
                run.images.name,
                model.spec,
                slots,
                run.request.timeout_s,
            )
    return found


def _estimate(run: CutRun, costs: Mapping[str, CostsRecord]) -> str:
    """Return what is to be done, and how long its longest parts take on this machine."""
    images = len(run.labelled)
    each_s = [max(cost.ms for cost in found.costs.values()) / 1000 for found in costs.values()]
    layers = sum(len(model.spec.layers) for model in run.models)
    models = f"{len(run.models)} model{'s' * (len(run.models) > 1)}"
    parts = [f"{images:,} images, {models}, {layers} layers to score"]
    seconds = images * sum(each_s) / len(DEVICES)
    if run.request.train:
        parts.append(f"{min(run.request.train, layers)} heads to train")
        # Early stopping ends most trainings after about this many epochs.
        trained = min(len(run.models), run.request.train)
        seconds += (
            25 * 0.6 * min(images, run.models[0].spec.most_images) * sum(sorted(each_s)[-trained:])
        )
    return f"{', '.join(parts)}: the networks alone take about {passing(seconds)} on this machine"


def _compute_features(run: CutRun, slots: DeviceSlots) -> dict[str, FeatureSet]:
    """Return the features of all images, by the key of the model."""
    jobs = [
        job
        for first in range(0, len(run.models), MODELS_AT_ONCE)
        for numbers in batch_ranges(len(run.labelled))
        for job in _feature_jobs(run, run.models[first : first + MODELS_AT_ONCE], numbers)
    ]
    with Progress("images through networks", sum(len(job.images) for job in jobs)) as progress:

        def submit(job: FeaturesJob) -> Any:
            on_progress = progress.of_part(job.title, len(job.images))
            return compute_features.submit(job, slots, run.request.timeout_s, on_progress)

        _run_all(jobs, submit, len(DEVICES) + 1)
    return {
        model.card.key: feature_set(
            run.bucket,
            cut_folder(run.images.name, model.card.key, model.spec),
            len(run.labelled),
        )
        for model in run.models
    }


def _feature_jobs(
    run: CutRun, models: Sequence[ComparedModel], numbers: range
) -> list[FeaturesJob]:
    images = tuple(NumberedImage(number, run.labelled[number]) for number in numbers)
    shapes = tuple(dict.fromkeys(model.card.image.shape for model in models))
    return [
        FeaturesJob(run.request.bucket, model.card.key, run.images.name, model.spec, images, shapes)
        for model in models
    ]


def _scoring_job(run: CutRun, model: ComparedModel, dataset: Dataset) -> ScoringJob:
    return ScoringJob(
        run.request.bucket,
        model.card.key,
        run.images.name,
        dataset,
        len(run.labelled),
        model.spec,
    )


def _score(
    run: CutRun, dataset: Dataset, scorers: DeviceSlots
) -> dict[str, dict[str, ScoresRecord]]:
    """Return the scores of each layer, by the key of the model and the name of the layer."""
    jobs = [
        (_scoring_job(run, model, dataset), model.card.layer(layer))
        for model in run.models
        for layer in model.spec.layers
    ]
    found: dict[str, dict[str, ScoresRecord]] = {model.card.key: {} for model in run.models}
    with Progress("layers scored", len(jobs)) as progress:

        def submit(job: Any) -> Any:
            scoring, layer = job
            on_progress = progress.of_part(layer.name, 1)
            return score_layer.submit(scoring, layer, scorers, run.request.timeout_s, on_progress)

        for (scoring, layer), record in _run_all(jobs, submit, SCORERS + 1):
            found[scoring.model][layer.name] = record
    return found


def _join(
    run: CutRun, dataset: Dataset, comparison: Comparison, scorers: DeviceSlots
) -> dict[str, JoinRecord]:
    """Return what joining layers gains, by the key of the model."""
    scored = {cut.model for cut in comparison.cuts}
    jobs = [_scoring_job(run, model, dataset) for model in run.models if model.card.name in scored]
    with doing("joining layers"):

        def submit(job: ScoringJob) -> Any:
            return join_layers.submit(job, scorers, run.request.timeout_s, None)

        return {job.model: record for job, record in _run_all(jobs, submit, SCORERS + 1)}


def _train(
    run: CutRun, dataset: Dataset, comparison: Comparison, slots: DeviceSlots
) -> dict[str, TrainedRecord]:
    """Return the trained heads of each model, by its key."""
    chosen = cuts_to_train(comparison.cuts, run.request.train, run.request.seed)
    jobs = [
        _training_job(run, model, dataset, cuts)
        for model in run.models
        if (cuts := [cut for cut in chosen if cut.model == model.card.name])
    ]
    with doing("training heads"):

        def submit(job: TrainingJob) -> Any:
            return train_heads.submit(job, slots, run.request.timeout_s, None)

        return {job.model: record for job, record in _run_all(jobs, submit, len(DEVICES) + 1)}


def _training_job(
    run: CutRun, model: ComparedModel, dataset: Dataset, cuts: Sequence[Cut]
) -> TrainingJob:
    return TrainingJob(
        run.request.bucket,
        model.card.key,
        run.images.name,
        dataset,
        run.labelled,
        model.spec,
        {cut.layer: cut.scores.probe.penalty for cut in cuts},
    )


def _run_all(jobs: Sequence[Any], submit: Any, limit: int) -> list[tuple[Any, Any]]:
    """Run jobs as tasks, and return each with its result, in the order of the jobs.

    Raises:
        CutFailed: some tasks failed, after all others have ended.
    """
    found, failures = dict[int, Any](), list[str]()
    places = {id(job): place for place, job in enumerate(jobs)}
    for job, future in FutureQueue(jobs, submit, limit):
        error = error_of(future)
        if error is not None:
            failures.append(first_line(error))
        else:
            found[places[id(job)]] = future.result()
    if failures:
        raise CutFailed(failures)
    return [(jobs[place], found[place]) for place in sorted(found)]
