"""The flow that compares two models: features, similar layers, channels, sprites, report.

The work is planned from the records in the bucket. After any kind of end, the same request
therefore does only the missing work.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from prefect import flow

from diamond_cutter.flows.artifacts import CompareArtifacts
from diamond_cutter.flows.compare_request import CompareRequest, models_to_compare
from diamond_cutter.flows.compare_summary import CompareSummary, summary_of_compare
from diamond_cutter.flows.deployments.triggers import in_deployed_bucket
from diamond_cutter.flows.events.observers import observed
from diamond_cutter.flows.events.progress import Progress, doing, say
from diamond_cutter.flows.expected_seconds import expect_comparison
from diamond_cutter.flows.feature_steps import features_of_images
from diamond_cutter.flows.planning import settle_recipe
from diamond_cutter.flows.report_sprites import render_sprites
from diamond_cutter.flows.run_scope import resolve_images, workplace
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites import ensure_card
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.compare_keys import compare_folder
from diamond_cutter.storage.sets.sprite_set import channels_missing, read_layer
from diamond_cutter.tasks.attaching.checkpoints import unseen_images
from diamond_cutter.tasks.compare_report.choosing import by_difference, choose
from diamond_cutter.tasks.compare_report.contents import CompareReportRecord
from diamond_cutter.tasks.compare_report.examining import examining_job
from diamond_cutter.tasks.compare_report.job import Choice, CompareJob, Examined
from diamond_cutter.tasks.compare_report.results import results_of
from diamond_cutter.tasks.compare_report.stored import stored_compare
from diamond_cutter.tasks.compare_report.task import examine_channels, publish_compare
from diamond_cutter.tasks.comparing.images import (
    ComparedImages,
    check_count,
    check_split,
    compared_images,
    numbered,
)
from diamond_cutter.tasks.comparing.similar_layers import LayersJob, SimilarLayersRecord
from diamond_cutter.tasks.comparing.spec import CompareSpec, PairedModel
from diamond_cutter.tasks.comparing.task import compare_layers
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.features.stored import common_digests
from diamond_cutter.tasks.photos.image_set import FoundImage, ImageSet
from diamond_cutter.tasks.rendering.recipe import RenderRecipe


@dataclass(frozen=True)
class CompareRun:
    """A request with its bucket, models, images and recipes resolved.

    numbered: all images; the position of an image is its number.
    sprites: the request for the sprites of each model.
    """

    request: CompareRequest
    bucket: Bucket
    images: ImageSet
    numbered: tuple[FoundImage, ...]
    models: tuple[PairedModel, PairedModel]
    sprites: tuple[SpritesRequest, SpritesRequest]
    spec: CompareSpec

    @property
    def folder(self) -> str:
        """Return the folder of the report."""
        return compare_folder(self.images.name, self.spec.models, self.spec.key)


@flow(name="compare-models", persist_result=False)
def compare_models(request: CompareRequest) -> CompareSummary:
    """Compare two models on a folder of images.

    Raises:
        CutFailed: some tasks failed; all finished work is in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    outlive_the_server()
    name_process()
    request = in_deployed_bucket(request)
    with (
        observed("compare"),
        workplace(request.runner, devices_of(request.devices), request.grace_s) as slots,
    ):
        run = _resolve(open_bucket(request.bucket), request, slots)
        done = stored_compare(run.bucket, run.folder)
        if done is not None:
            return summary_of_compare(run.bucket, run.folder, done, reused=True)
        run.bucket.check()
        expect_comparison(len(run.numbered), sum(len(model.layers) for model in run.models))
        record = _compare(run, slots)
    summary = summary_of_compare(run.bucket, run.folder, record, reused=False)
    CompareArtifacts(run.spec.models, run.images.name).publish(summary)
    return summary


def _resolve(bucket: Bucket, request: CompareRequest, slots: DeviceSlots) -> CompareRun:
    images = resolve_images(request.images)
    check_count(len(images.images), request.images)
    check_split(images.images, request.split, request.images)
    found = []
    for name in (request.first, request.second):
        with doing(f"looking for {name} in the bucket"):
            found.append(ensure_card(request.bucket, name, slots))
    cards = found[0], found[1]
    models, show = models_to_compare(cards, request)
    sprites = _sprites(bucket, cards[0], request), _sprites(bucket, cards[1], request)
    spec = CompareSpec(
        models=(cards[0].key, cards[1].key),
        layers=(models[0].layers, models[1].layers),
        split=request.split,
        channels=request.channels,
        show=show,
        sprites=(sprites[0].recipe.key, sprites[1].recipe.key),
        cards=(cards[0].reading, cards[1].reading),
    )
    return CompareRun(request, bucket, images, numbered(images), models, sprites, spec)


def _sprites(bucket: Bucket, card: ModelCard, request: CompareRequest) -> SpritesRequest:
    asked = SpritesRequest(
        model=card.key,
        bucket=request.bucket,
        recipe=request.recipe,
        runner=request.runner,
        grace_s=request.grace_s,
    )
    return settle_recipe(bucket, card, asked)


def _compare(run: CompareRun, slots: DeviceSlots) -> CompareReportRecord:
    compared, refused = _features(run, slots)
    job = _job(run, compared, refused, _similar_layers(run, compared))
    with doing("comparing predictions"):
        results = results_of(job)
        choice = choose(job, by_difference(*results.predictions, results.test))
    examined = _examine(run, job, choice, slots)
    warnings = _render(run, _wanted(job, choice, examined))
    with doing("publishing the report"):
        return publish_compare(job, results, choice, examined, warnings)


def _features(run: CompareRun, slots: DeviceSlots) -> tuple[ComparedImages, dict[str, str]]:
    """Compute the features and logits of all images; return the images that count, and the
    reason for each unreadable one.
    """
    asked = [(model.card, spec) for model in run.models for spec in (model.features, model.outputs)]
    wanted = {(card.key, spec): (card, spec) for card, spec in asked if spec is not None}
    say(f"{len(run.numbered):,} images, {len(wanted)} passes of {_names(run)}")
    found = features_of_images(
        run.request.bucket,
        run.images.name,
        run.numbered,
        list(wanted.values()),
        slots,
        run.request.timeout_s,
    )
    refused = {name: reason for each in found for name, reason in each.refused.items()}
    digests = common_digests(found)
    place, unseen = run.request.images, _unseen(run)
    return compared_images(run.numbered, digests, run.request.split, place, unseen), refused


def _unseen(run: CompareRun) -> frozenset[str] | None:
    """Return the names of the images that no training of the two models saw, if that is known."""
    found = [unseen_images(run.bucket, model.card, run.images.name) for model in run.models]
    known = [names for names in found if names is not None]
    return frozenset.intersection(*known) if known else None


def _names(run: CompareRun) -> str:
    return " and ".join(dict.fromkeys(model.card.name for model in run.models))


def _similar_layers(run: CompareRun, compared: ComparedImages) -> SimilarLayersRecord:
    job = LayersJob(
        run.request.bucket, run.folder, run.images.name, run.models, compared, len(run.numbered)
    )
    layers = 2 * len(run.models[0].layers)  # each is compared, then matched
    # No device is needed, only a process with one thread for linear algebra.
    with DeviceSlots([""]) as slots, Progress("steps for layers", layers) as progress:
        on_progress = progress.of_part("comparing layers", layers)
        return compare_layers(job, slots, run.request.timeout_s, on_progress)


def _job(
    run: CompareRun,
    compared: ComparedImages,
    refused: Mapping[str, str],
    similar: SimilarLayersRecord,
) -> CompareJob:
    given = run.request.recipe
    return CompareJob(
        bucket=run.request.bucket,
        folder=run.folder,
        images=run.images,
        place=run.request.images,
        numbered=run.numbered,
        compared=compared,
        refused=refused,
        models=run.models,
        spec=run.spec,
        layers=run.request.layers,
        recipe_name=given.name if given == RenderRecipe(name=given.name) else None,
        similar=similar,
    )


def _examine(
    run: CompareRun, job: CompareJob, choice: Choice, slots: DeviceSlots
) -> tuple[Examined, Examined]:
    if not choice.seen and choice.contributing is None:
        return Examined(), Examined()
    with doing("examining the channels"):
        first, second = (
            examine_channels(examining_job(job, choice, side), slots, run.request.timeout_s)
            for side in (0, 1)
        )
    return first, second


def _wanted(
    job: CompareJob, choice: Choice, examined: tuple[Examined, Examined]
) -> dict[tuple[str, str], dict[str, set[int]]]:
    """Return the channels whose sprites are shown by layer, for each model and recipe."""
    wanted: dict[tuple[str, str], dict[str, set[int]]] = {}
    for side in (0, 1):
        layers = wanted.setdefault((job.spec.models[side], job.spec.sprites[side]), {})
        for shown in choice.seen:
            layer = (shown.pair.first, shown.pair.second)[side]
            layers.setdefault(layer, set()).update(shown.examples[side])
        if choice.contributing is not None:
            layer = (choice.contributing.first, choice.contributing.second)[side]
            for leading in examined[side].leading.values():
                layers.setdefault(layer, set()).update(leading.channels)
    return wanted


def _render(run: CompareRun, wanted: Mapping[tuple[str, str], Mapping[str, set[int]]]) -> list[str]:
    """Render the missing sprites, and return a sentence for each failure."""
    warnings = []
    for (model, recipe), layers in wanted.items():
        selection = {
            layer: tuple(sorted(channels)) for layer, channels in layers.items() if channels
        }
        missing = any(
            channels_missing(channels, read_layer(run.bucket, model, recipe, layer).channels())
            for layer, channels in selection.items()
        )
        if missing:
            asked = next(each for each in run.sprites if each.model == model)
            # All of them, including what a killed run has finished, so that the bucket ends up
            # the same.
            warnings += render_sprites(asked.model_copy(update={"selection": selection}))
    return warnings
