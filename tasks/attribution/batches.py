"""Decode images ahead of the network, so that the network does not wait for them."""

from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import GonePhoto, UnreadablePhoto, read_images

BATCH = 16


@dataclass(frozen=True)
class NumberedImage:
    """An image and its number in the dataset."""

    number: int
    image: FoundImage


@dataclass(frozen=True)
class Batch:
    """The readable images of a batch, and the unreadable ones.

    pixels: float32 `[batch, height, width, channel]` in [0, 1].
    refused: the reason for each unreadable image, by name.
    """

    images: tuple[NumberedImage, ...]
    pixels: npt.NDArray[np.float32]
    refused: Mapping[str, str]

    def places_of(self, numbers: Collection[int]) -> list[int]:
        """Return the places in the batch of the images with these numbers."""
        return [place for place, image in enumerate(self.images) if image.number in numbers]


def batches(
    images: Sequence[NumberedImage], shape: tuple[int, int, int], refused: MutableMapping[str, str]
) -> Iterator[Batch]:
    """Yield the images in batches, in order; add unreadable images to `refused`.

    One batch is decoded ahead. The decoding threads may already have begun the batch after it.

    Args:
        images: the images to decode.
        shape: height, width and channels of the model's images.
        refused: receives the reason for each unreadable image, by name.

    Raises:
        GonePhoto: an image is unreadable now, but may be readable later.
    """
    found = _batches(images, shape)
    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(next, found, None)
        while (batch := ahead.result()) is not None:
            ahead = thread.submit(next, found, None)
            refused.update(batch.refused)
            if batch.images:
                yield batch


def _batches(images: Sequence[NumberedImage], shape: tuple[int, int, int]) -> Iterator[Batch]:
    read = zip(images, read_images((each.image for each in images), shape), strict=True)
    for first in range(0, len(images), BATCH):
        tried = [
            (each, pixels)
            for each, (_, (_, pixels)) in zip(images[first : first + BATCH], read, strict=False)
        ]
        for _, pixels in tried:
            if isinstance(pixels, GonePhoto):
                raise pixels
        sound = [
            (each, pixels) for each, pixels in tried if not isinstance(pixels, UnreadablePhoto)
        ]
        yield Batch(
            images=tuple(each for each, _ in sound),
            pixels=np.stack([pixels for _, pixels in sound])
            if sound
            else np.empty((0, *shape), np.float32),
            refused={
                error.name: error.reason for _, error in tried if isinstance(error, UnreadablePhoto)
            },
        )
