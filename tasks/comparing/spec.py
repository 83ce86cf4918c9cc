"""Define what a comparison of two models computes, and how the bucket names it."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.features.spec import CutSpec

# Which images the accuracy is measured on; auto is the test part if the dataset has one.
SplitChoice = Literal["auto", "test", "train", "all"]

LEAST_IMAGES = 10
# Similarities hardly change with more images, and all layers' features are in memory together.
MOST_IMAGES = 2000


@dataclass(frozen=True)
class PairedModel:
    """One of the two models of a comparison.

    name: of the model, different from that of the other one.
    layers: the names of the compared layers, in forward order.
    """

    card: ModelCard
    name: str
    layers: tuple[str, ...]

    @property
    def features(self) -> CutSpec:
        """Return the specification of the features; a search for a cut stores the same ones."""
        return CutSpec(layers=self.layers)

    @property
    def outputs(self) -> CutSpec | None:
        """Return the specification of the logits as features, or None without logits."""
        logits = self.card.logits
        return CutSpec(layers=(logits.name,)) if logits else None


class CompareSpec(FrozenModel):
    """All that decides a comparison, beside the images."""

    models: tuple[str, str] = Field(description="the keys of the models")
    layers: tuple[tuple[str, ...], tuple[str, ...]] = Field(
        description="names of the compared layers of each model, in forward order"
    )
    split: SplitChoice = Field(description="the images that the accuracy is measured on")
    channels: int = Field(ge=0, description="channels shown of each pair of layers")
    show: tuple[str, ...] = Field(
        description="layers of the first model whose channels are shown; empty for the default"
    )
    sprites: tuple[str, str] = Field(description="keys of the recipes of the sprites")
    cards: tuple[str, str] = Field(
        description="hashes of what the cards say of labels and images, which the graphs do not"
    )

    @property
    def key(self) -> str:
        """Name the comparison as in the bucket's keys: `compare@1a2b3c4d`."""
        return f"compare@{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"


def paired_models(
    cards: tuple[ModelCard, ModelCard], layers: tuple[tuple[str, ...], tuple[str, ...]]
) -> tuple[PairedModel, PairedModel]:
    """Return two models under names that tell them apart."""
    one, other = cards
    names = (one.name, other.name) if one.name != other.name else (one.key, other.key)
    if one.key == other.key:
        names = (one.name, f"{one.name} (again)")
    return PairedModel(one, names[0], layers[0]), PairedModel(other, names[1], layers[1])
