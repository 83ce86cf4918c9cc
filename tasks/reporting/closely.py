"""Looks at single images closely, in a device's process: what the report shows of them, groups of neurons, checks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from model_inventory.bundle import Bundle
from tasks.attribution.batches import Batch, Numbered, batches
from tasks.attribution.between import group_flow_function, seen_from_function
from tasks.attribution.cells import cell_grid
from tasks.attribution.checks import check_function
from tasks.attribution.details import BatchDetails, LayerDetails, SamePlace, details_function
from tasks.attribution.groups import Groups, fit_groups
from tasks.attribution.label_classes import NO_CLASS, label_class
from tasks.attribution.network import Network, network_of
from tasks.attribution.pooling import means
from tasks.attribution.score import NONE
from tasks.attribution.spec import AttributionSpec, ablated_channels
from tasks.reporting.choosing import evenly
from tasks.reporting.contents import Checks, Explained, FoundGroups, HeatMap, ImageDetails, ImageLayer, Spread

# Each costs as much as a few images of the rest, and what is looked for is a median, or an average.
CHECKED, GROUPED, SEEN_FROM = 96, 64, 2
_SOURCES = 24


@dataclass(frozen=True)
class ShownLayer:
    """An image at a layer, as it is kept until all images are known; the names are those of `ImageLayer`."""

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

    image: Numbered
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
    flows: how much each group of a layer adds to each group of the next, by the layer, float32 `[group, group]`.
    checks: by layer.
    """

    images: list[ShownImage] = field(default_factory=list)
    same_place: dict[str, SamePlace] = field(default_factory=dict)
    groups: dict[str, FoundGroups] = field(default_factory=dict)
    flows: dict[str, np.ndarray] = field(default_factory=dict)
    checks: dict[str, Checks] = field(default_factory=dict)


def look_closely(bundle: Bundle, spec: AttributionSpec, images: Sequence[Numbered], on_image: Callable[[int], object]) -> Closely:
    """Look at some images of a dataset; those that cannot be read are passed over.

    Args:
        bundle: the model.
        spec: what is explained, at which layers.
        images: in the order of their numbers.
        on_image: is told how many images have been looked at since the last time.
    """
    network, shape = network_of(bundle, spec.layers), bundle.card.image.shape
    groups = _fitted(network, spec, evenly(images, GROUPED))
    details, found, totals = details_function(network, spec), Closely(), _GroupTotals()
    seen_from = _seen_from(network, spec)
    flows = _Flows(network, spec, groups, evenly(images, GROUPED))
    for layer in spec.layers:
        card = bundle.card.layer(layer)
        rows, columns = cell_grid(card)
        found.same_place[layer] = SamePlace(rows * columns, card.channels)
    for batch in batches(images, shape, {}):
        seen = tf.nest.map_structure(lambda values: values.numpy(), details(batch.pixels))
        amounts = _amounts(seen, spec, groups)
        worth = [_worth(layer, groups.get(name)) for name, layer in zip(spec.layers, seen.layers, strict=True)]
        flows.add(batch, amounts, worth)
        for place, image in enumerate(batch.images):
            for name, layer in zip(spec.layers, seen.layers, strict=True):
                found.same_place[name].add(image.number, layer.highest[place])
            from_where = seen_from(batch.pixels[place : place + 1]) if len(found.images) < SEEN_FROM else {}
            shown = _shown(network, spec, image, seen, place, amounts, worth, from_where)
            totals.add(spec, shown)
            found.images.append(shown)
        on_image(len(batch.images))
    found.groups = {name: totals.described(name, group) for name, group in groups.items()}
    found.flows = flows.means()
    found.checks = _checks(network, spec, evenly(images, CHECKED))
    return found


def image_details(shown: ShownImage, closely: Closely, spec: AttributionSpec, file: str) -> ImageDetails:
    """Return what a report's page loads of an image, `file` being its picture."""
    right = None if shown.label_class == NO_CLASS else bool(shown.label_class == shown.classes[0])
    return ImageDetails(
        number=shown.image.number,
        name=shown.image.image.name,
        file=file,
        label=shown.image.image.label,
        right=right,
        predicted=tuple((int(number), round(float(share), 4)) for number, share in zip(shown.classes, shown.probabilities, strict=True)),
        explained=shown.explained,
        layers=tuple(
            _image_layer(layer, closely.same_place[name].others(shown.image.number, layer.activated[:, 0]))
            for name, layer in zip(spec.layers, shown.layers, strict=True)
        ),
    )


def cell_counts(closely: Closely, spec: AttributionSpec) -> dict[str, dict[int, int]]:
    """Return, by layer, how many cells each channel is shown in as the first or second, by activation or by attribution."""
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
            HeatMap(values=tuple(values.tolist()), scale=float(f"{scale:.4g}"), channels=tuple(map(tuple, channels.tolist())))
            for values, scale, channels in maps
        ),
        activated=tuple(map(tuple, layer.activated.tolist())),
        same_place=same_place,
        groups=tuple(map(tuple, layer.groups.tolist())),
        group_attribution=tuple(float(f"{value:.4g}") for value in layer.group_attribution),
        seen_from=tuple(map(_strongest, layer.seen_from)),
    )


def _strongest(shares: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return the positions that most comes from, the strongest first, each with its share, of shares 0 to 255 by position."""
    order = np.argsort(-shares.astype(int), kind="stable")[:_SOURCES]
    return tuple((int(position), int(shares[position])) for position in order if shares[position])


def _fitted(network: Network, spec: AttributionSpec, images: Sequence[Numbered]) -> dict[str, Groups]:
    """Return the groups of the layers that have rows and columns."""
    wanted = [name for name in spec.layers if spec.groups and network.card.layer(name).height]

    @tf.function(input_signature=[tf.TensorSpec([None, *network.card.image.shape])], autograph=False)
    def activations(pixels: tf.Tensor) -> list[tf.Tensor]:
        values = network.run(pixels, [network.tensors[spec.layers.index(name)] for name in wanted])
        return [means(layer, network.card.layer(name)) for name, layer in zip(wanted, values, strict=True)]

    found: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    for batch in batches(images, network.card.image.shape, {}) if wanted else ():
        for name, layer in zip(wanted, activations(batch.pixels), strict=True):
            found[name].append(layer.numpy().reshape(-1, layer.shape[-1]))
    together = {name: np.concatenate(parts) for name, parts in found.items() if parts}
    return {name: fit_groups(values, spec.groups) for name, values in together.items() if np.any(values)}


def _amounts(seen: BatchDetails, spec: AttributionSpec, groups: dict[str, Groups]) -> list[np.ndarray | None]:
    """Return how much of each group is in each cell, by layer, float32 `[batch, cell, group]`; None where there are no groups."""
    amounts: list[np.ndarray | None] = []
    for name, layer in zip(spec.layers, seen.layers, strict=True):
        values = layer.mean
        found = groups[name].over_positions(values.reshape(-1, values.shape[-1])) if name in groups else None
        amounts.append(None if found is None else found.reshape(*values.shape[:2], -1))
    return amounts


def _worth(layer: LayerDetails, groups: Groups | None) -> np.ndarray | None:
    """Return what a unit of each group adds to the score in each cell, float32 `[batch, cell, group]`."""
    return None if groups is None else np.einsum("bpc,gc->bpg", layer.gradients, groups.directions)


def _shown(
    network: Network,
    spec: AttributionSpec,
    image: Numbered,
    seen: BatchDetails,
    place: int,
    amounts: Sequence[np.ndarray | None],
    worth: Sequence[np.ndarray | None],
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
                map_channels=np.stack([found.channels[place] for found in layer.maps]).astype(np.uint16),
                activated=layer.channels[place].astype(np.uint16),
                groups=_bytes(amount[place].T) if amount is not None else np.empty((0, 0), np.uint8),
                group_attribution=np.empty(0) if amount is None or worthy is None else (amount[place] * worthy[place]).sum(axis=0),
                seen_from=_bytes(from_where.get(name, np.empty((0, 0)))),
            )
        )
    return ShownImage(
        image=image,
        label_class=label_class(network.card, image.image),
        classes=seen.classes[place],
        probabilities=seen.probabilities[place],
        explained=tuple(
            Explained(positive=_class(chosen.positive[place]), negative=_class(chosen.negative[place])) for chosen in seen.explained
        ),
        layers=tuple(layers),
    )


def _class(number: np.int32) -> int | None:
    return None if int(number) == NONE else int(number)


def _bytes(rows: np.ndarray) -> np.ndarray:
    """Return what is above 0 in each row as 0 to 255, 255 being the row's highest."""
    above = np.maximum(rows, 0)
    return np.round(255 * above / np.maximum(above.max(axis=1, keepdims=True, initial=0), 1e-12)).astype(np.uint8)


def _seen_from(network: Network, spec: AttributionSpec) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    pairs = list(_pairs(network, spec))
    functions = {after: seen_from_function(network, before, after) for before, after in pairs}
    return lambda pixels: {after: function(tf.constant(pixels)) for after, function in functions.items()}


def _pairs(network: Network, spec: AttributionSpec) -> Iterator[tuple[str, str]]:
    """Yield the layers that follow each other and have rows and columns."""
    for before, after in zip(spec.layers, spec.layers[1:], strict=False):
        if network.card.layer(before).height and network.card.layer(after).height:
            yield before, after


class _GroupTotals:
    """Sums of the groups' attributions, over all images and over those of each class."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
        self._images: Counter[int] = Counter()

    def add(self, spec: AttributionSpec, shown: ShownImage) -> None:
        """Count an image in."""
        number = int(shown.classes[0])
        self._images[number] += 1
        for name, layer in zip(spec.layers, shown.layers, strict=True):
            before = self._sums[name].get(number)
            self._sums[name][number] = layer.group_attribution if before is None else before + layer.group_attribution

    def described(self, name: str, groups: Groups) -> FoundGroups:
        """Return what is known of a layer's groups."""
        by_class = self._sums.get(name, {})
        images = max(sum(self._images.values()), 1)
        total = sum(by_class.values(), np.zeros(len(groups.parts)))
        return FoundGroups(
            directions=tuple(tuple(float(f"{weight:.5g}") for weight in row) for row in groups.directions),
            attribution=tuple(float(f"{value:.4g}") for value in total / images),
            by_class={
                number: tuple(float(f"{value:.4g}") for value in values / self._images[number]) for number, values in by_class.items()
            },
            explained=round(groups.explained, 4),
        )


class _Flows:
    """Sums of what flows from group to group, over some of the images."""

    def __init__(self, network: Network, spec: AttributionSpec, groups: dict[str, Groups], images: Sequence[Numbered]) -> None:
        self._layers, self._wanted = spec.layers, {image.number for image in images}
        pairs = [(before, after) for before, after in _pairs(network, spec) if before in groups and after in groups]
        self._functions = {
            before: (after, group_flow_function(network, before, after, groups[before].directions, groups[after].directions))
            for before, after in pairs
        }
        self._sums = {before: np.zeros((len(groups[before].parts), len(groups[after].parts))) for before, after in pairs}
        self._images = 0

    def add(self, batch: Batch, amounts: Sequence[np.ndarray | None], worth: Sequence[np.ndarray | None]) -> None:
        """Count in those of a batch that are wanted."""
        places = [place for place, image in enumerate(batch.images) if image.number in self._wanted]
        if not places:
            return
        self._images += len(places)
        for before, (after, function) in self._functions.items():
            amount, worthy = amounts[self._layers.index(before)], worth[self._layers.index(after)]
            if amount is not None and worthy is not None:
                self._sums[before] += function(tf.constant(batch.pixels[places]), amount[places], worthy[places]).sum(axis=0)

    def means(self) -> dict[str, np.ndarray]:
        """Return the means over the images, by the layer that it flows from."""
        return {before: total / max(self._images, 1) for before, total in self._sums.items()}


def _checks(network: Network, spec: AttributionSpec, images: Sequence[Numbered]) -> dict[str, Checks]:
    check = check_function(network, spec)
    found: dict[str, list[np.ndarray]] = {name: [] for name in spec.layers}
    for batch in batches(images, network.card.image.shape, {}):
        seeds = tf.constant([image.number for image in batch.images], tf.int32)
        for name, layer in zip(spec.layers, check(batch.pixels, seeds), strict=True):
            found[name].append(np.stack([values.numpy() for values in layer]))
    return {name: _described(np.concatenate(parts, axis=1), network.card.layer(name).channels) for name, parts in found.items() if parts}


def _described(values: np.ndarray, channels: int) -> Checks:
    error, top, random = (_spread(row) for row in values)
    return Checks(
        images=values.shape[1],
        completeness_error=error,
        ablated=ablated_channels(channels),
        drop_of_top=top,
        drop_of_random=random,
        times=float(f"{top.median / random.median:.4g}") if random.median > 0 else None,
    )


def _spread(values: np.ndarray) -> Spread:
    lower, median, upper = (float(f"{value:.4g}") for value in np.quantile(values, [0.25, 0.5, 0.75]))
    return Spread(lower_quartile=lower, median=median, upper_quartile=upper)
