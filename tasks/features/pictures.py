"""Decode images once for several models, in batches, ahead of the network."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diamond_cutter.storage.parallel import in_threads
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.photos.reading import (
    GonePhoto,
    Pixels,
    UnreadablePhoto,
    as_model_pixels,
    decode,
)

Shape = tuple[int, int, int]

_AT_ONCE = 4
# Large JPEGs are decoded at a fraction of their size. This size, which is the same for all models
# up to it, makes the digests of equal images equal.
_DECODED_PX = 512


@dataclass(frozen=True)
class Pictures:
    """Readable images in the sizes of several models.

    numbers: the images' numbers in the dataset.
    digests: a hash of each image's decoded pixels; images with equal pixels have equal digests.
    pixels: by shape, `[image, height, width, channel]` in [0, 255]: uint8, or float32 for bands.
    refused: the reason for each unreadable image among them, by name.
    """

    numbers: tuple[int, ...]
    digests: tuple[str, ...]
    pixels: Mapping[Shape, Pixels]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class _Decoded:
    number: int
    digest: str
    pixels: tuple[Pixels, ...]


def picture_batches(
    images: Sequence[NumberedImage], shapes: Sequence[Shape], size: int
) -> Iterator[Pictures]:
    """Yield the readable images in batches of `size`, in order; the last batch may be smaller.

    Args:
        images: the images to decode.
        shapes: height, width and channels of each model's images; all have the same channels.
        size: images in a batch.

    Raises:
        GonePhoto: an image is unreadable now, but may be readable later.
        StorageError: the cloud is unreachable.
    """
    channels = shapes[0][2]
    at_least_px = max(_DECODED_PX, *(max(height, width) for height, width, _ in shapes))

    def read(each: NumberedImage) -> _Decoded | UnreadablePhoto:
        try:
            picture = decode(each.image, at_least_px, channels)
        except UnreadablePhoto as error:
            return error
        digest = hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()[:16]
        return _Decoded(
            each.number, digest, tuple(as_model_pixels(picture, shape) for shape in shapes)
        )

    sound, refused = list[_Decoded](), dict[str, str]()
    for found in in_threads(_AT_ONCE, read, images):
        if isinstance(found, GonePhoto):
            raise found
        if isinstance(found, UnreadablePhoto):
            refused[found.name] = found.reason
        else:
            sound.append(found)
        if len(sound) == size:
            yield _pictures(sound, shapes, refused)
            sound, refused = [], {}
    if sound or refused:
        yield _pictures(sound, shapes, refused)


def _pictures(
    sound: Sequence[_Decoded], shapes: Sequence[Shape], refused: Mapping[str, str]
) -> Pictures:
    return Pictures(
        numbers=tuple(each.number for each in sound),
        digests=tuple(each.digest for each in sound),
        pixels={
            shape: np.stack([each.pixels[place] for each in sound])
            if sound
            else np.empty((0, *shape), np.uint8)
            for place, shape in enumerate(shapes)
        },
        refused=refused,
    )
