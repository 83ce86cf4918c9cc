"""Sum up the measurements of a dataset's images, one table at a time."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.attribution.examples import Examples
from diamond_cutter.tasks.attribution.measurements import ImageRows
from diamond_cutter.tasks.attribution.totals import Totals


@dataclass(frozen=True)
class ImageLine:
    """An image in the table of all images; classes are numbers, or -1 for no class."""

    image: int
    name: str
    label: str | None
    label_class: int
    predicted: int
    probability: float
    positive: int
    negative: int


@dataclass
class DatasetSums:
    """The sums of a dataset.

    totals: sums over sets of images.
    examples: the images that excite each channel, by layer.
    images: one line for each image.
    """

    totals: Totals = field(default_factory=Totals)
    examples: dict[str, Examples] = field(default_factory=dict)
    images: list[ImageLine] = field(default_factory=list)

    def highest(self, layer: str) -> npt.NDArray[np.float32]:
        """Return the highest activation of each channel over all images, float32 `[channel]`."""
        return self.examples[layer].highest().values[:, 0]


def sum_measurements(parts: Iterable[ImageRows]) -> DatasetSums:
    """Return the sums over the images of all tables."""
    found = DatasetSums()
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
