"""Find the layers of two models that correspond, and how alike they are."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.tasks.comparing.cka import Similarity
from diamond_cutter.tasks.comparing.matching import (
    NONE,
    Matching,
    chance_correlation,
    match_channels,
)

Features = npt.NDArray[np.float32]
FoundBy = Literal["name", "similarity"]

_WEAK = 0.5
# Rounding keeps records of several machines equal.
_DIGITS = 6


class LayerPair(FrozenModel):
    """A layer of the first model, and its counterpart in the second model."""

    first: str
    second: str
    found_by: FoundBy = Field(
        description="name: same name and shape; similarity: the layer with the highest CKA"
    )
    channels: tuple[int, int] = Field(description="number of channels of each layer")
    cka: float | None
    low: float | None = Field(description="lower end of the 95 % interval of the CKA")
    high: float | None
    matched: int = Field(description="number of channels with a counterpart")
    correlation: float | None = Field(description="mean correlation of the matched channels")
    chance: float | None = Field(description="the same if the images of one layer are shuffled")
    same_number: int = Field(description="matched channels that have the same number")
    weak: int = Field(description="matched channels with a correlation below 0.5")
    dead: tuple[int, int] = Field(description="channels that are the same for all images")


def closest_layers(
    first: Sequence[LayerCard],
    second: Sequence[LayerCard],
    cka: Sequence[Sequence[float | None]],
) -> list[tuple[int, int, FoundBy]]:
    """Return the places of corresponding layers, in the order of the first model.

    Args:
        first, second: the compared layers.
        cka: `[first, second]`, None if unknown.
    """
    by_name = {layer.name: place for place, layer in enumerate(second)}
    found = list[tuple[int, int, FoundBy]]()
    for place, layer in enumerate(first):
        same = by_name.get(layer.name)
        if same is not None and _shape(second[same]) == _shape(layer):
            found.append((place, same, "name"))
            continue
        known = [(value, -other) for other, value in enumerate(cka[place]) if value is not None]
        if known:
            found.append((place, -max(known)[1], "similarity"))
    return found


def _shape(layer: LayerCard) -> tuple[int | None, int | None, int]:
    return layer.height, layer.width, layer.channels


def layer_pair(
    layers: tuple[LayerCard, LayerCard],
    found_by: FoundBy,
    features: tuple[Features, Features],
    similar: Similarity,
) -> tuple[LayerPair, pd.DataFrame]:
    """Match the channels of two layers, and return what is known of the pair.

    Returns:
        the pair, and a table with a row for each channel of the first layer: its number, that of
        its counterpart, their correlation and mean activations.
    """
    matching, chance = match_channels(*features), chance_correlation(*features)
    matched = matching.partner != NONE
    numbers = np.arange(layers[0].channels)
    pair = LayerPair(
        first=layers[0].name,
        second=layers[1].name,
        found_by=found_by,
        channels=(layers[0].channels, layers[1].channels),
        cka=rounded(similar.cka),
        low=rounded(similar.low),
        high=rounded(similar.high),
        matched=int(matched.sum()),
        correlation=rounded(matching.mean),
        chance=rounded(chance),
        same_number=int((matching.partner == numbers).sum()),
        weak=int((matching.correlation[matched] < _WEAK).sum()),
        dead=matching.dead,
    )
    return pair, _channels(pair, matching, features)


def _channels(
    pair: LayerPair, matching: Matching, features: tuple[Features, Features]
) -> pd.DataFrame:
    means = [each.mean(axis=0, dtype=np.float64) for each in features]
    partners = [None if partner == NONE else int(partner) for partner in matching.partner]
    return pd.DataFrame(
        {
            "layer": pair.first,
            "channel": np.arange(len(partners)),
            "other_layer": pair.second,
            "other_channel": pd.array(partners, "Int64"),
            "correlation": np.round(matching.correlation, _DIGITS),
            "mean": [_short(value) for value in means[0]],
            "other_mean": [
                float("nan") if partner is None else _short(means[1][partner])
                for partner in partners
            ],
        }
    )


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def rounded(value: float | None) -> float | None:
    """Return a number with the digits that do not depend on the machine."""
    return None if value is None else round(value, _DIGITS)
