"""Sum attributions and activations of each channel over sets of images, seeing each image once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.attribution.measurements import ImageRows, LayerRows
from diamond_cutter.tasks.attribution.spec import SetKind

# Sums would grow with the images if each image had a label of its own, such as a caption.
_MOST_SETS = 4000


class SetName(NamedTuple):
    """Names a set of images by its kind, and a label or class number.

    The kinds are `all`, `label`, `class` (the model predicts that class), `right` and `wrong`.
    """

    kind: SetKind
    label: str = ""
    number: int = -1


ALL, RIGHT, WRONG = SetName("all"), SetName("right"), SetName("wrong")


def sets_of(rows: ImageRows) -> dict[SetName, npt.NDArray[np.intp]]:
    """Return the sets of the images, each as the indices of its images in the rows."""
    places = np.arange(len(rows.numbers))
    found = {ALL: places}
    labels = np.array([label if label is not None else "" for label in rows.labels], object)
    known = np.array([label is not None for label in rows.labels], bool)
    for label in sorted(set(labels[known])):
        found[SetName("label", label)] = places[known & (labels == label)]
    for number in np.unique(rows.classes[:, 0]) if rows.classes.shape[1] > 1 else ():
        found[SetName("class", number=int(number))] = places[rows.classes[:, 0] == number]
    labelled, hit = rows.label_classes >= 0, rows.label_classes == rows.classes[:, 0]
    outcomes = {RIGHT: labelled & hit, WRONG: labelled & ~hit}
    return found | {name: places[inside] for name, inside in outcomes.items() if inside.any()}


@dataclass
class LayerTotals:
    """Sums over the images of a set at one layer, float64 `[channel]`."""

    attribution: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    positive: npt.NDArray[np.float64]
    negative: npt.NDArray[np.float64]
    highest: npt.NDArray[np.float64]
    highest_squares: npt.NDArray[np.float64]
    images: int = 0

    @classmethod
    def of(cls, channels: int) -> "LayerTotals":
        """Return sums of zero images."""
        return cls(*np.zeros((6, channels)))

    def add(self, rows: LayerRows, places: npt.NDArray[np.intp]) -> None:
        """Add the images at these indices of the rows."""
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
    def mean(self) -> npt.NDArray[np.float64]:
        """Return the mean attribution, `[channel]`."""
        return self.attribution / self.images

    @property
    def spread(self) -> npt.NDArray[np.float64]:
        """Return the standard deviation of the attribution over the images, `[channel]`."""
        return _deviation(self.attribution, self.squares, self.images)

    @property
    def positive_share(self) -> npt.NDArray[np.float64]:
        """Return the share of images with an attribution above 0, `[channel]`."""
        return self.positive / self.images

    @property
    def negative_share(self) -> npt.NDArray[np.float64]:
        """Return the share of images with an attribution below 0, `[channel]`."""
        return self.negative / self.images

    @property
    def mean_highest(self) -> npt.NDArray[np.float64]:
        """Return the mean of the images' highest activations, `[channel]`."""
        return self.highest / self.images

    @property
    def highest_spread(self) -> npt.NDArray[np.float64]:
        """Return the standard deviation of the images' highest activations, `[channel]`."""
        return _deviation(self.highest, self.highest_squares, self.images)


def _deviation(total: np.ndarray, squares: np.ndarray, count: int) -> np.ndarray:
    mean_square = squares / count
    variance = mean_square - np.square(total / count)
    # Below a millionth of the values it is float32 rounding: a constant must not seem to vary.
    return np.sqrt(np.where(variance > 1e-12 * mean_square, variance, 0))


@dataclass
class Totals:
    """All sums of a dataset.

    sets: by set and layer.
    explained: by set, the classes by which its images are explained.
    labelled: the number of images with the label of a class.
    right, right_of_five: the number of labelled images that the model predicts correctly, with its
        first class or with one of its first five.
    """

    sets: dict[SetName, dict[str, LayerTotals]] = field(default_factory=dict)
    explained: dict[SetName, set[int]] = field(default_factory=dict)
    labelled: int = 0
    right: int = 0
    right_of_five: int = 0

    def add(self, rows: ImageRows) -> None:
        """Add images."""
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
            self.explained.setdefault(name, set()).update(rows.positive[places].tolist())
        known = rows.label_classes >= 0
        hits = rows.classes[known] == rows.label_classes[known, None]
        self.labelled += int(known.sum())
        self.right += int(hits[:, 0].sum())
        self.right_of_five += int(hits.any(axis=1).sum())

    def images(self, name: SetName = ALL) -> int:
        """Return the number of images of a set."""
        layers = self.sets.get(name)
        return next(iter(layers.values())).images if layers else 0

    def mixes_questions(self, name: SetName) -> bool:
        """Tell whether the images of a set are explained by more than one class."""
        return len(self.explained.get(name, ())) > 1

    def ordered(self) -> Iterator[SetName]:
        """Yield the sets: all, labels by name, classes by descending size, right, wrong."""
        order = {"all": 0, "label": 1, "class": 2, "right": 3, "wrong": 4}
        yield from sorted(
            self.sets,
            key=lambda name: (order[name.kind], name.label, -self.images(name), name.number),
        )
