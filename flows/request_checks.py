"""Refuses requests that cannot be met, before a server, a flow or a process starts."""

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.attach_request import AttachRequest, attach_spec
from diamond_cutter.flows.attribution_request import AttributionRequest, attribution_spec
from diamond_cutter.flows.compare_request import CompareRequest, models_to_compare
from diamond_cutter.flows.cut_request import CutRequest, cut_spec
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.request_fields import AUTO
from diamond_cutter.flows.run_scope import remember_card, require_images, resolve_images
from diamond_cutter.flows.sprites_request import SpritesRequest, TuneRequest
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import AccessDenied, Bucket, open_bucket
from diamond_cutter.tasks.importing.model_globs import models_matching
from diamond_cutter.tasks.photos.finding import check_images
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_PARAMETERS_LIMIT = 500_000


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
    from diamond_cutter.flows.channel_selection import select

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
    from diamond_cutter.storage.sets.report_keys import report_folder
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
