"""The request of an attribution run: parameters of the command, the flow and its deployments."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import Field

from diamond_cutter.flows.channel_selection import class_number
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.request_fields import (
    AUTO,
    LOCAL,
    BucketPlace,
    Budget,
    Devices,
    FlowRequest,
    Grace,
    Recipe,
    Runner,
)
from diamond_cutter.flows.stops import GRACE_S
from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.model_inventory.errors import first_few
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.report_keys import report_folder
from diamond_cutter.tasks.attribution.spec import AttributionSpec, Method, Negative, Positive
from diamond_cutter.tasks.photos.image_set import ImageSet
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_EVERY = "all"
_HALF = 0.5
_NOBODY = "none"
_STEPS: dict[Method, int] = {"gradient": 1, "integrated": 100, "auto": 32}


class AttributionRequest(FlowRequest):
    """Which images to explain, by which model, and how."""

    model: str = Field(description="the name of a model, as `diamond-cutter models` lists it")
    images: str = Field(
        description="a folder of images, with its subfolders, or gs://bucket/folder"
    )
    layers: tuple[str, ...] = Field(
        default=(AUTO,),
        min_length=1,
        description="layer names, globs ('block_1?' is block_10 to block_15), 'main' or 'all'; "
        "auto: the last main layer of each size",
    )
    positive: Annotated[str, Parameter(name="--class")] = Field(
        default=AUTO,
        description="the class to explain: a name, a number, or 'all'; auto: each image's top "
        "class",
    )
    negative: Annotated[str, Parameter(name="--against")] = Field(
        default=AUTO,
        description="the class to compare with: a name, a number, or 'none'; auto: each image's "
        "runner-up",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="for two classes by one score: the probability above which the second class "
        "is predicted; default: 0.5",
    )
    method: Method = Field(
        default="auto",
        description="gradient times activation, or integrated gradients (--steps times slower); "
        "auto: as each layer needs",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="steps of integrated gradients; default: 100, and 32 for --method auto",
    )
    groups: int = Field(default=6, ge=0, le=64, description="groups of neurons per layer, or 0")
    channels: int = Field(
        default=32,
        ge=0,
        le=4096,
        description="channels per layer to render, if missing; at least about 12, or 0 for none",
    )
    shown: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description="images that the report shows one by one, evenly spaced in the folder",
    )
    bucket: BucketPlace = "./bucket"
    recipe: Recipe = Field(
        default=RenderRecipe(name=AUTO),
        json_schema_extra={"default": AUTO},
        description="how to render sprites: a recipe or its name; auto: as for `sprites`",
    )
    devices: Devices = None
    timeout_s: float = Field(
        default=3600, gt=0, description="time limit for 128 images, which are then retried"
    )
    runner: Runner = LOCAL
    grace_s: Grace = GRACE_S
    budget_minutes: Budget = None


@dataclass(frozen=True)
class AttributionRun:
    """A request with its bucket, model, images and recipe resolved."""

    request: AttributionRequest
    bucket: Bucket
    card: ModelCard
    images: ImageSet
    spec: AttributionSpec
    recipe: RenderRecipe

    @property
    def folder(self) -> str:
        """Return the folder of the report."""
        return report_folder(self.images.name, self.card.key, self.spec.key)


def attribution_spec(
    card: ModelCard, request: AttributionRequest, recipe: str, *, classes_by_label: bool = False
) -> AttributionSpec:
    """Return the specification of a request for a model.

    Args:
        card: of the model.
        request: the options.
        recipe: the key of the recipe.
        classes_by_label: whether the card's classes have their names from the images' labels.

    Raises:
        UnknownLayer: a layer does not exist; names the most similar ones.
        RequestError: a class does not exist, or is compared with itself, or an option does not fit
            the model's head.
        BadModel: the model has no logits.
    """
    positive, negative = _explained(card, request)
    gradient = request.method == "gradient"
    return AttributionSpec(
        layers=tuple(layer.name for layer in _layers(card, request.layers)),
        positive=positive,
        negative=negative,
        method=request.method,
        steps=_STEPS[request.method] if request.steps is None or gradient else request.steps,
        groups=request.groups,
        channels=request.channels,
        shown=request.shown,
        sprites=recipe,
        card=card.reading,
        threshold=_threshold(card, request.threshold),
        classes_by_label=classes_by_label,
    )


def _explained(card: ModelCard, request: AttributionRequest) -> tuple[Positive, Negative]:
    """Return the class to explain, and the class to compare with."""
    positive: Positive = "all" if request.positive == _EVERY else _class(card, request.positive)
    negative: Negative = "none" if request.negative == _NOBODY else _class(card, request.negative)
    if card.head_kind == "values":
        return _value(card, positive, negative), "none"
    if positive == negative and isinstance(positive, int):
        raise RequestError(
            f"class {request.positive!r} is compared with itself. Give another class to --against, "
            "or none."
        )
    if card.head_kind == "two classes":
        if positive == "all":
            raise RequestError(
                f"{card.name} tells two classes apart by one score, so --class all explains "
                "nothing. Give one class, or omit --class."
            )
        # The score of a class is already the difference to the other class.
        negative = "auto" if negative == "none" else negative
    # With all classes explained, there is no runner-up to compare with.
    return positive, "none" if positive == "all" and negative == "auto" else negative


def _value(card: ModelCard, positive: Positive, negative: Negative) -> int:
    """Return the number of the explained value of a regression."""
    count = card.check_logits().channels
    if isinstance(negative, int) or positive == "all":
        raise RequestError(
            f"{card.name} computes values, not classes, so a value cannot be compared. Give the "
            "value to --class, and omit --against."
        )
    if positive == "auto" and count > 1:
        names = card.class_names or tuple(map(str, range(count)))
        raise RequestError(
            f"{card.name} computes {count} values: expected --class, the value to explain. Give "
            f"one of {first_few(names)}."
        )
    return 0 if positive == "auto" else int(positive)


def _threshold(card: ModelCard, given: float | None) -> float | None:
    """Return the threshold, or None for one half, which needs none."""
    if given is not None and card.head_kind != "two classes":
        raise RequestError(
            f"--threshold does not fit {card.name}: expected a model that tells two classes apart "
            "by one score. Omit --threshold."
        )
    return None if given == _HALF else given


def _layers(card: ModelCard, patterns: tuple[str, ...]) -> list[LayerCard]:
    if patterns != (AUTO,):
        return card.select_layers(patterns)
    last_of_size = {
        (layer.height, layer.width): layer for layer in card.layers if layer.main and layer.height
    }
    if not last_of_size:
        return card.select_layers(("main",))
    return sorted(last_of_size.values(), key=card.layers.index)


def _class(card: ModelCard, given: str) -> int | Literal["auto"]:
    if given == AUTO:
        return "auto"
    logits = card.check_logits()
    return class_number(given, logits.name, logits.channels, card.class_names)
