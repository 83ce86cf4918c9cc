"""Collect the details of single images in a device's process: maps, neuron groups and checks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.attribution.batches import Batch, NumberedImage, batches
from diamond_cutter.tasks.attribution.checks import check_function
from diamond_cutter.tasks.attribution.details import (
    BatchDetails,
    LayerDetails,
    SamePlace,
    details_function,
)
from diamond_cutter.tasks.attribution.groups import Groups
from diamond_cutter.tasks.attribution.label_classes import NO_CLASS, label_class
from diamond_cutter.tasks.attribution.layer_contributions import seen_from_function
from diamond_cutter.tasks.attribution.network import Network, network_of
from diamond_cutter.tasks.attribution.score import NONE
from diamond_cutter.tasks.attribution.spec import AttributionSpec, cell_grid
from diamond_cutter.tasks.reporting.choosing import evenly
from diamond_cutter.tasks.reporting.grouping import (
    GroupFlows,
    GroupTotals,
    fitted_groups,
    group_amounts,
    group_worth,
    pairs_of_layers,
)
from diamond_cutter.tasks.reporting.layer_contents import Checks, FoundGroups, short
from diamond_cutter.tasks.reporting.page_data import Explained, HeatMap, ImageDetails, ImageLayer
from diamond_cutter.tasks.reporting.verdicts import summarised_checks

# Numbers of images. Each check, fit or source map costs as much as several other images, and these
# numbers are enough for a median or a mean.
CHECKED, GROUPED, SEEN_FROM = 96, 64, 2
_SOURCES = 24


@dataclass(frozen=True)
class ShownLayer:
    """A layer's details of one image, in compact arrays until all images are known.

    values: the maps, int8 `[map, cell]`, and scales, float32 `[map]`.
    map_channels: uint16 `[map, cell, up to 4]`, and activated, uint16 `[cell, up to 4]`.
    amounts: the highest activation in each cell, uint8 `[cell]`, and highest, that of the layer.
    groups: uint8 `[group, cell]`, and group_attribution, float32 `[group]`.
    seen_from: uint8 `[cell, cell of the previous layer]`.
    """

    values: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    map_channels: npt.NDArray[np.uint16]
    activated: npt.NDArray[np.uint16]
    amounts: npt.NDArray[np.uint8]
    highest: float
    groups: npt.NDArray[np.uint8]
    group_attribution: npt.NDArray[np.floating]
    seen_from: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ShownImage:
    """The details of one image, in compact arrays until all images are known.

    classes, probabilities: int32 and float32, `[up to 5]`.
    """

    image: NumberedImage
    label_class: int
    classes: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]
    explained: tuple[Explained, ...]
    layers: tuple[ShownLayer, ...]


@dataclass
class CollectedDetails:
    """The details of all shown images.

    images: in the order of their numbers.
    same_place: by layer, the images with high activations in the same cell.
    groups: by layer.
    flows: by layer, the attribution of each group through each group of the next layer, float
        `[group, group]`.
    checks: by layer.
    """

    images: list[ShownImage] = field(default_factory=list)
    same_place: dict[str, SamePlace] = field(default_factory=dict)
    groups: dict[str, FoundGroups] = field(default_factory=dict)
    flows: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    checks: dict[str, Checks] = field(default_factory=dict)


def collect_details(
    bundle: Bundle,
    spec: AttributionSpec,
    images: Sequence[NumberedImage],
    on_image: Callable[[int], object],
) -> CollectedDetails:
    """Return the details of images; unreadable images are skipped.

    Args:
        bundle: the model.
        spec: the options.
        images: in the order of their numbers.
        on_image: receives the number of images done since its last call.
    """
    network = network_of(bundle, spec.layers)
    groups = fitted_groups(network, spec, evenly(images, GROUPED))
    details, totals = details_function(network, spec), GroupTotals()
    seen_from = _seen_from(network, spec)
    flows = GroupFlows(network, spec, groups, evenly(images, GROUPED))
    found = CollectedDetails(same_place={name: _same_place(network, name) for name in spec.layers})
    for batch in batches(images, bundle.card.image.shape, {}):
        seen = tf.nest.map_structure(lambda values: values.numpy(), details(batch.pixels))
        measured = _MeasuredBatch(network, spec, batch, seen, groups)
        flows.add(batch, measured.amounts, measured.worth)
        for place, image in enumerate(batch.images):
            for name, layer in zip(spec.layers, seen.layers, strict=True):
                found.same_place[name].add(image.number, layer.highest[place])
            sources = (
                seen_from(batch.pixels[place : place + 1]) if len(found.images) < SEEN_FROM else {}
            )
            shown = measured.image(place, sources)
            attributions = (layer.group_attribution for layer in shown.layers)
            totals.add(int(shown.classes[0]), dict(zip(spec.layers, attributions, strict=True)))
            found.images.append(shown)
        on_image(len(batch.images))
    found.groups = {name: totals.described(name, group) for name, group in groups.items()}
    found.flows = flows.means()
    found.checks = _checks(network, spec, evenly(images, CHECKED))
    return found


def _same_place(network: Network, layer: str) -> SamePlace:
    card = network.card.layer(layer)
    rows, columns = cell_grid(card)
    return SamePlace(rows * columns, card.channels)


class _MeasuredBatch:
    """The details of a batch, from which single images are taken."""

    def __init__(
        self,
        network: Network,
        spec: AttributionSpec,
        batch: Batch,
        seen: BatchDetails,
        groups: dict[str, Groups],
    ) -> None:
        self._network, self._layers, self._batch, self._seen = network, spec.layers, batch, seen
        self.amounts = group_amounts(seen, spec, groups)
        self.worth = group_worth(seen, spec, groups)

    def image(self, place: int, sources: dict[str, npt.NDArray[np.float32]]) -> ShownImage:
        """Return one image; `sources` are the shares of the previous layer's cells, by layer."""
        image, seen = self._batch.images[place], self._seen
        return ShownImage(
            image=image,
            label_class=label_class(self._network.card, image.image),
            classes=seen.classes[place],
            probabilities=seen.probabilities[place],
            explained=tuple(
                Explained(
                    positive=_class(chosen.positive[place]), negative=_class(chosen.negative[place])
                )
                for chosen in seen.explained
            ),
            layers=tuple(
                self._layer(place, at, layer, sources.get(name, np.empty((0, 0), np.float32)))
                for at, (name, layer) in enumerate(zip(self._layers, seen.layers, strict=True))
            ),
        )

    def _layer(
        self, place: int, at: int, layer: LayerDetails, sources: npt.NDArray[np.float32]
    ) -> ShownLayer:
        amount, worth = self.amounts[at], self.worth[at]
        values = np.stack([found.values[place] for found in layer.maps])
        channels = np.stack([found.channels[place] for found in layer.maps])
        scales = np.maximum(np.abs(values).max(axis=1), 1e-12)
        activations = layer.highest[place].max(axis=1)
        return ShownLayer(
            values=np.round(values / scales[:, None] * 127).astype(np.int8),
            scales=scales,
            map_channels=channels.astype(np.uint16),
            activated=layer.channels[place].astype(np.uint16),
            amounts=_bytes(activations[None])[0],
            highest=float(activations.max()),
            groups=np.empty((0, 0), np.uint8) if amount is None else _bytes(amount[place].T),
            group_attribution=np.empty(0)
            if amount is None or worth is None
            else (amount[place] * worth[place]).sum(axis=0),
            seen_from=_bytes(sources),
        )


def image_details(
    shown: ShownImage, found: CollectedDetails, spec: AttributionSpec, file: str
) -> ImageDetails:
    """Return the details of an image for its page; `file` is the path of its picture."""
    right = None if shown.label_class == NO_CLASS else bool(shown.label_class == shown.classes[0])
    return ImageDetails(
        number=shown.image.number,
        name=shown.image.image.name,
        file=file,
        label=shown.image.image.label,
        right=right,
        predicted=tuple(
            (int(number), round(float(share), 4))
            for number, share in zip(shown.classes, shown.probabilities, strict=True)
        ),
        explained=shown.explained,
        layers=tuple(
            _image_layer(
                layer, found.same_place[name].others(shown.image.number, layer.activated[:, 0])
            )
            for name, layer in zip(spec.layers, shown.layers, strict=True)
        ),
    )


def cell_counts(found: CollectedDetails, spec: AttributionSpec) -> dict[str, dict[int, int]]:
    """Return, by layer and channel, the number of cells that show the channel first or second.

    Both orders count: by activation and by attribution.
    """
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for shown in found.images:
        for name, layer in zip(spec.layers, shown.layers, strict=True):
            counts[name].update(layer.activated[:, :2].ravel().tolist())
            counts[name].update(layer.map_channels[0, :, :2].ravel().tolist())
    return {name: dict(counts[name].most_common()) for name in spec.layers}


def _image_layer(layer: ShownLayer, same_place: tuple[tuple[int, ...], ...]) -> ImageLayer:
    maps = zip(layer.values, layer.scales, layer.map_channels, strict=True)
    return ImageLayer(
        maps=tuple(
            HeatMap(
                values=tuple(values.tolist()),
                scale=short(scale),
                channels=tuple(map(tuple, channels.tolist())),
            )
            for values, scale, channels in maps
        ),
        activated=tuple(map(tuple, layer.activated.tolist())),
        amounts=tuple(layer.amounts.tolist()),
        highest=short(layer.highest),
        same_place=same_place,
        groups=tuple(map(tuple, layer.groups.tolist())),
        group_attribution=tuple(map(short, layer.group_attribution)),
        seen_from=tuple(map(_strongest, layer.seen_from)),
    )


def _strongest(shares: npt.NDArray[np.uint8]) -> tuple[tuple[int, int], ...]:
    """Return the cells with the highest shares, each with its share of 0 to 255."""
    order = np.argsort(-shares.astype(int), kind="stable")[:_SOURCES]
    return tuple((int(position), int(shares[position])) for position in order if shares[position])


def _class(number: np.int32) -> int | None:
    return None if int(number) == NONE else int(number)


def _bytes(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return each row scaled to 0 to 255, with its maximum at 255 and negative values at 0."""
    above = np.maximum(rows, 0)
    return np.round(
        255 * above / np.maximum(above.max(axis=1, keepdims=True, initial=0), 1e-12)
    ).astype(np.uint8)


def _seen_from(
    network: Network, spec: AttributionSpec
) -> Callable[[npt.NDArray[np.float32]], dict[str, npt.NDArray[np.float32]]]:
    """Return a function from one image to the sources of its cells, by layer."""
    pairs = list(pairs_of_layers(network, spec))
    functions = {after: seen_from_function(network, before, after) for before, after in pairs}
    return lambda pixels: {
        after: function(tf.constant(pixels)) for after, function in functions.items()
    }


def _checks(
    network: Network, spec: AttributionSpec, images: Sequence[NumberedImage]
) -> dict[str, Checks]:
    """Return the checks of all layers."""
    check = check_function(network, spec)
    found: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in spec.layers}
    for batch in batches(images, network.card.image.shape, {}):
        seeds = tf.constant([image.number for image in batch.images], tf.int32)
        for name, layer in zip(spec.layers, check(batch.pixels, seeds), strict=True):
            found[name].append(np.stack([values.numpy() for values in layer]))
    return {
        name: summarised_checks(
            np.concatenate(parts, axis=1),
            network.card.layer(name).channels,
            spec.method_of(name),
            spec.steps,
        )
        for name, parts in found.items()
        if parts
    }
