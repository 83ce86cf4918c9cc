"""The images that excite each channel most, and a sample of all, from images that are seen once and
let go.
"""

from dataclasses import dataclass

import numpy as np

from diamond_cutter.tasks.attribution.measurements import LayerRows

HIGHEST = 6
QUANTILES = (0.9, 0.75, 0.5)
_SAMPLED = 1024


@dataclass(frozen=True)
class Found:
    """Images for each channel, `[channel, place]`: how high the channel is, float32; the image's
    number, int32; the position, int32.
    """

    values: np.ndarray
    images: np.ndarray
    where: np.ndarray


class Examples:
    """Keeps, for each channel of a layer, the images in which it is highest, and a sample of all
    images to take quantiles from.

    Which images are in the sample is decided by their numbers, whatever the order in which they
    come.
    """

    def __init__(self, channels: int) -> None:
        self._highest = Found(*_nothing(channels, HIGHEST))
        self._ranks = np.empty(0, np.uint64)
        self._sample = Found(*_nothing(channels, 0))

    def add(self, numbers: np.ndarray, rows: LayerRows) -> None:
        """Look at some images: their numbers, int32 `[image]`, and their rows."""
        images = np.broadcast_to(numbers[:, None], rows.highest.shape)
        new = Found(rows.highest.T, images.T, rows.where.T)
        self._highest = _best(_joined(self._highest, new))
        self._ranks = np.concatenate([self._ranks, _ranks(numbers)])
        self._sample = _joined(self._sample, new)
        if len(self._ranks) > _SAMPLED:
            kept = np.sort(np.argpartition(self._ranks, _SAMPLED)[:_SAMPLED])
            self._ranks = self._ranks[kept]
            self._sample = Found(
                *(
                    part[:, kept]
                    for part in (self._sample.values, self._sample.images, self._sample.where)
                )
            )

    def highest(self) -> Found:
        """Return the images in which each channel is highest, the highest first; image -1 where
        there are fewer.
        """
        return self._highest

    def at_quantiles(self) -> Found:
        """Return an image at each of QUANTILES of a channel's highest activations."""
        count = self._sample.values.shape[1]
        order = np.lexsort((self._sample.images, self._sample.values), axis=1)
        chosen = order[:, [min(int(quantile * count), count - 1) for quantile in QUANTILES]]
        return Found(
            *(
                np.take_along_axis(part, chosen, 1)
                for part in (self._sample.values, self._sample.images, self._sample.where)
            )
        )


def _nothing(channels: int, places: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.full((channels, places), -np.inf, np.float32),
        np.full((channels, places), -1, np.int32),
        np.zeros((channels, places), np.int32),
    )


def _joined(first: Found, second: Found) -> Found:
    return Found(
        np.concatenate([first.values, second.values], axis=1),
        np.concatenate([first.images, second.images], axis=1),
        np.concatenate([first.where, second.where], axis=1),
    )


def _best(found: Found) -> Found:
    # Of two images that are as high, that of the lower number: the order in which they come must
    # not matter.
    order = np.lexsort((found.images, -found.values), axis=1)[:, :HIGHEST]
    return Found(
        *(np.take_along_axis(part, order, 1) for part in (found.values, found.images, found.where))
    )


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """Return numbers that look random, the same for the same image: those of SplitMix64 (Steele et
    al. 2014).
    """
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
