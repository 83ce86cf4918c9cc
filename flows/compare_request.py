"""The request of a comparison: parameters of the command, the flow and its deployments."""

from pydantic import Field

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.request_fields import (
    AUTO,
    LOCAL,
    BucketPlace,
    Devices,
    FlowRequest,
    Grace,
    Recipe,
    Runner,
)
from diamond_cutter.flows.stops import GRACE_S
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import UnknownLayer
from diamond_cutter.tasks.comparing.spec import PairedModel, SplitChoice, paired_models
from diamond_cutter.tasks.rendering.recipe import RenderRecipe


class CompareRequest(FlowRequest):
    """Which two models to compare, and on which images."""

    first: str = Field(description="the name of a model, as `diamond-cutter models` lists it")
    second: str = Field(description="the name of the other model")
    images: str = Field(description="a folder of images, labelled or not; or gs://bucket/folder")
    layers: tuple[str, ...] = Field(
        default=("main",),
        min_length=1,
        description="layer names, globs, 'main' or 'all'; each must be in one of the models",
    )
    split: SplitChoice = Field(
        default="auto",
        description="the images that the accuracy is measured on; auto: the test part if the "
        "images are divided, otherwise all",
    )
    channels: int = Field(
        default=4,
        ge=0,
        le=32,
        description="channels per pair of layers, and per class, that the report shows",
    )
    show: tuple[str, ...] = Field(
        default=(),
        description="layers of the first model whose channels are shown; if omitted, the last one "
        "and the three that changed most",
    )
    bucket: BucketPlace = "./bucket"
    recipe: Recipe = Field(
        default=RenderRecipe(name=AUTO),
        json_schema_extra={"default": AUTO},
        description="how to render sprites: a recipe or its name; auto: as for `sprites`",
    )
    devices: Devices = None
    timeout_s: float = Field(
        default=3600, gt=0, description="time limit for each task, which is then retried"
    )
    runner: Runner = LOCAL
    grace_s: Grace = GRACE_S


def models_to_compare(
    cards: tuple[ModelCard, ModelCard], request: CompareRequest
) -> tuple[tuple[PairedModel, PairedModel], tuple[str, ...]]:
    """Return both models with their layers, and the layers of the first one to show.

    Raises:
        UnknownLayer: a layer is in neither model, or a model has none of the layers.
        RequestError: a layer to show is not compared.
    """
    found: tuple[list[str], list[str]] = [], []
    for pattern in request.layers:
        missing = 0
        for card, names in zip(cards, found, strict=True):
            try:
                names += [layer.name for layer in card.select_layers((pattern,))]
            except UnknownLayer:
                missing += 1
        if missing == len(cards):
            cards[0].select_layers((pattern,))  # raises with similar names
    for card, names in zip(cards, found, strict=True):
        if not names:
            card.select_layers(request.layers)
    first, second = (
        tuple(layer.name for layer in card.layers if layer.name in names)
        for card, names in zip(cards, found, strict=True)
    )
    return paired_models(cards, (first, second)), _shown(cards[0], first, request.show)


def _shown(card: ModelCard, compared: tuple[str, ...], show: tuple[str, ...]) -> tuple[str, ...]:
    names = [layer.name for layer in card.select_layers(show)] if show else []
    for name in names:
        if name not in compared:
            raise RequestError(
                f"layer {name!r} cannot be shown: expected one of the compared layers of "
                f"{card.name} ({', '.join(compared)}). Add it to --layers."
            )
    return tuple(names)
