"""The steps of a search for a cut: each runs tasks for all models and returns their records."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diamond_cutter.flows.cut_request import CutRequest
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.feature_steps import features_of_images, run_all
from diamond_cutter.flows.quantities import passing
from diamond_cutter.flows.report_sprites import render_sprites
from diamond_cutter.flows.run_scope import places, tasks_in_flight
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.sprite_set import channels_missing, read_layer
from diamond_cutter.tasks.cut_report.class_cards import ClassChannels
from diamond_cutter.tasks.cut_report.contents import ComparisonSpec
from diamond_cutter.tasks.cut_report.cuts import ComparedModel, Comparison
from diamond_cutter.tasks.cut_report.job import ComparisonJob
from diamond_cutter.tasks.cut_report.task import find_separating_channels
from diamond_cutter.tasks.cutting.choosing import Cut, cuts_to_train
from diamond_cutter.tasks.cutting.dataset import (
    Dataset,
)
from diamond_cutter.tasks.cutting.job import ScoringJob
from diamond_cutter.tasks.cutting.scores import ScoresRecord
from diamond_cutter.tasks.cutting.task import join_layers, score_layer
from diamond_cutter.tasks.cutting.together import JoinRecord
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.features.stored import CostsRecord, FeatureSet
from diamond_cutter.tasks.features.task import measure_costs
from diamond_cutter.tasks.photos.image_set import FoundImage, ImageSet
from diamond_cutter.tasks.training.job import TrainedRecord, TrainingJob
from diamond_cutter.tasks.training.task import train_heads

# Of the images, a fifth is for the test, and a fifth of the others for early stopping.
_TRAINED_SHARE, _USUAL_EPOCHS = 0.64, 8
# Scores need no device, only a core each.
SCORERS = max(1, min(8, os.cpu_count() or 1))


@dataclass(frozen=True)
class CutRun:
    """A request with its bucket, models and images resolved.

    images: all images of the folder.
    labelled: those with a label; the position of an image is its number.
    models: the models that can be compared.
    skipped: a sentence for each model that cannot.
    """

    request: CutRequest
    bucket: Bucket
    images: ImageSet
    labelled: tuple[FoundImage, ...]
    models: tuple[ComparedModel, ...]
    skipped: tuple[str, ...]

    def comparison(self, recipe: str) -> ComparisonSpec:
        """Return the specification of the report; `recipe` is the key of the sprites' recipe."""
        return ComparisonSpec(
            models=tuple((model.card.key, model.spec.key) for model in self.models),
            train=self.request.train,
            channels=self.request.channels,
            sprites=recipe,
        )


def costs_of_models(run: CutRun, slots: DeviceSlots) -> dict[str, CostsRecord]:
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


def estimate(run: CutRun, costs: Mapping[str, CostsRecord], devices: int) -> str:
    """Return the amount of work, and the time that the networks take on this machine."""
    images = len(run.labelled)
    each_s = [max(cost.ms for cost in found.costs.values()) / 1000 for found in costs.values()]
    layers = sum(len(model.spec.layers) for model in run.models)
    models = f"{len(run.models)} model{'s' * (len(run.models) > 1)}"
    parts = [f"{images:,} images, {models}, {layers} layers to score"]
    seconds = images * sum(each_s) / places()
    if run.request.train:
        parts.append(f"{min(run.request.train, layers)} heads to train")
        trained = sorted(each_s)[-run.request.train :]
        shown = min(images, run.models[0].spec.most_images) * _TRAINED_SHARE * _USUAL_EPOCHS
        seconds += shown * sum(trained)
    return f"{', '.join(parts)}: the networks alone take about {passing(seconds)} on this machine"


def features_of_models(run: CutRun, slots: DeviceSlots) -> dict[str, FeatureSet]:
    """Return the features of all images, by the key of the model."""
    found = features_of_images(
        run.request.bucket,
        run.images.name,
        run.labelled,
        [(model.card, model.spec) for model in run.models],
        slots,
        run.request.timeout_s,
    )
    return {model.card.key: features for model, features in zip(run.models, found, strict=True)}


def _scoring_job(run: CutRun, model: ComparedModel, dataset: Dataset) -> ScoringJob:
    return ScoringJob(
        run.request.bucket,
        model.card.key,
        run.images.name,
        dataset,
        len(run.labelled),
        model.spec,
    )


def score_models(
    run: CutRun, dataset: Dataset, scorers: DeviceSlots
) -> dict[str, dict[str, ScoresRecord]]:
    """Return the scores of each layer, by the key of the model and the name of the layer."""
    jobs = [
        (_scoring_job(run, model, dataset), model.card.layer(layer))
        for model in run.models
        for layer in model.spec.layers
    ]
    found: dict[str, dict[str, ScoresRecord]] = {model.card.key: {} for model in run.models}
    with Progress("layers scored", len(jobs), parts="layer") as progress:

        def submit(job: Any) -> Any:
            scoring, layer = job
            on_progress = progress.of_part(layer.name, 1)
            return score_layer.submit(scoring, layer, scorers, run.request.timeout_s, on_progress)

        for (scoring, layer), record in run_all(
            jobs, "layers to score", submit, lambda: SCORERS + 1
        ):
            found[scoring.model][layer.name] = record
    return found


def join_in_models(
    run: CutRun, dataset: Dataset, comparison: Comparison, scorers: DeviceSlots
) -> tuple[dict[str, JoinRecord], list[str]]:
    """Return the gain of joined layers, by the key of the model, and a sentence for each failure.

    With very many classes, joining may exceed the time limit. The report does without it then.
    """
    scored = {cut.model for cut in comparison.cuts}
    jobs = [_scoring_job(run, model, dataset) for model in run.models if model.name in scored]
    with doing("joining layers"):

        def submit(job: ScoringJob) -> Any:
            return join_layers.submit(job, scorers, run.request.timeout_s, None)

        failures = list[str]()
        found = run_all(jobs, "models to join", submit, lambda: SCORERS + 1, failures)
    problems = [f"layers were not joined: {failure}" for failure in failures]
    return {job.model: record for job, record in found}, problems


def train_in_models(
    run: CutRun, dataset: Dataset, comparison: Comparison, slots: DeviceSlots
) -> dict[str, TrainedRecord]:
    """Return the trained heads of each model, by its key."""
    chosen = cuts_to_train(comparison.cuts, run.request.train, run.request.seed)
    jobs = [
        _training_job(run, model, dataset, cuts)
        for model in run.models
        if (cuts := [cut for cut in chosen if cut.model == model.name])
    ]
    with doing("training heads"):

        def submit(job: TrainingJob) -> Any:
            return train_heads.submit(job, slots, run.request.timeout_s, None)

        heads = run_all(jobs, "models to train", submit, tasks_in_flight)
        return {job.model: record for job, record in heads}


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


def render_cut_sprites(
    job: ComparisonJob,
    best: ComparedModel,
    asked: SpritesRequest,
    slots: DeviceSlots,
    timeout_s: float,
) -> tuple[ClassChannels, list[str]]:
    """Find the channels that tell the classes apart at the best cut, and render missing sprites.

    Returns:
        the channels of each class, and a sentence for each failure.
    """
    if not job.spec.channels:
        return [], []
    channels = find_separating_channels(job, slots, timeout_s)
    wanted = sorted({each.channel for of_class in channels for each in of_class})
    bucket, layer = open_bucket(job.bucket), job.best_layer.name
    there = read_layer(bucket, best.card.key, asked.recipe.key, layer).channels()
    missing = channels_missing(wanted, there)
    if not missing:
        return channels, []
    # All of them, including what a killed run has finished, so that the bucket ends up the same.
    return channels, render_sprites(asked.model_copy(update={"selection": {layer: tuple(wanted)}}))
