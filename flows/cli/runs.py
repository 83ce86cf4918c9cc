"""Runs a flow as the command line does: on the Prefect server in use, or a private one for as long
as it takes.
"""

from collections.abc import Callable
from typing import TypeVar

from diamond_cutter.flows.attribution_request import AttributionRequest, attribution_spec
from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.errors import PrefectServerError, RequestError
from diamond_cutter.flows.sprites_request import AUTO, SpritesRequest
from diamond_cutter.flows.sprites_summary import RunSummary
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import AccessDenied, Bucket, open_bucket
from diamond_cutter.tasks.photos.finding import check_images
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_PARAMETERS_LIMIT = 500_000

_Request = TypeVar("_Request", SpritesRequest, AttributionRequest)
_Summary = TypeVar("_Summary", RunSummary, ReportSummary)


def run_sprites(request: SpritesRequest) -> RunSummary:
    """Render sprites.

    Raises:
        SpritesFailed: some shards could not be rendered; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
        PrefectServerError: there is no server, or it was lost on the way.
    """
    check_sprites(request)
    # Prefect takes a second to import and its server some more to start: not before the request is
    # known to be sound.
    from diamond_cutter.flows.sprites import sprites

    return _on_a_server(sprites, request)


def run_attribution(request: AttributionRequest) -> ReportSummary:
    """Explain a folder of images.

    Raises:
        AttributionFailed: some images could not be measured though they can be read; all others are
            in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
        PrefectServerError: there is no server, or it was lost on the way.
    """
    check_attribution(request)
    from diamond_cutter.flows.attribution import attribute_dataset

    return _on_a_server(attribute_dataset, request)


def _on_a_server(flow: Callable[[_Request], _Summary], request: _Request) -> _Summary:
    import httpx

    from diamond_cutter.flows.server.prefect_server import prefect_server

    try:
        with prefect_server():
            return flow(request)
    except httpx.HTTPError as error:
        raise PrefectServerError(
            f"The Prefect server was lost in the middle of the run ({error}): what was finished "
            "is in the bucket; see that the "
            "server runs, and the same command goes on from there."
        ) from error


def check_sprites(request: SpritesRequest) -> None:
    """Refuse a request that cannot be met, as far as can be told without rendering.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    from diamond_cutter.flows.sprites_request import select

    # Prefect keeps the parameters of each run, and takes no more.
    size = len(request.model_dump_json())
    if size > _PARAMETERS_LIMIT:
        raise RequestError(
            f"the mixes take {size:,} bytes to write down, of which a run may have "
            f"{_PARAMETERS_LIMIT:,}; render them in several runs"
        )
    if request.photos is not None:
        check_images(request.photos)
    bucket, card, denied = _model_in(request.bucket, request.model)
    if card is not None:
        select(card, request)
        _check_recipe(bucket, card, request.recipe)
    if denied is not None and (card is None or not _is_rendered(bucket, card, request)):
        raise denied


def _is_rendered(bucket: Bucket, card: ModelCard, request: SpritesRequest) -> bool:
    from diamond_cutter.flows.planning import plan_run, settle_recipe

    plan = plan_run(bucket, card, settle_recipe(bucket, card, request))
    return not plan.to_do and not plan.adoptable


def check_attribution(request: AttributionRequest) -> None:
    """Refuse a request that cannot be met, as far as can be told without measuring.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    from diamond_cutter.tasks.photos.reading import check_channels

    check_images(request.images)
    bucket, card, denied = _model_in(request.bucket, request.model)
    if card is not None:
        check_channels(card.image.channels)
        attribution_spec(card, request, request.recipe.key)
        _check_recipe(bucket, card, request.recipe)
    if denied is not None and (card is None or not _is_explained(bucket, card, request)):
        raise denied


def _check_recipe(bucket: Bucket, card: ModelCard, recipe: RenderRecipe) -> None:
    """See that the preset can be used if it is what is rendered by."""
    from diamond_cutter.tasks.tuning.preset import read_preset

    if recipe.name == AUTO:
        read_preset(bucket, card.key)


def _is_explained(bucket: Bucket, card: ModelCard, request: AttributionRequest) -> bool:
    from diamond_cutter.flows.planning import settle_recipe
    from diamond_cutter.storage.sets.layout import report_folder
    from diamond_cutter.tasks.photos.finding import find_images
    from diamond_cutter.tasks.reporting.stored import stored_report

    asked = SpritesRequest(model=card.key, bucket=request.bucket, recipe=request.recipe)
    spec = attribution_spec(card, request, settle_recipe(bucket, card, asked).recipe.key)
    return (
        stored_report(bucket, report_folder(find_images(request.images).name, card.key, spec.key))
        is not None
    )


def _model_in(bucket_url: str, model: str) -> tuple[Bucket, ModelCard | None, AccessDenied | None]:
    """Return a bucket, a model's card if it is there, and why nothing can be kept there, if that is
    so.
    """
    from diamond_cutter.tasks.importing.stored import find_model

    bucket, denied = open_bucket(bucket_url), None
    try:
        bucket.check()
    except AccessDenied as error:
        denied = error
    return bucket, find_model(bucket, model), denied
