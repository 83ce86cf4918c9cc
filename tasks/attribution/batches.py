"""Decodes images ahead of the network, so that it does not wait for them."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import GonePhoto, UnreadablePhoto, read_images

BATCH = 16


@dataclass(frozen=True)
class Numbered:
    """An image and its number in the dataset."""

    number: int
    image: FoundImage


@dataclass(frozen=True)
class Batch:
    """Images that could be read, `pixels` float32 `[batch, height, width, channel]` with values in
    [0, 1]; and why others could not.
    """

    images: tuple[Numbered, ...]
    pixels: np.ndarray
    refused: Mapping[str, str]


def batches(
    images: Sequence[Numbered], shape: tuple[int, int, int], refused: MutableMapping[str, str]
) -> Iterator[Batch]:
    """Yield images in batches, in their order, and put the names of those that cannot be read, and
    why, into `refused`.

    Raises:
        GonePhoto: an image cannot be read now, and may be another time.

    One batch is decoded ahead, and of the next no more than the threads that decode have begun.
    """
    found = _batches(images, shape)
    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(next, found, None)
        while (batch := ahead.result()) is not None:
            ahead = thread.submit(next, found, None)
            refused.update(batch.refused)
            if batch.images:
                yield batch


def _batches(images: Sequence[Numbered], shape: tuple[int, int, int]) -> Iterator[Batch]:
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
