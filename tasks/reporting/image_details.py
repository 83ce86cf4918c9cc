"""Looks at single images closely, in a device's process: what the report shows of them, groups of
neurons, checks.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.attribution.batches import NumberedImage, batches
from diamond_cutter.tasks.attribution.checks import check_function
from diamond_cutter.tasks.attribution.details import BatchDetails, SamePlace, details_function
from diamond_cutter.tasks.attribution.label_classes import NO_CLASS, label_class
from diamond_cutter.tasks.attribution.layer_contributions import seen_from_function
from diamond_cutter.tasks.attribution.network import Network, network_of
from diamond_cutter.tasks.attribution.score import NONE
from diamond_cutter.tasks.attribution.spec import AttributionSpec, ablated_channels, cell_grid
from diamond_cutter.tasks.reporting.choosing import evenly
from diamond_cutter.tasks.reporting.contents import (
    Checks,
    Explained,
    FoundGroups,
    HeatMap,
    ImageDetails,
    ImageLayer,
    Spread,
)
from diamond_cutter.tasks.reporting.grouping import (
    ByGroup,
    GroupFlows,
    GroupTotals,
    fitted_groups,
    group_amounts,
    group_worth,
    pairs_of_layers,
)
from diamond_cutter.tasks.reporting.rounding import short

# Each costs as much as a few images of the rest, and what is looked for is a median, or an average.
CHECKED, GROUPED, SEEN_FROM = 96, 64, 2
_SOURCES = 24


@dataclass(frozen=True)
class ShownLayer:
    """An image at a layer, as it is kept until all images are known; the names are those of
    `ImageLayer`.
    """

    values: np.ndarray
    scales: np.ndarray
    map_channels: np.ndarray
    activated: np.ndarray
    groups: np.ndarray
    group_attribution: np.ndarray
    seen_from: np.ndarray


@dataclass(frozen=True)
class ShownImage:
    """An image, as it is kept until all images are known."""

    image: NumberedImage
    label_class: int
    classes: np.ndarray
    probabilities: np.ndarray
    explained: tuple[Explained, ...]
    layers: tuple[ShownLayer, ...]


@dataclass
class Closely:
    """What was seen.

    images: in the order of their numbers.
    same_place: by layer, the images that are high at the same place.
    groups: by layer.
    flows: how much each group of a layer adds to each group of the next, by the layer, float32
    `[group, group]`. checks: by layer.
    """

    images: list[ShownImage] = field(default_factory=list)
    same_place: dict[str, SamePlace] = field(default_factory=dict)
    groups: dict[str, FoundGroups] = field(default_factory=dict)
    flows: dict[str, np.ndarray] = field(default_factory=dict)
    checks: dict[str, Checks] = field(default_factory=dict)


def look_closely(
    bundle: Bundle,
    spec: AttributionSpec,
    images: Sequence[NumberedImage],
    on_image: Callable[[int], object],
) -> Closely:
    """Look at some images of a dataset; those that cannot be read are passed over.

    Args:
        bundle: the model.
        spec: what is explained, at which layers.
        images: in the order of their numbers.
        on_image: is told how many images have been looked at since the last time.
    """
    network, shape = network_of(bundle, spec.layers), bundle.card.image.shape
    groups = fitted_groups(network, spec, evenly(images, GROUPED))
    details, found, totals = details_function(network, spec), Closely(), GroupTotals()
    seen_from = _seen_from(network, spec)
    flows = GroupFlows(network, spec, groups, evenly(images, GROUPED))
    for layer in spec.layers:
        card = bundle.card.layer(layer)
        rows, columns = cell_grid(card)
        found.same_place[layer] = SamePlace(rows * columns, card.channels)
    for batch in batches(images, shape, {}):
        seen = tf.nest.map_structure(lambda values: values.numpy(), details(batch.pixels))
        amounts = group_amounts(seen, spec, groups)
        worth = group_worth(seen, spec, groups)
        flows.add(batch, amounts, worth)
        for place, image in enumerate(batch.images):
            for name, layer in zip(spec.layers, seen.layers, strict=True):
                found.same_place[name].add(image.number, layer.highest[place])
            from_where = (
                seen_from(batch.pixels[place : place + 1]) if len(found.images) < SEEN_FROM else {}
            )
            shown = _shown(network, spec, image, seen, place, amounts, worth, from_where)
            totals.add(
                int(shown.classes[0]),
                {
                    name: layer.group_attribution
                    for name, layer in zip(spec.layers, shown.layers, strict=True)
                },
            )
            found.images.append(shown)
        on_image(len(batch.images))
    found.groups = {name: totals.described(name, group) for name, group in groups.items()}
    found.flows = flows.means()
    found.checks = _checks(network, spec, evenly(images, CHECKED))
    return found


def image_details(
    shown: ShownImage, closely: Closely, spec: AttributionSpec, file: str
) -> ImageDetails:
    """Return what a report's page loads of an image, `file` being its picture."""
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
                layer, closely.same_place[name].others(shown.image.number, layer.activated[:, 0])
            )
            for name, layer in zip(spec.layers, shown.layers, strict=True)
        ),
    )


def cell_counts(closely: Closely, spec: AttributionSpec) -> dict[str, dict[int, int]]:
    """Return, by layer, how many cells each channel is shown in as the first or second, by
    activation or by attribution.
    """
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for shown in closely.images:
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
        same_place=same_place,
        groups=tuple(map(tuple, layer.groups.tolist())),
        group_attribution=tuple(map(short, layer.group_attribution)),
        seen_from=tuple(map(_strongest, layer.seen_from)),
    )


def _strongest(shares: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return the positions that most comes from, the strongest first, each with its share, of
    shares 0 to 255 by position.
    """
    order = np.argsort(-shares.astype(int), kind="stable")[:_SOURCES]
    return tuple((int(position), int(shares[position])) for position in order if shares[position])


def _shown(
    network: Network,
    spec: AttributionSpec,
    image: NumberedImage,
    seen: BatchDetails,
    place: int,
    amounts: ByGroup,
    worth: ByGroup,
    from_where: dict[str, np.ndarray],
) -> ShownImage:
    layers = []
    for name, layer, amount, worthy in zip(spec.layers, seen.layers, amounts, worth, strict=True):
        values = np.stack([found.values[place] for found in layer.maps])
        scales = np.maximum(np.abs(values).max(axis=1), 1e-12)
        layers.append(
            ShownLayer(
                values=np.round(values / scales[:, None] * 127).astype(np.int8),
                scales=scales,
                map_channels=np.stack([found.channels[place] for found in layer.maps]).astype(
                    np.uint16
                ),
                activated=layer.channels[place].astype(np.uint16),
                groups=_bytes(amount[place].T)
                if amount is not None
                else np.empty((0, 0), np.uint8),
                group_attribution=np.empty(0)
                if amount is None or worthy is None
                else (amount[place] * worthy[place]).sum(axis=0),
                seen_from=_bytes(from_where.get(name, np.empty((0, 0)))),
            )
        )
    return ShownImage(
        image=image,
        label_class=label_class(network.card, image.image),
        classes=seen.classes[place],
        probabilities=seen.probabilities[place],
        explained=tuple(
            Explained(
                positive=_class(chosen.positive[place]), negative=_class(chosen.negative[place])
            )
            for chosen in seen.explained
        ),
        layers=tuple(layers),
    )


def _class(number: np.int32) -> int | None:
    return None if int(number) == NONE else int(number)


def _bytes(rows: np.ndarray) -> np.ndarray:
    """Return what is above 0 in each row as 0 to 255, 255 being the row's highest."""
    above = np.maximum(rows, 0)
    return np.round(
        255 * above / np.maximum(above.max(axis=1, keepdims=True, initial=0), 1e-12)
    ).astype(np.uint8)


def _seen_from(
    network: Network, spec: AttributionSpec
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    pairs = list(pairs_of_layers(network, spec))
    functions = {after: seen_from_function(network, before, after) for before, after in pairs}
    return lambda pixels: {
        after: function(tf.constant(pixels)) for after, function in functions.items()
    }


def _checks(
    network: Network, spec: AttributionSpec, images: Sequence[NumberedImage]
) -> dict[str, Checks]:
    check = check_function(network, spec)
    found: dict[str, list[np.ndarray]] = {name: [] for name in spec.layers}
    for batch in batches(images, network.card.image.shape, {}):
        seeds = tf.constant([image.number for image in batch.images], tf.int32)
        for name, layer in zip(spec.layers, check(batch.pixels, seeds), strict=True):
            found[name].append(np.stack([values.numpy() for values in layer]))
    return {
        name: _described(np.concatenate(parts, axis=1), network.card.layer(name).channels)
        for name, parts in found.items()
        if parts
    }


def _described(values: np.ndarray, channels: int) -> Checks:
    error, top, random = (_spread(row) for row in values)
    return Checks(
        images=values.shape[1],
        completeness_error=error,
        ablated=ablated_channels(channels),
        drop_of_top=top,
        drop_of_random=random,
        times=short(top.median / random.median) if random.median > 0 else None,
    )


def _spread(values: np.ndarray) -> Spread:
    lower, median, upper = map(short, np.quantile(values, [0.25, 0.5, 0.75]))
    return Spread(lower_quartile=lower, median=median, upper_quartile=upper)
