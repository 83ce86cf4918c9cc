"""What a set of sprites is of: the channels of one layer, or mixes of channels. Each is a number
and its targets.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from pydantic import Field, NonNegativeInt, model_validator

from diamond_cutter.frozen_model import FrozenModel

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.card import ModelCard
    from diamond_cutter.tasks.rendering.objectives import Targets


class Subjects(Protocol):
    """Numbered things to render, and which channels of which layers each looks for."""

    @property
    def name(self) -> str:
        """Name them all: a layer's name, or that of a set of mixes; it is part of every random
        stream.
        """

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers that they look for."""

    def targets(self, numbers: Sequence[int]) -> "tuple[Targets, ...]":
        """Return what some of them look for, in each of the layers."""


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

    def targets(self, numbers: Sequence[int]) -> "tuple[Targets, ...]":
        """Return each channel as a target of weight 1."""
        from diamond_cutter.tasks.rendering.objectives import (
            Targets,  # not for all who name subjects: TensorFlow takes seconds
        )

        channels = np.array(numbers, np.int32)[:, None]
        return (Targets(channels, np.ones(channels.shape, np.float32)),)


class Term(FrozenModel):
    """A part of a mix: a channel, or a direction in the space of a layer's channels, and how much
    it counts.
    """

    layer: str
    channels: tuple[NonNegativeInt, ...] = Field(min_length=1, description="which channels")
    weights: tuple[float, ...] = Field(description="how much each counts")

    @model_validator(mode="after")
    def _weights_fit(self) -> "Term":
        if len(self.weights) != len(self.channels):
            raise ValueError(
                f"a term has a weight for each channel; found {len(self.weights)} for "
                f"{len(self.channels)}"
            )
        if not np.isfinite(self.weights).all() or not any(self.weights):
            raise ValueError("the weights of a term are finite numbers, not all of them 0")
        return self


class Mix(FrozenModel):
    """A weighted sum of channels, of one layer or several, that one sprite maximises."""

    label: str = Field(max_length=200, description="for people")
    terms: tuple[Term, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _a_layer_comes_once(self) -> "Mix":
        if len({term.layer for term in self.terms}) != len(self.terms):
            raise ValueError(
                f"the mix {self.label!r} names a layer in two terms; put its channels into one"
            )
        return self


class Mixes(FrozenModel):
    """A numbered set of mixes; in a bucket it has a folder beside those of the layers."""

    mixes: tuple[Mix, ...] = Field(min_length=1)

    @property
    def name(self) -> str:
        """Name the set by its content: `mixes.1a2b3c4d`."""
        return f"mixes.{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers of all the mixes, in the order in which they are first named."""
        return tuple(dict.fromkeys(term.layer for mix in self.mixes for term in mix.terms))

    def targets(self, numbers: Sequence[int]) -> "tuple[Targets, ...]":
        """Return what some of the mixes look for in each layer; in a layer that a mix does not
        name, nothing.
        """
        return tuple(self._targets_in(layer, numbers) for layer in self.layers)

    def _targets_in(self, layer: str, numbers: Sequence[int]) -> "Targets":
        from diamond_cutter.tasks.rendering.objectives import Targets

        terms = {
            number: term
            for number in numbers
            for term in self.mixes[number].terms
            if term.layer == layer
        }
        # The same width for whichever are asked for, so that a sprite is the same in any company.
        width = max(
            len(term.channels) for mix in self.mixes for term in mix.terms if term.layer == layer
        )
        channels, weights = (
            np.zeros((len(numbers), width), np.int32),
            np.zeros((len(numbers), width), np.float32),
        )
        for row, number in enumerate(numbers):
            if number in terms:
                count = len(terms[number].channels)
                channels[row, :count], weights[row, :count] = (
                    terms[number].channels,
                    terms[number].weights,
                )
        return Targets(channels, weights)


def sha256_of(card: "ModelCard", subjects: Channels | Mixes) -> str:
    """Return a layer's hash, or that over the hashes of all layers that mixes look for."""
    hashes = [card.layer(layer).sha256 for layer in subjects.layers]
    return (
        hashes[0]
        if isinstance(subjects, Channels)
        else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    )
