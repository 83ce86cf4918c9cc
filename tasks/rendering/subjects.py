"""The subjects of a set's sprites: the channels of one layer, or mixes of channels."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeInt, model_validator

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard

_LABEL_LENGTH = 200
_GROUP = ", group "


class Member(NamedTuple):
    """One picture of a batch: the number of its channel or mix, and its variant."""

    number: int
    variant: int


class Targets(NamedTuple):
    """The channels of one layer that the members of a batch maximise.

    channels: int32 `[batch, term]`, the numbers of the channels.
    weights: float32 `[batch, term]`, the weight of each channel; 0 for padding.
    """

    channels: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


class Subjects(Protocol):
    """Numbered things to render, each with its target channels in some layers."""

    @property
    def name(self) -> str:
        """Return the name of the layer or set of mixes, which keys every random stream."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers of the targets."""

    def targets(self, numbers: Sequence[int]) -> tuple[Targets, ...]:
        """Return the targets of these numbers in each of the layers."""


class Channels(FrozenModel):
    """The channels of one layer."""

    layer: str

    @property
    def name(self) -> str:
        """Return the layer's name."""
        return self.layer

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the one layer."""
        return (self.layer,)

    def targets(self, numbers: Sequence[int]) -> tuple[Targets, ...]:
        """Return each channel as a target of weight 1."""
        channels = np.array(numbers, np.int32)[:, None]
        return (Targets(channels, np.ones(channels.shape, np.float32)),)


class Term(FrozenModel):
    """One layer's part of a mix: a channel, or a direction in the space of the layer's channels."""

    layer: str
    channels: tuple[NonNegativeInt, ...] = Field(min_length=1, description="the channels")
    weights: tuple[float, ...] = Field(description="the weight of each")

    @model_validator(mode="after")
    def _weights_fit(self) -> "Term":
        if len(self.weights) != len(self.channels):
            raise ValueError(
                f"a term needs one weight per channel: expected {len(self.channels)}, found "
                f"{len(self.weights)}"
            )
        if not np.isfinite(self.weights).all() or not any(self.weights):
            raise ValueError("the weights of a term must be finite and not all 0")
        return self


def group_label(layer: str, group: int) -> str:
    """Return the label of the mix of a neuron group of a report, which no other mix has."""
    return f"{layer}{_GROUP}{group + 1}"[:_LABEL_LENGTH]


class Mix(FrozenModel):
    """A weighted sum of channels, of one layer or several, that one sprite maximises."""

    label: str = Field(max_length=_LABEL_LENGTH, description="shown to people")
    terms: tuple[Term, ...] = Field(min_length=1)

    @property
    def is_group(self) -> bool:
        """Tell whether the mix is a neuron group of a report, which only its label says."""
        layers = {term.layer for term in self.terms}
        number = self.label.rpartition(_GROUP)[2]
        return number.isdecimal() and {self.label} == {
            group_label(layer, int(number) - 1) for layer in layers
        }

    @model_validator(mode="after")
    def _a_layer_comes_once(self) -> "Mix":
        if len({term.layer for term in self.terms}) != len(self.terms):
            raise ValueError(
                f"the mix {self.label!r} names a layer in two terms. Put its channels into one "
                "term."
            )
        return self


class Mixes(FrozenModel):
    """A numbered set of mixes; in a bucket it has a folder beside those of the layers."""

    mixes: tuple[Mix, ...] = Field(min_length=1)

    @property
    def name(self) -> str:
        """Return the name of the set, which hashes its content: `mixes.1a2b3c4d`."""
        return f"mixes.{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"

    @property
    def are_groups(self) -> bool:
        """Tell whether all mixes are neuron groups of a report."""
        return all(mix.is_group for mix in self.mixes)

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers of all the mixes, in the order of their first mention."""
        return tuple(dict.fromkeys(term.layer for mix in self.mixes for term in mix.terms))

    def targets(self, numbers: Sequence[int]) -> tuple[Targets, ...]:
        """Return the targets of some mixes in each layer; without a term, weights are 0."""
        return tuple(self._targets_in(layer, numbers) for layer in self.layers)

    def _targets_in(self, layer: str, numbers: Sequence[int]) -> Targets:
        terms = {
            (number, term.layer): term for number in numbers for term in self.mixes[number].terms
        }
        # All mixes decide the width, so that a sprite does not depend on the others of its batch.
        width = max(
            len(term.channels) for mix in self.mixes for term in mix.terms if term.layer == layer
        )
        channels = np.zeros((len(numbers), width), np.int32)
        weights = np.zeros((len(numbers), width), np.float32)
        for row, number in enumerate(numbers):
            if term := terms.get((number, layer)):
                channels[row, : len(term.channels)] = term.channels
                weights[row, : len(term.channels)] = term.weights
        return Targets(channels, weights)


def sha256_of(card: ModelCard, subjects: Channels | Mixes) -> str:
    """Return the layer's hash, or for mixes a hash over the hashes of their layers."""
    hashes = [card.layer(layer).sha256 for layer in subjects.layers]
    return (
        hashes[0]
        if isinstance(subjects, Channels)
        else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    )
