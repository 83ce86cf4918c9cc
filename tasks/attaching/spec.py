"""Define how new layers are attached and trained, and how the bucket names it.

This module does not import TensorFlow, so that the flow's process stays small.
"""

import hashlib
from typing import Literal

from pydantic import Field, model_validator

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.tasks.features.spec import TEST_SHARE, CutSpec

Augmentation = Literal["none", "light", "strong"]
# One of these parts of the images for training is kept for validation.
VALIDATION_PARTS = 5
MOST_CHANNELS = 4096


class AttachSpec(FrozenModel):
    """All that decides the weights of an attached network, beside the model and the images."""

    at: tuple[str, ...] = Field(min_length=1, description="layers of the cut")
    convolutions: tuple[int, ...] = Field(default=(), description="channels of new convolutions")
    unfreeze: str | None = Field(
        default=None, description="the first layer that is trained in the second phase"
    )
    epochs: int = Field(default=30, ge=0, description="most epochs of each phase")
    augment: Augmentation = "light"
    mirror: bool = True
    rate: float = Field(default=1e-3, gt=0, description="highest learning rate of the first phase")
    batch: int = Field(default=32, ge=2, description="most images in a step")
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _convolutions_have_channels(self) -> "AttachSpec":
        wrong = [width for width in self.convolutions if not 1 <= width <= MOST_CHANNELS]
        if wrong:
            raise ValueError(
                f"a new convolution must have 1 to {MOST_CHANNELS} channels: found {wrong[0]} in "
                "--conv"
            )
        return self

    @property
    def key(self) -> str:
        """Name the training as in the bucket's keys: `attach@1a2b3c4d`."""
        return f"attach@{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"

    @property
    def phases(self) -> tuple[str | None, ...]:
        """Return the first layer that each phase trains; None stands for the new layers."""
        return (None,) if self.unfreeze is None else (None, self.unfreeze)

    @property
    def cut(self) -> CutSpec:
        """Return the specification of the features at the cut, as `cut` computes them."""
        return CutSpec(
            layers=self.at, folds=VALIDATION_PARTS, seed=self.seed, test_share=TEST_SHARE
        )


def check_cut(card: ModelCard, spec: AttachSpec) -> None:
    """Check that a model can be cut and trained as specified.

    Raises:
        UnknownLayer: a layer does not exist; the text suggests similar names.
        BadModel: a layer has no rows and columns or comes after the logits, layers of different
            sizes are to be joined, or the layer to unfreeze comes after the cut.
    """
    layers = [card.layer(name) for name in spec.at]
    for layer in layers:
        _check_has_rows(card, layer)
    sizes = {(layer.height, layer.width) for layer in layers}
    if spec.convolutions and len(sizes) > 1:
        found = ", ".join(f"{layer.name} {layer.height} x {layer.width}" for layer in layers)
        raise BadModel(
            f"the layers cannot be joined for a convolution: expected equal rows and columns, "
            f"found {found}. Name one layer, or omit --conv."
        )
    if spec.unfreeze is not None:
        order = [layer.name for layer in card.layers]
        last = max(spec.at, key=order.index)
        if order.index(card.layer(spec.unfreeze).name) > order.index(last):
            raise BadModel(
                f"{spec.unfreeze} cannot be unfrozen: expected a layer up to {last}, where the "
                "network is cut, found one behind it. Name an earlier layer."
            )


def _check_has_rows(card: ModelCard, layer: LayerCard) -> None:
    if layer.height is None:
        what = "is a vector without rows and columns"
        if card.logits is not None and layer.tensor == card.logits_tensor:
            what = "is the layer of the logits"
        raise BadModel(
            f"{card.name} cannot be cut at {layer.name}, because it {what}. Choose a layer with "
            f"rows and columns, such as {_last_spatial(card)}."
        )
    if card.logits is not None:
        order = [each.name for each in card.layers]
        if order.index(layer.name) > order.index(card.logits.name):
            raise BadModel(
                f"{card.name} cannot be cut at {layer.name}, because it comes after the logits. "
                f"Choose an earlier layer, such as {_last_spatial(card)}."
            )


def _last_spatial(card: ModelCard) -> str:
    spatial = [layer.name for layer in card.layers if layer.main and layer.height is not None]
    return spatial[-1] if spatial else "an earlier one"


def frozen_layers(card: ModelCard, unfreeze: str | None) -> list[LayerCard]:
    """Return the layers that come before the first trained layer; none if nothing is unfrozen.

    Layers inside the block that is unfrozen precede it in the card, but are trained with it.
    """
    if unfreeze is None:
        return []
    first = card.layer(unfreeze)
    before = card.layers[: [layer.name for layer in card.layers].index(first.name)]
    return [layer for layer in before if layer.main or not first.main]
