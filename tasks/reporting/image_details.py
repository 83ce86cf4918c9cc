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
from diamond_cutter.tasks.attribution.details import SamePlace, details_function
from diamond_cutter.tasks.attribution.label_classes import NO_CLASS
from diamond_cutter.tasks.attribution.layer_contributions import seen_from_function
from diamond_cutter.tasks.attribution.network import Network, network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec, cell_grid
from diamond_cutter.tasks.reporting.choosing import evenly
from diamond_cutter.tasks.reporting.grouping import (
    GroupFlows,
    GroupTotals,
    fitted_groups,
    pairs_of_layers,
)
from diamond_cutter.tasks.reporting.layer_contents import Checks, FoundGroups, short
from diamond_cutter.tasks.reporting.page_data import HeatMap, ImageDetails, ImageLayer
from diamond_cutter.tasks.reporting.shown_images import MeasuredBatch, ShownImage, ShownLayer
from diamond_cutter.tasks.reporting.verdicts import summarised_checks

# Numbers of images. Each check, fit or source map costs as much as several other images, and these
# numbers are enough for a median or a mean.
CHECKED, GROUPED, SEEN_FROM = 96, 64, 2
_SOURCES = 24


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
    checks = _Checks(network, spec, evenly(images, CHECKED))
    for batch in batches(images, bundle.card.image.shape, {}):
        seen = tf.nest.map_structure(lambda values: values.numpy(), details(batch.pixels))
        measured = MeasuredBatch(network, spec, batch, seen, groups)
        flows.add(batch, measured.amounts, measured.worth)
        checks.add(batch, [layer.attributed for layer in seen.layers])
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
    found.checks = checks.summarised()
    return found


def _same_place(network: Network, layer: str) -> SamePlace:
    card = network.card.layer(layer)
    rows, columns = cell_grid(card)
    return SamePlace(rows * columns, card.channels)


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


def _seen_from(
    network: Network, spec: AttributionSpec
) -> Callable[[npt.NDArray[np.float32]], dict[str, npt.NDArray[np.float32]]]:
    """Return a function from one image to the sources of its cells, by layer."""
    pairs = list(pairs_of_layers(network, spec))
    functions = {after: seen_from_function(network, before, after) for before, after in pairs}
    return lambda pixels: {
        after: function(tf.constant(pixels)) for after, function in functions.items()
    }


class _Checks:
    """Checks the attributions of some of the images."""

    def __init__(
        self, network: Network, spec: AttributionSpec, images: Sequence[NumberedImage]
    ) -> None:
        self._network, self._spec = network, spec
        self._wanted = {image.number for image in images}
        self._check = check_function(network, spec)
        self._found: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in spec.layers}

    def add(self, batch: Batch, attributed: Sequence[npt.NDArray[np.float32]]) -> None:
        """Check the wanted images of a batch.

        Args:
            batch: the images.
            attributed: for each layer, the attribution of each channel, float32 `[batch, channel]`.
        """
        places = batch.places_of(self._wanted)
        if not places:
            return
        checked = self._check(
            tf.constant(batch.pixels[places]),
            tf.constant([batch.images[place].number for place in places], tf.int32),
            [tf.constant(channels[places]) for channels in attributed],
        )
        for name, layer in zip(self._spec.layers, checked, strict=True):
            self._found[name].append(np.stack([values.numpy() for values in layer]))

    def summarised(self) -> dict[str, Checks]:
        """Return the checks of all layers."""
        return {
            name: summarised_checks(
                np.concatenate(parts, axis=1),
                self._network.card.layer(name).channels,
                self._spec.method_of(name),
                self._spec.steps,
            )
            for name, parts in self._found.items()
            if parts
        }
