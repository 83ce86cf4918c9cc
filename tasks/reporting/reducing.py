"""Sums up what was measured of a dataset's images, table by table; none of them is kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from diamond_cutter.tasks.attribution.examples import Examples
from diamond_cutter.tasks.attribution.measurements import ImageRows
from diamond_cutter.tasks.attribution.totals import Totals


@dataclass(frozen=True)
class ImageLine:
    """An image in the table of all images; numbers of classes, -1 for none."""

    image: int
    name: str
    label: str | None
    label_class: int
    predicted: int
    probability: float
    positive: int
    negative: int


@dataclass
class Reduced:
    """A dataset in sums: over sets of images, the images that excite each channel, by layer, and a
    line for each image.
    """

    totals: Totals = field(default_factory=Totals)
    examples: dict[str, Examples] = field(default_factory=dict)
    images: list[ImageLine] = field(default_factory=list)

    def highest(self, layer: str) -> np.ndarray:
        """Return each channel's highest activation on any image, float32 `[channel]`."""
        return self.examples[layer].highest().values[:, 0]


def reduce(parts: Iterable[ImageRows]) -> Reduced:
    """Sum up the images of some tables."""
    found = Reduced()
    for rows in parts:
        found.totals.add(rows)
        for layer, numbers in rows.layers.items():
            found.examples.setdefault(layer, Examples(numbers.channels.shape[1])).add(
                rows.numbers, numbers
            )
        found.images += _lines(rows)
    return found


def _lines(rows: ImageRows) -> Iterable[ImageLine]:
    columns = (
        rows.numbers,
        rows.label_classes,
        rows.classes[:, 0],
        rows.probabilities[:, 0],
        rows.positive,
        rows.negative,
    )
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    for name, label, (image, label_class, predicted, probability, positive, negative) in zip(
        rows.names, rows.labels, numbers, strict=True
    ):
        yield ImageLine(image, name, label, label_class, predicted, probability, positive, negative)
