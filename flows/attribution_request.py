"""What a user asks of an attribution run: the parameters of the flow, of the command line and of a
deployment are the same.
"""

import hashlib
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import Field

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.sprites_request import AUTO, Recipe, class_number, lasting_place
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.tasks.attribution.spec import AttributionSpec, Method, Negative, Positive
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

_EVERY = "all"
_NOBODY = "none"


class AttributionRequest(FrozenModel):
    """Which images to explain, by which model, and how."""

    model: str = Field(description="a model's name, of those that `diamond-cutter models` lists")
    images: str = Field(
        description="a folder of images, or gs://bucket/folder; those in the folders below it "
        "count, too"
    )
    layers: tuple[str, ...] = Field(
        default=(AUTO,),
        min_length=1,
        description="names, globs ('block_1?' is block_10 to block_15), 'main' or 'all'; auto is "
        "the last main layer of each size",
    )
    positive: Annotated[str, Parameter(name="--class")] = Field(
        default=AUTO,
        description="what is explained: auto is each image's highest class; or a class by name or "
        "number; or all of them",
    )
    negative: Annotated[str, Parameter(name="--against")] = Field(
        default=AUTO,
        description="the class that it is held against: auto is each image's next highest; or a "
        "name or number; or none",
    )
    method: Method = Field(
        default="gradient",
        description="gradient times activation, or integrated gradients, which take --steps times "
        "as long",
    )
    steps: int = Field(default=100, ge=1, le=10_000, description="of integrated gradients")
    groups: int = Field(
        default=6, ge=0, le=64, description="groups of neurons in each layer; 0 for none"
    )
    channels: int = Field(
        default=32,
        ge=0,
        le=4096,
        description="of each layer, as many as are rendered for the report if the bucket lacks "
        "them",
    )
    shown: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description="images that the report shows one by one, evenly from all",
    )
    bucket: str = Field(
        default="./bucket", description="a folder, made if need be, or gs://bucket/prefix"
    )
    recipe: Recipe = Field(
        default=RenderRecipe(name=AUTO),
        description="how to render sprites: a recipe, or the name of one; auto is as for `sprites`",
    )
    timeout_s: float = Field(
        default=3600, gt=0, description="128 images that take longer are given up and tried again"
    )

    def lasting(self) -> "AttributionRequest":
        """Return the request with paths that mean the same in another working directory."""
        return self.model_copy(
            update={"bucket": lasting_place(self.bucket), "images": lasting_place(self.images)}
        )


def attribution_spec(card: ModelCard, request: AttributionRequest, recipe: str) -> AttributionSpec:
    """Return what a request asks for of a model, `recipe` being the key of the sprites' recipe.

    Raises:
        UnknownLayer: names the nearest layers.
        RequestError: there is no such class, or it is held against itself.
        BadModel: the model has no logits.
    """
    positive: Positive = "all" if request.positive == _EVERY else _class(card, request.positive)
    negative: Negative = "none" if request.negative == _NOBODY else _class(card, request.negative)
    if positive == negative and isinstance(positive, int):
        raise RequestError(
            f"class {request.positive!r} is held against itself; give another one to --against, "
            "or none"
        )
    if positive == "all" and negative == "auto":
        # All are held against nobody, unless the user says whom.
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
