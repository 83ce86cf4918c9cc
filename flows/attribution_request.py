"""The request of an attribution run: parameters of the command, the flow and its deployments."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import Field

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.sprites_request import (
    AUTO,
    BucketPlace,
    Recipe,
    class_number,
    lasting_place,
)
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.layout import report_folder
from diamond_cutter.tasks.attribution.spec import AttributionSpec, Method, Negative, Positive
from diamond_cutter.tasks.photos.image_set import ImageSet
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_EVERY = "all"
_NOBODY = "none"


class AttributionRequest(FrozenModel):
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
    method: Method = Field(
        default="gradient",
        description="gradient times activation, or integrated gradients (--steps times slower)",
    )
    steps: int = Field(default=100, ge=1, le=10_000, description="steps of integrated gradients")
    groups: int = Field(default=6, ge=0, le=64, description="groups of neurons per layer, or 0")
    channels: int = Field(
        default=32,
        ge=0,
        le=4096,
        description="channels per layer to render for the report, if their sprites are missing",
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
        description="how to render sprites: a recipe or its name; auto: as for `sprites`",
    )
    timeout_s: float = Field(
        default=3600, gt=0, description="time limit for 128 images, which are then retried"
    )

    def lasting(self) -> "AttributionRequest":
        """Return the request with absolute paths."""
        return self.model_copy(
            update={"bucket": lasting_place(self.bucket), "images": lasting_place(self.images)}
        )


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


def attribution_spec(card: ModelCard, request: AttributionRequest, recipe: str) -> AttributionSpec:
    """Return the specification of a request for a model; `recipe` is the key of the recipe.

    Raises:
        UnknownLayer: a layer does not exist; names the most similar ones.
        RequestError: a class does not exist, or is compared with itself.
        BadModel: the model has no logits.
    """
    positive: Positive = "all" if request.positive == _EVERY else _class(card, request.positive)
    negative: Negative = "none" if request.negative == _NOBODY else _class(card, request.negative)
    if positive == negative and isinstance(positive, int):
        raise RequestError(
            f"class {request.positive!r} is compared with itself. Give another class to --against, "
            "or none."
        )
    if positive == "all" and negative == "auto":
        # With all classes explained, there is no runner-up to compare with.
        negative = "none"
    return AttributionSpec(
        layers=tuple(layer.name for layer in _layers(card, request.layers)),
        positive=positive,
        negative=negative,
        method=request.method,
        steps=request.steps if request.method == "integrated" else 1,
        groups=request.groups,
        channels=request.channels,
        shown=request.shown,
        sprites=recipe,
        card=hashlib.sha256(
            card.model_dump_json(include={"labels", "image", "logits_tensor"}).encode()
        ).hexdigest()[:8],
    )


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
