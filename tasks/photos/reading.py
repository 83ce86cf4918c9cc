"""Decodes the user's images. They are files from anywhere: whatever is in one costs that image, not
the run.
"""

import io
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.regular_files import open_regular
from diamond_cutter.storage import AccessDenied, NotFound, StorageError
from diamond_cutter.storage.gcs.source_objects import read_object
from diamond_cutter.storage.parallel import in_threads
from diamond_cutter.tasks.photos.image_set import MAX_FILE_BYTES, SUFFIXES, BadPhotos, FoundImage
from diamond_cutter.tasks.photos.listing import why_unreadable

# Pillow's own, from which on it warns: of a few kilobytes an image can be made that takes
# gigabytes.
MAX_PIXELS = 89_478_485

_FORMATS = sorted(set(SUFFIXES.values()))
_AT_ONCE = 4
_LARGE_PIXELS = 32_000_000
_BAND_PIXELS = 1 << 22
_SHOWN_CHARACTERS = 120
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Of the largest, decoders take up to 1.4 GB on the way: not several of those at once.
_one_large = threading.Lock()

# Pillow warns of odd metadata, which do not matter here, and of many pixels, which are refused
# below. Not around each call: a filter is the whole process's, and threads that set it would undo
# each other's.
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadablePhoto(DiamondCutterError):
    """An image cannot be read; `reason` says in plain words why, and goes behind its name and a
    colon.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class GonePhoto(UnreadablePhoto, BadPhotos):
    """An image was there a moment ago and cannot be read now: whoever keeps what was measured is
    not to keep that it is bad.
    """


class _Refused(Exception):
    """An image that can be decoded, but not taken; the text is the reason."""


def check_channels(channels: int) -> None:
    """Refuse to show photos to a model of images that are neither colour nor grey.

    Raises:
        BadPhotos: it is such a model.
    """
    if channels not in (1, 3):
        raise BadPhotos(
            f"photos have 3 channels, or 1 in grey, but the model takes images of {channels}; "
            "take a model of colour or grey images"
        )


def read_images(
    images: Iterable[FoundImage], shape: tuple[int, int, int]
) -> Iterator[tuple[FoundImage, np.ndarray | UnreadablePhoto]]:
    """Yield each image with what `read_image` returns or raises, in their order; some are decoded
    ahead, in threads.

    Raises:
        StorageError: the cloud does not answer, which is no image's fault.
    """

    def read(image: FoundImage) -> tuple[FoundImage, np.ndarray | UnreadablePhoto]:
        try:
            return image, read_image(image, shape)
        except UnreadablePhoto as error:
            return image, error

    return in_threads(_AT_ONCE, read, images)


def read_image(image: FoundImage, shape: tuple[int, int, int]) -> np.ndarray:
    """Return an image as a model of that height, width and channels, 1 or 3, sees it: see
    `as_input`.

    Raises:
        UnreadablePhoto: it is no image, or none that can be taken.
        StorageError: the cloud does not answer.
    """
    return as_input(decode(image, max(shape[:2])), shape)


def read_picture(image: FoundImage, shape: tuple[int, int, int], side_px: int) -> np.ndarray:
    """Return the part of an image that `read_image` returns as people see it: see `as_picture`.

    Raises:
        UnreadablePhoto: it is no image, or none that can be taken.
        StorageError: the cloud does not answer.
    """
    return as_picture(decode(image, side_px), shape, side_px)


def as_input(picture: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    """Return what `decode` has made of an image as a model sees it: filling its sides, the middle
    of what is too long.

    Args:
        picture: the image, upright in RGB.
        shape: height, width and channels of the model's images; one channel is grey, three are RGB.

    Returns:
        float32 of that shape with values in [0, 1].
    """
    height, width, channels = shape
    values = np.asarray(
        _fitted(picture if channels == 3 else picture.convert("L"), height, width)
    ).reshape(shape)
    return np.divide(
        values, 255, dtype=np.float32
    )  # in one pass: a quarter of the time of a conversion before it


def as_picture(picture: Image.Image, shape: tuple[int, int, int], side_px: int) -> np.ndarray:
    """Return the same part of an image as `as_input`, to be looked at: in colour, its longer side
    of `side_px`.

    Returns:
        uint8 `[height, width, 3]`, `[side_px, side_px, 3]` for a model of square images.
    """
    height, width, _ = shape
    longer = max(height, width)
    return np.asarray(
        _fitted(
            picture,
            max(1, round(side_px * height / longer)),
            max(1, round(side_px * width / longer)),
        )
    )


def _fitted(picture: Image.Image, height: int, width: int) -> Image.Image:
    return ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)


def decode(image: FoundImage, at_least_px: int) -> Image.Image:
    """Return an image upright in RGB, what is transparent laid on white; of an animation the first
    picture.

    A JPEG is decoded to a fraction of its size where that leaves each side twice `at_least_px`:
    take the longest side that is wanted. Most of the time other Python threads can run.

    Raises:
        UnreadablePhoto: it is no image, or none that can be taken.
        StorageError: the cloud does not answer.
    """
    try:
        with _opened(image.place) as file:
            return _decoded(file, at_least_px)
    except (NotFound, FileNotFoundError) as error:
        raise GonePhoto(image.name, "it is not there any more") from error
    except AccessDenied as error:
        raise UnreadablePhoto(image.name, "it may not be read by this user") from error
    except StorageError:
        raise
    except MemoryError as error:
        raise GonePhoto(image.name, "there is not enough memory to decode it") from error
    except Exception as error:  # whatever a decoder makes of rubbish
        raise UnreadablePhoto(image.name, _reason(error)) from error


def _opened(place: str) -> BinaryIO:
    return io.BytesIO(read_object(place)) if place.startswith("gs://") else open_regular(place)


def _decoded(file: BinaryIO, at_least_px: int) -> Image.Image:
    size = file.seek(0, os.SEEK_END)
    if not 0 < size <= MAX_FILE_BYTES:
        raise _Refused(
            f"it is of {size >> 20:,} MiB, more than an image may have"
            if size
            else "it is empty, a file of no bytes"
        )
    file.seek(0)
    with Image.open(file, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _Refused(_too_many(f"{image.width:,} x {image.height:,}"))
        image.draft(None, (2 * at_least_px, 2 * at_least_px))
        with _one_large if image.width * image.height > _LARGE_PIXELS else nullcontext():
            # Before its orientation is asked for, which some formats have behind the pixels, and
            # TIFF obeys by itself.
            image.load()
            turn = _turn(image)
            return _in_colour(image if turn is None else image.transpose(turn))


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return what turns an image upright, if anything does; damaged metadata do not make its pixels
    worse.
    """
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return None


def _in_colour(image: Image.Image) -> Image.Image:
    """Return an image in RGB; in bands, so that a large one does not stand in memory in three
    forms.
    """
    if image.mode in ("I", "F"):
        kind = "whole numbers of 32 bits" if image.mode == "I" else "floating-point numbers"
        raise _Refused(
            f"its pixels are {kind}, of which nobody says which are black and white; save it with "
            "8 or 16 bits"
        )
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    rows = max(1, _BAND_PIXELS // image.width)
    coloured = Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        coloured.paste(
            _band_in_colour(image.crop((0, top, image.width, min(top + rows, image.height)))),
            (0, top),
        )
    return coloured


def _band_in_colour(band: Image.Image) -> Image.Image:
    if band.mode.startswith("I;16"):
        # Pillow would cut off all above 255.
        return Image.fromarray((np.asarray(band) >> 8).astype(np.uint8)).convert("RGB")
    if band.has_transparency_data:
        opaque = Image.new("RGBA", band.size, "white")
        opaque.alpha_composite(band.convert("RGBA"))
        return opaque.convert("RGB")
    return band.convert("RGB")


def _reason(error: Exception) -> str:
    """Return in plain words why an image cannot be read."""
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return _too_many("far too many")
    if isinstance(error, UnidentifiedImageError):
        return f"it is no image of a kind that is known here: {', '.join(_FORMATS)}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, OSError) and error.errno is not None:
        return why_unreadable(error)
    text = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
    if "truncated" in text.lower():
        return "it is cut off: its end is missing"
    return f"it is damaged, or of a rare kind ({text or type(error).__name__})"


def _too_many(pixels: str) -> str:
    return f"it has {pixels} pixels, more than the {MAX_PIXELS:,} that are taken; make it smaller"
