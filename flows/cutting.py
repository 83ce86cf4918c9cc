"""The flow that finds where to cut: features, scores, trained heads, sprites, report.

The work is planned from the records in the bucket. After any kind of end, the same request
therefore does only the missing work.
"""

from collections.abc import Sequence

from prefect import flow

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.artifacts import CutArtifacts
from diamond_cutter.flows.cut_request import CutRequest, cut_spec
from diamond_cutter.flows.cut_steps import (
    SCORERS,
    CutRun,
    costs_of_models,
    estimate,
    features_of_models,
    join_in_models,
    render_cut_sprites,
    score_models,
    train_in_models,
)
from diamond_cutter.flows.cut_summary import CutSummary, summary_of_cut
from diamond_cutter.flows.deployments.triggers import in_deployed_bucket
from diamond_cutter.flows.errors import sentence
from diamond_cutter.flows.events.observers import observed
from diamond_cutter.flows.events.progress import doing, say
from diamond_cutter.flows.expected_seconds import expect_cut
from diamond_cutter.flows.left_over import BudgetSpent, LeftOver
from diamond_cutter.flows.planning import settle_recipe
from diamond_cutter.flows.run_scope import resolve_images, workplace
from diamond_cutter.flows.server.crashed_runs import name_process
from diamond_cutter.flows.server.loss import outlive_the_server
from diamond_cutter.flows.sprites import ensure_card
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.cut_keys import comparison_folder
from diamond_cutter.tasks.cut_report.cuts import ComparedModel, compare, compared_models
from diamond_cutter.tasks.cut_report.job import ComparisonJob
from diamond_cutter.tasks.cut_report.stored import stored_comparison
from diamond_cutter.tasks.cut_report.task import publish_comparison
from diamond_cutter.tasks.cutting.dataset import (
    Dataset,
    check_class_sizes,
    labelled_images,
    make_dataset,
)
from diamond_cutter.tasks.devices import DeviceSlots, devices_of
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.features.stored import FeatureSet, common_digests
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.rendering.recipe import RenderRecipe


@flow(name="find-cut", persist_result=False)
def find_cut(request: CutRequest) -> CutSummary | LeftOver:
    """Find the model and layer whose features classify a folder of images best.

    Returns:
        the summary of the report, or what the budget leaves to the next run.

    Raises:
        CutFailed: some tasks failed; all finished work is in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    outlive_the_server()
    name_process()
    request = in_deployed_bucket(request)
    bucket = open_bucket(request.bucket)
    with (
        observed("cut"),
        workplace(
            request.runner, devices_of(request.devices), request.grace_s, request.budget_minutes
        ) as slots,
    ):
        run = _resolve(bucket, request, slots)
        folder = comparison_folder(run.images.name, run.comparison(_recipes(run)).key)
        done = stored_comparison(bucket, folder)
        if done is not None:
            return summary_of_cut(bucket, folder, done, run.skipped, reused=True)
        bucket.check()
        try:
            return _find(run, folder, slots)
        except BudgetSpent as spent:
            return spent.left_over


def _resolve(bucket: Bucket, request: CutRequest, slots: DeviceSlots) -> CutRun:
    images = resolve_images(request.images)
    labelled, _ = labelled_images(images, request.images)
    cards, skipped = dict[str, tuple[ModelCard, CutSpec]](), list[DiamondCutterError]()
    for name in dict.fromkeys(request.models):
        try:
            with doing(f"looking for {name} in the bucket"):
                card = ensure_card(request.bucket, name, slots)
            cards[card.key] = card, cut_spec(card, request)
        except (ModelError, BadPhotos) as error:
            skipped.append(error)
    if not cards:
        raise skipped[0]
    check_class_sizes(labelled, request.folds)
    reasons = tuple(f"skipped a model: {sentence(error)}" for error in skipped)
    return CutRun(request, bucket, images, labelled, compared_models(list(cards.values())), reasons)


def _recipes(run: CutRun) -> str:
    """Return the keys of the recipes by which the models' sprites are rendered."""
    return "+".join(dict.fromkeys(_asked(run, model).recipe.key for model in run.models))


def _asked(run: CutRun, model: ComparedModel) -> SpritesRequest:
    request = run.request
    asked = SpritesRequest(
        model=model.card.key,
        bucket=request.bucket,
        recipe=request.recipe,
        runner=request.runner,
        grace_s=request.grace_s,
    )
    return settle_recipe(run.bucket, model.card, asked)


def _recipe_name(request: CutRequest) -> str | None:
    """Return the name of the requested recipe, or None if it differs from the one of that name."""
    given = request.recipe
    return given.name if given == RenderRecipe(name=given.name) else None


def _dataset(run: CutRun, features: Sequence[FeatureSet]) -> tuple[Dataset, dict[str, str]]:
    """Return the images to classify, and the reason for each image that is unreadable."""
    refused = {name: reason for found in features for name, reason in found.refused.items()}
    check_class_sizes(run.labelled, run.request.folds, refused)
    return make_dataset(run.labelled, common_digests(features), run.models[0].spec), refused


def _find(run: CutRun, folder: str, slots: DeviceSlots) -> CutSummary:
    artifacts = CutArtifacts(run.images.name)
    layers = sum(len(model.spec.layers) for model in run.models)
    expect_cut(len(run.labelled), len(run.models), layers, run.request.train)
    costs = costs_of_models(run, slots)
    say(estimate(run, costs, len(slots)))
    features = features_of_models(run, slots)
    dataset, refused = _dataset(run, list(features.values()))
    with DeviceSlots([""] * SCORERS) as scorers:
        scores = score_models(run, dataset, scorers)
        comparison = compare(run.models, scores, costs)
        joins, problems = join_in_models(run, dataset, comparison, scorers)
    trained = train_in_models(run, dataset, comparison, slots)
    best = next(model for model in run.models if model.name == comparison.best.model)
    asked = _asked(run, best)
    job = ComparisonJob(
        bucket=run.request.bucket,
        folder=folder,
        images=run.images,
        place=run.request.images,
        labelled=run.labelled,
        dataset=dataset,
        models=run.models,
        spec=run.comparison(_recipes(run)),
        recipe=asked.recipe.key,
        layers=run.request.layers,
        recipe_name=_recipe_name(run.request),
        refused=refused,
        skipped=run.skipped,
        comparison=comparison,
        joins=joins,
        problems=(*comparison.problems, *problems),
        trained=trained,
    )
    shown, warnings = render_cut_sprites(job, best, asked, slots, run.request.timeout_s)
    with doing("publishing the report"):
        record = publish_comparison(job, shown, warnings)
    summary = summary_of_cut(run.bucket, folder, record, run.skipped, reused=False)
    artifacts.publish(summary)
    return summary
