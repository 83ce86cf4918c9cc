"""Fit neuron groups over the shown images, and sum their attributions and flows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.tasks.attribution.batches import Batch, NumberedImage, batches
from diamond_cutter.tasks.attribution.details import BatchDetails, cell_means
from diamond_cutter.tasks.attribution.groups import Groups, fit_groups
from diamond_cutter.tasks.attribution.layer_contributions import group_flow_function
from diamond_cutter.tasks.attribution.network import Network
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.reporting.layer_contents import (
    FoundGroups,
    short,
)

# By layer, float32 `[batch, cell, group]`; None for a layer without groups.
GroupValues = list[npt.NDArray[np.float32] | None]


def fitted_groups(
    network: Network, spec: AttributionSpec, images: Sequence[NumberedImage]
) -> dict[str, Groups]:
    """Return the groups of each layer with rows and columns."""
    wanted = [name for name in spec.layers if spec.groups and network.card.layer(name).height]

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False
    )
    def activations(pixels: tf.Tensor) -> list[tf.Tensor]:
        values = network.run(pixels, [network.tensors[spec.layers.index(name)] for name in wanted])
        return [
            cell_means(layer, network.card.layer(name))
            for name, layer in zip(wanted, values, strict=True)
        ]

    found: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in wanted}
    for batch in batches(images, network.card.image.shape, {}) if wanted else ():
        for name, layer in zip(wanted, activations(batch.pixels), strict=True):
            found[name].append(layer.numpy().reshape(-1, layer.shape[-1]))
    together = {name: np.concatenate(parts) for name, parts in found.items() if parts}
    return {
        name: fit_groups(values, spec.groups) for name, values in together.items() if np.any(values)
    }


def group_amounts(
    seen: BatchDetails, spec: AttributionSpec, groups: dict[str, Groups]
) -> GroupValues:
    """Return the amount of each group in each cell, by layer."""
    amounts: GroupValues = []
    for name, layer in zip(spec.layers, seen.layers, strict=True):
        values = layer.mean
        found = (
            groups[name].over_positions(values.reshape(-1, values.shape[-1]))
            if name in groups
            else None
        )
        amounts.append(None if found is None else found.reshape(*values.shape[:2], -1))
    return amounts


def group_worth(
    seen: BatchDetails, spec: AttributionSpec, groups: dict[str, Groups]
) -> GroupValues:
    """Return the score that a unit of each group adds in each cell, by layer."""
    return [
        np.einsum("bpc,gc->bpg", layer.gradients, groups[name].directions)
        if name in groups
        else None
        for name, layer in zip(spec.layers, seen.layers, strict=True)
    ]


def pairs_of_layers(network: Network, spec: AttributionSpec) -> Iterator[tuple[str, str]]:
    """Yield the pairs of consecutive layers with rows and columns."""
    for before, after in zip(spec.layers, spec.layers[1:], strict=False):
        if network.card.layer(before).height and network.card.layer(after).height:
            yield before, after


class GroupTotals:
    """Sums the attributions of neuron groups, by predicted class."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[int, npt.NDArray[np.floating]]] = defaultdict(dict)
        self._images: Counter[int] = Counter()

    def add(self, number: int, attributions: dict[str, npt.NDArray[np.floating]]) -> None:
        """Add an image.

        Args:
            number: the predicted class.
            attributions: the attribution of each group, float32 `[group]`, by layer.
        """
        self._images[number] += 1
        for name, attribution in attributions.items():
            before = self._sums[name].get(number)
            self._sums[name][number] = attribution if before is None else before + attribution

    def described(self, name: str, groups: Groups) -> FoundGroups:
        """Return the groups of a layer with their mean attributions."""
        by_class = self._sums.get(name, {})
        images = max(sum(self._images.values()), 1)
        total = sum(by_class.values(), np.zeros(len(groups.parts)))
        return FoundGroups(
            directions=tuple(
                tuple(short(weight, digits=5) for weight in row) for row in groups.directions
            ),
            attribution=tuple(map(short, total / images)),
            by_class={
                number: tuple(map(short, values / self._images[number]))
                for number, values in by_class.items()
            },
            explained=round(groups.explained, 4),
        )


class GroupFlows:
    """Sums the attribution that flows from group to group, over some of the images."""

    def __init__(
        self,
        network: Network,
        spec: AttributionSpec,
        groups: dict[str, Groups],
        images: Sequence[NumberedImage],
    ) -> None:
        self._layers, self._wanted = spec.layers, {image.number for image in images}
        pairs = [
            (before, after)
            for before, after in pairs_of_layers(network, spec)
            if before in groups and after in groups
        ]
        self._functions = {
            before: (
                after,
                group_flow_function(
                    network, before, after, groups[before].directions, groups[after].directions
                ),
            )
            for before, after in pairs
        }
        self._sums = {
            before: np.zeros((len(groups[before].parts), len(groups[after].parts)))
            for before, after in pairs
        }
        self._images = 0

    def add(self, batch: Batch, amounts: GroupValues, worth: GroupValues) -> None:
        """Add the selected images of a batch."""
        places = batch.places_of(self._wanted)
        if not places:
            return
        self._images += len(places)
        for before, (after, function) in self._functions.items():
            amount, worthy = amounts[self._layers.index(before)], worth[self._layers.index(after)]
            if amount is not None and worthy is not None:
                self._sums[before] += function(
                    tf.constant(batch.pixels[places]), amount[places], worthy[places]
                ).sum(axis=0)

    def means(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the means over the images, by the layer of the first groups."""
        return {before: total / max(self._images, 1) for before, total in self._sums.items()}
