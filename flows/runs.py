"""Runs a flow on the Prefect server in use, or on a private one that stops with the run.

Requests are checked first: importing Prefect takes a second, and its server some more to start.
"""

from collections.abc import Callable
from typing import TypeVar

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.attach_request import AttachRequest, attach_spec
from diamond_cutter.flows.attach_summary import AttachSummary
from diamond_cutter.flows.attribution_request import AttributionRequest, attribution_spec
from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.compare_request import CompareRequest, models_to_compare
from diamond_cutter.flows.compare_summary import CompareSummary
from diamond_cutter.flows.cut_request import CutRequest, cut_spec
from diamond_cutter.flows.cut_summary import CutSummary
from diamond_cutter.flows.errors import PrefectServerError, RequestError
from diamond_cutter.flows.run_scope import remember_card, require_images, resolve_images, run_scope
from diamond_cutter.flows.sprites_request import AUTO, LOCAL, SpritesRequest, TuneRequest
from diamond_cutter.flows.sprites_summary import SpritesSummary
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import AccessDenied, Bucket, open_bucket
from diamond_cutter.tasks.devices import devices_of
from diamond_cutter.tasks.importing.model_globs import models_matching
from diamond_cutter.tasks.photos.finding import check_images
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_PARAMETERS_LIMIT = 500_000

_Request = TypeVar(
    "_Request", SpritesRequest, AttributionRequest, CutRequest, AttachRequest, CompareRequest
)
_Summary = TypeVar(
    "_Summary", SpritesSummary, ReportSummary, CutSummary, AttachSummary, CompareSummary
)


def run_sprites(request: SpritesRequest) -> SpritesSummary:
    """Render sprites.

    Raises:
        SpritesFailed: some shards failed; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        check_sprites(request)
        from diamond_cutter.flows.sprites import sprites

        return _on_a_server(sprites, request)


def run_attribution(request: AttributionRequest) -> ReportSummary:
    """Explain a folder of images.

    Raises:
        AttributionFailed: some readable images failed; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        check_attribution(request)
        from diamond_cutter.flows.attribution import attribute_dataset

        return _on_a_server(attribute_dataset, request)


def run_cut(request: CutRequest) -> CutSummary:
    """Find where to cut.

    Raises:
        CutFailed: some tasks failed; all finished work is in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        check_cut(request)
        from diamond_cutter.flows.cutting import find_cut

        return _on_a_server(find_cut, request)


def run_attach(request: AttachRequest) -> AttachSummary:
    """Attach new layers to a cut network.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        check_attach(request)
        from diamond_cutter.flows.attaching import attach

        return _on_a_server(attach, request)


def run_compare(request: CompareRequest) -> CompareSummary:
    """Compare two models.

    Raises:
        CutFailed: some tasks failed; all finished work is in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        check_compare(request)
        from diamond_cutter.flows.comparing import compare_models

        return _on_a_server(compare_models, request)


def _on_a_server(flow: Callable[[_Request], _Summary], request: _Request) -> _Summary:
    import httpx

    from diamond_cutter.flows.server.prefect_server import prefect_server

    devices_of(request.devices)  # before the server starts
    if not isinstance(request, AttachRequest) and request.runner != LOCAL:
        request = request.lasting()  # the processes of a cluster have other working directories
    try:
        with prefect_server():
            return flow(request)
    except httpx.HTTPError as error:
        raise PrefectServerError(
            f"The Prefect server was lost during the run ({error}). All finished work is in the "
            "bucket. Check that the server is running, then run the same command to continue."
        ) from error


def check_sprites(request: SpritesRequest) -> None:
    """Refuse a request that cannot be met, as far as this can be seen without rendering.

    Models that cannot be used do not count, as long as another one can.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    # Prefect stores the parameters of each run, and limits their size.
    size = len(request.model_dump_json())
    if size > _PARAMETERS_LIMIT:
        raise RequestError(
            f"the mixes are too large: expected at most {_PARAMETERS_LIMIT:,} bytes of parameters, "
            f"found {size:,}. Render them in several runs."
        )
    if request.photos is not None:
        check_images(request.photos)
    names = models_matching(open_bucket(request.bucket), request.models)
    errors: list[DiamondCutterError] = []
    for name in names:
        try:
            _check_sprites_of(request.of_model(name))
        except (ModelError, RequestError) as error:
            errors.append(error)
    if len(errors) == len(names):
        raise errors[0]


def _check_sprites_of(request: SpritesRequest) -> None:
    from diamond_cutter.flows.sprites_request import select

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
    """Refuse a request that cannot be met, as far as this can be seen without measuring.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """

    require_images(request.images)
    bucket, card, denied = _model_in(request.bucket, request.model)
    if card is not None:
        attribution_spec(card, request, request.recipe.key)
        _check_recipe(bucket, card, request.recipe)
    if denied is not None and (card is None or not _is_explained(bucket, card, request)):
        raise denied


def check_cut(request: CutRequest) -> None:
    """Refuse a request that cannot be met, as far as this can be seen without computing.

    Models that cannot be used do not count, as long as another one can.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    from diamond_cutter.tasks.cutting.dataset import check_class_sizes, labelled_images

    labelled, _ = labelled_images(resolve_images(request.images), request.images)
    check_class_sizes(labelled, request.folds)
    errors: list[DiamondCutterError] = []
    for model in request.models:
        try:
            bucket, card, _ = _model_in(request.bucket, model)
            if card is not None:
                cut_spec(card, request)
                _check_recipe(bucket, card, request.recipe)
        except (ModelError, BadPhotos) as error:
            errors.append(error)
    if len(errors) == len(request.models):
        raise errors[0]


def check_attach(request: AttachRequest) -> None:
    """Refuse a request that cannot be met, as far as this can be seen without computing.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    from diamond_cutter.model_inventory.user_models import check_name
    from diamond_cutter.tasks.attaching.spec import VALIDATION_PARTS
    from diamond_cutter.tasks.cutting.dataset import check_class_sizes, labelled_images

    check_name(request.name)
    labelled, _ = labelled_images(resolve_images(request.images), request.images)
    check_class_sizes(labelled, VALIDATION_PARTS)
    _, card, _ = _model_in(request.bucket, request.model)
    if card is not None:
        attach_spec(card, request)


def check_compare(request: CompareRequest) -> None:
    """Refuse a request that cannot be met, as far as this can be seen without computing.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
    """
    from diamond_cutter.tasks.comparing.images import check_count, check_split

    images = resolve_images(request.images).images
    check_count(len(images), request.images)
    check_split(images, request.split, request.images)
    cards = list[ModelCard]()
    for model in (request.first, request.second):
        bucket, card, _ = _model_in(request.bucket, model)
        if card is not None:
            _check_recipe(bucket, card, request.recipe)
            cards.append(card)
    if len(cards) == 2:
        models_to_compare((cards[0], cards[1]), request)


def check_tune(request: TuneRequest) -> None:
    """Refuse a request that cannot be met, as far as this can be seen without tuning.

    Raises:
        ModelError, StorageError, RequestError: the request cannot be met.
    """
    from diamond_cutter.flows.tuning import require_plain_recipe

    require_plain_recipe(request)
    _, card, denied = _model_in(request.bucket, request.model)
    if card is not None:
        card.select_layers(request.layers)
    if denied is not None:
        raise denied


def _check_recipe(bucket: Bucket, card: ModelCard, recipe: RenderRecipe) -> None:
    """Check that the preset is valid if the recipe is `auto`."""
    from diamond_cutter.tasks.tuning.preset import read_preset

    if recipe.name == AUTO:
        read_preset(bucket, card.key)


def _is_explained(bucket: Bucket, card: ModelCard, request: AttributionRequest) -> bool:
    from diamond_cutter.flows.planning import settle_recipe
    from diamond_cutter.storage.sets.layout import report_folder
    from diamond_cutter.tasks.reporting.stored import stored_report

    asked = SpritesRequest(model=card.key, bucket=request.bucket, recipe=request.recipe)
    spec = attribution_spec(card, request, settle_recipe(bucket, card, asked).recipe.key)
    return (
        stored_report(
            bucket, report_folder(resolve_images(request.images).name, card.key, spec.key)
        )
        is not None
    )


def _model_in(bucket_url: str, model: str) -> tuple[Bucket, ModelCard | None, AccessDenied | None]:
    """Return a bucket, the card of a model in it or None, and the error if it is read-only."""
    from diamond_cutter.tasks.importing.stored import find_model

    bucket, denied = open_bucket(bucket_url), None
    try:
        bucket.check()
    except AccessDenied as error:
        denied = error
    card = find_model(bucket, model)
    if card is not None:
        remember_card(bucket_url, model, card)
    return bucket, card, denied
