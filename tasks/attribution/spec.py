"""Define what an attribution run computes: its options, and the sizes that follow from them.

This module does not import TensorFlow, so that the flow's process stays small.
"""

import hashlib
import math
from typing import Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import LayerCard

# How one layer is measured, and what a request may say for all layers.
LayerMethod = Literal["gradient", "integrated"]
Method = LayerMethod | Literal["auto"]
# A class number, or a rule by which each image selects a class.
Positive = int | Literal["auto", "all"]
Negative = int | Literal["auto", "none"]
SetKind = Literal["all", "label", "class", "right", "wrong"]

# More cells than this are too small to point at.
MOST_CELLS_IN_A_ROW = 20
_ABLATED_SHARE = 0.05


def ablated_channels(channels: int) -> int:
    """Return how many channels of a layer the ablation check sets to 0 at once."""
    return max(1, round(_ABLATED_SHARE * channels))


def cell_side(layer: LayerCard) -> int:
    """Return the number of positions in one row, and in one column, of a cell."""
    return math.ceil(max(layer.height or 1, layer.width or 1) / MOST_CELLS_IN_A_ROW)


def cell_grid(layer: LayerCard) -> tuple[int, int]:
    """Return the rows and columns of a layer's cells; a vector has one cell.

    A cell is one position, or a square of positions in a layer with more than 20 in a row.
    """
    side = cell_side(layer)
    return math.ceil((layer.height or 1) / side), math.ceil((layer.width or 1) / side)


class AttributionSpec(FrozenModel):
    """All that decides a report's numbers, beside the model and the images."""

    layers: tuple[str, ...] = Field(min_length=1, description="names, in forward order")
    positive: Positive = Field(
        default="auto",
        description="the class that is explained; auto is each image's highest logit, all is the "
        "log-sum-exp of all logits",
    )
    negative: Negative = Field(
        default="auto",
        description="the class that it is held against; auto is each image's highest other logit",
    )
    method: Method = Field(
        default="gradient",
        description="gradient times activation, or integrated gradients from the silent layer; "
        "auto chooses for each layer",
    )
    methods: tuple[LayerMethod, ...] = Field(
        default=(), description="the choices of auto, by layer; empty before they are made"
    )
    steps: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="points on the way from the silent layer, of integrated gradients",
    )
    groups: int = Field(
        default=6, ge=0, le=64, description="groups of neurons in each layer; none if 0"
    )
    channels: int = Field(
        default=32,
        ge=0,
        le=4096,
        description="channels of each layer that the report has sprites rendered of",
    )
    shown: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description="images that the report shows one by one, evenly from all",
    )
    sprites: str = Field(description="key of the recipe of the sprites that are shown")
    card: str = Field(
        default="",
        description="hash of what the model's card says of labels and images, which its graph "
        "does not",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="least probability of the second of two classes by one score, if not one half",
    )
    classes_by_label: bool = Field(
        default=False,
        description="whether the two classes of a model without labels are the images' two labels, "
        "in alphabetical order",
    )

    def method_of(self, layer: str) -> LayerMethod:
        """Return the method by which a layer is measured.

        Raises:
            RuntimeError: the method is auto, and the choices are not made yet.
        """
        if self.method != "auto":
            return self.method
        if not self.methods:
            raise RuntimeError("The methods of the layers are not chosen yet.")
        return self.methods[self.layers.index(layer)]

    @property
    def key(self) -> str:
        """Name the report by what was asked for, as in the bucket's keys:
        `attribution@1a2b3c4d`.
        """
        # Reports of earlier versions, which had none of these, keep their names.
        absent = {name for name in ("threshold", "classes_by_label") if not getattr(self, name)}
        # The choices of auto follow from the request and the images.
        text = self.model_dump_json(exclude=absent | {"methods"})
        return f"attribution@{hashlib.sha256(text.encode()).hexdigest()[:8]}"
