"""Sums over images that are seen once and let go: attributions and activations of each channel,
over each set of images.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from diamond_cutter.tasks.attribution.measurements import ImageRows, LayerRows

SetKind = Literal["all", "label", "class", "wrong"]


# A label for each image is a caption; sums over each would grow with the images.
_MOST_SETS = 4000


class SetName(NamedTuple):
    """Names a set of images: `all`, those of a label, those that the model takes for a class, or
    those that it is wrong about.
    """

    kind: SetKind
    label: str = ""
    number: int = -1


ALL, WRONG = SetName("all"), SetName("wrong")


def sets_of(rows: ImageRows) -> dict[SetName, np.ndarray]:
    """Return the sets that some images are in, each as the places of its images in the rows."""
    places = np.arange(len(rows.numbers))
    found = {ALL: places}
    labels = np.array([label if label is not None else "" for label in rows.labels], object)
    known = np.array([label is not None for label in rows.labels], bool)
    for label in sorted(set(labels[known])):
        found[SetName("label", label)] = places[known & (labels == label)]
    for number in np.unique(rows.classes[:, 0]) if rows.classes.shape[1] > 1 else ():
        found[SetName("class", number=int(number))] = places[rows.classes[:, 0] == number]
    wrong = (rows.label_classes >= 0) & (rows.label_classes != rows.classes[:, 0])
    if wrong.any():
        found[WRONG] = places[wrong]
    return found


@dataclass
class LayerTotals:
    """Sums over the images of a set at a layer, float64 `[channel]`."""

    attribution: np.ndarray
    squares: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    highest: np.ndarray
    highest_squares: np.ndarray
    images: int = 0

    @classmethod
    def of(cls, channels: int) -> "LayerTotals":
        """Return the sums over no image."""
        return cls(*np.zeros((6, channels)))

    def add(self, rows: LayerRows, places: np.ndarray) -> None:
        """Count some images in, `places` being theirs in the rows."""
        attribution, highest = (
            rows.channels[places].astype(np.float64),
            rows.highest[places].astype(np.float64),
        )
        self.images += len(places)
        self.attribution += attribution.sum(axis=0)
        self.squares += np.square(attribution).sum(axis=0)
        self.positive += (attribution > 0).sum(axis=0)
        self.negative += (attribution < 0).sum(axis=0)
        self.highest += highest.sum(axis=0)
        self.highest_squares += np.square(highest).sum(axis=0)

    @property
    def mean(self) -> np.ndarray:
        """Return the mean attribution, `[channel]`."""
        return self.attribution / self.images

    @property
    def spread(self) -> np.ndarray:
        """Return the attribution's standard deviation over the images, `[channel]`."""
        return _deviation(self.attribution, self.squares, self.images)

    @property
    def positive_share(self) -> np.ndarray:
        """Return the share of the images in which the attribution is above 0, `[channel]`."""
        return self.positive / self.images

    @property
    def negative_share(self) -> np.ndarray:
        """Return the share of those in which it is below 0, `[channel]`."""
        return self.negative / self.images

    @property
    def mean_highest(self) -> np.ndarray:
        """Return the mean over the images of the highest activation in each, `[channel]`."""
        return self.highest / self.images

    @property
    def highest_spread(self) -> np.ndarray:
        """Return the standard deviation over the images of the highest activation in each,
        `[channel]`.
        """
        return _deviation(self.highest, self.highest_squares, self.images)


def _deviation(total: np.ndarray, squares: np.ndarray, count: int) -> np.ndarray:
    mean_square = squares / count
    variance = mean_square - np.square(total / count)
    # Less than a millionth of the values is the rounding of float32: what is constant must not seem
    # to vary.
    return np.sqrt(np.where(variance > 1e-12 * mean_square, variance, 0))


@dataclass
class Totals:
    """All sums of a dataset: `sets` by set and layer, how many images have a label that is a class,
    and how often the model is right.
    """

    sets: dict[SetName, dict[str, LayerTotals]] = field(default_factory=dict)
    labelled: int = 0
    right: int = 0
    right_of_five: int = 0

    def add(self, rows: ImageRows) -> None:
        """Count some images in."""
        for name, places in sets_of(rows).items():
            if name not in self.sets and len(self.sets) >= _MOST_SETS:
                continue
            layers = self.sets.setdefault(
                name,
                {
                    layer: LayerTotals.of(found.channels.shape[1])
                    for layer, found in rows.layers.items()
                },
            )
            for layer, found in rows.layers.items():
                layers[layer].add(found, places)
        known = rows.label_classes >= 0
        hits = rows.classes[known] == rows.label_classes[known, None]
        self.labelled += int(known.sum())
        self.right += int(hits[:, 0].sum())
        self.right_of_five += int(hits.any(axis=1).sum())

    def images(self, name: SetName = ALL) -> int:
        """Return how many images a set has."""
        layers = self.sets.get(name)
        return next(iter(layers.values())).images if layers else 0

    def ordered(self) -> Iterator[SetName]:
        """Yield the sets: all, the labels in their order, the classes that most images are in
        first, and what is wrong.
        """
        order = {"all": 0, "label": 1, "class": 2, "wrong": 3}
        yield from sorted(
            self.sets,
            key=lambda name: (order[name.kind], name.label, -self.images(name), name.number),
        )
