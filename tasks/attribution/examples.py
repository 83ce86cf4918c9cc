"""Find example images for each channel: the highest activations, and a sample of all images."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.attribution.measurements import LayerRows

HIGHEST = 6
QUANTILES = (0.9, 0.75, 0.5)
_SAMPLED = 1024


@dataclass(frozen=True)
class ExampleImages:
    """Example images of each channel, arrays `[channel, place]`.

    values: the activations.
    images: the numbers of the images, or -1.
    where: the positions of the activations.
    """

    values: npt.NDArray[np.float32]
    images: npt.NDArray[np.int32]
    where: npt.NDArray[np.int32]

    def at(self, places: npt.NDArray[np.intp]) -> "ExampleImages":
        """Return the examples at some places of each channel, `[channel, chosen place]`."""
        return ExampleImages(
            np.take_along_axis(self.values, places, 1),
            np.take_along_axis(self.images, places, 1),
            np.take_along_axis(self.where, places, 1),
        )

    def joined(self, other: "ExampleImages") -> "ExampleImages":
        """Return the examples of both, the others last."""
        return ExampleImages(
            np.concatenate([self.values, other.values], axis=1),
            np.concatenate([self.images, other.images], axis=1),
            np.concatenate([self.where, other.where], axis=1),
        )


class Examples:
    """Keeps the images with the highest activations of each channel, and a sample of all images.

    It sees each image once. The sample serves for quantiles. The images' numbers alone decide which
    images it holds, so the order of the images does not matter.
    """

    def __init__(self, channels: int) -> None:
        self._highest = _no_examples(channels, HIGHEST)
        self._ranks = np.empty(0, np.uint64)
        self._sample = _no_examples(channels, 0)

    def add(self, numbers: npt.NDArray[np.int32], rows: LayerRows) -> None:
        """Add images by their numbers, int32 `[image]`, and their rows."""
        images = np.broadcast_to(numbers[:, None], rows.highest.shape)
        new = ExampleImages(rows.highest.T, images.T, rows.where.T)
        self._highest = _best(self._highest.joined(new))
        self._ranks = np.concatenate([self._ranks, _ranks(numbers)])
        self._sample = self._sample.joined(new)
        if len(self._ranks) > _SAMPLED:
            kept = np.sort(np.argpartition(self._ranks, _SAMPLED)[:_SAMPLED])
            self._ranks = self._ranks[kept]
            self._sample = self._sample.at(np.broadcast_to(kept, (len(new.values), len(kept))))

    def highest(self) -> ExampleImages:
        """Return the images with the highest activations, in descending order; -1 if missing."""
        return self._highest

    def at_quantiles(self) -> ExampleImages:
        """Return one image at each of QUANTILES of the activations of each channel."""
        count = self._sample.values.shape[1]
        order = np.lexsort((self._sample.images, self._sample.values), axis=1)
        chosen = order[:, [min(int(quantile * count), count - 1) for quantile in QUANTILES]]
        return self._sample.at(chosen)


def _no_examples(channels: int, places: int) -> ExampleImages:
    return ExampleImages(
        np.full((channels, places), -np.inf, np.float32),
        np.full((channels, places), -1, np.int32),
        np.zeros((channels, places), np.int32),
    )


def _best(found: ExampleImages) -> ExampleImages:
    # Ties go to the lower number, so that the order of the images does not matter.
    order = np.lexsort((found.images, -found.values), axis=1)[:, :HIGHEST]
    return found.at(order)


def _ranks(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """Return a pseudo-random rank for each image number, by SplitMix64 (Steele et al. 2014)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
