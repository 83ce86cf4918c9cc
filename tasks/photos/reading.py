"""Decode the user's images; a bad file costs that image only, not the run."""

import io
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.regular_files import open_regular
from diamond_cutter.storage import AccessDenied, NotFound, StorageError
from diamond_cutter.storage.gcs.source_objects import read_object
from diamond_cutter.storage.parallel import in_threads
from diamond_cutter.tasks.photos.bands import (
    MAX_PIXELS,
    NPY_MAGIC,
    PHOTO_CHANNELS,
    TIFF_MAGICS,
    Bands,
    Refused,
    bands_of,
    read_npy,
    read_tiff,
)
from diamond_cutter.tasks.photos.image_set import MAX_FILE_BYTES, SUFFIXES, BadPhotos, FoundImage
from diamond_cutter.tasks.photos.listing import why_unreadable

# What a file decodes to, and the values from 0 to 255 that training and features start from.
Picture = Image.Image | Bands
Pixels = npt.NDArray[np.uint8 | np.float32]

_FORMATS = sorted(set(SUFFIXES.values()) - {"NPY"})
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

# Decoders take up to 1.4 GB for the largest images, so only one of these is decoded at a time.
_one_large = threading.Lock()

# Pillow warns about odd metadata, which do not matter here, and about many pixels, which this
# module refuses. The filter is global, because threads that set filters would undo each other's.
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadablePhoto(DiamondCutterError):
    """An image is unreadable; shown as `name: reason`."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class GonePhoto(UnreadablePhoto, BadPhotos):
    """An image disappeared or cannot be decoded now; do not record it as unreadable."""


def read_images(
    images: Iterable[FoundImage], shape: tuple[int, int, int]
) -> Iterator[tuple[FoundImage, npt.NDArray[np.float32] | UnreadablePhoto]]:
    """Yield each image with its pixels or its error, in order; threads decode some ahead.

    Raises:
        StorageError: the cloud is unreachable.
    """

    def read(image: FoundImage) -> tuple[FoundImage, npt.NDArray[np.float32] | UnreadablePhoto]:
        try:
            return image, read_image(image, shape)
        except UnreadablePhoto as error:
            return image, error

    return in_threads(_AT_ONCE, read, images)


def read_image(image: FoundImage, shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """Return an image as the input of a model; see `as_input`.

    Raises:
        UnreadablePhoto: the file is not an image, or exceeds a limit.
        StorageError: the cloud is unreachable.
    """
    return as_input(decode(image, max(shape[:2]), shape[2]), shape)


def read_picture(
    image: FoundImage, shape: tuple[int, int, int], side_px: int
) -> npt.NDArray[np.uint8]:
    """Return the same part of an image as `read_image`, for people; see `as_picture`.

    Raises:
        UnreadablePhoto: the file is not an image, or exceeds a limit.
        StorageError: the cloud is unreachable.
    """
    return as_picture(decode(image, side_px, shape[2]), shape, side_px)


def as_input(picture: Picture, shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """Return a decoded image as the input of a model: resized and cropped to the centre.

    Args:
        picture: the image from `decode`.
        shape: height, width and channels of the model's images; 1 channel is grey, 3 are RGB.

    Returns:
        float32 of that shape in [0, 1].
    """
    if isinstance(picture, Bands):
        return picture.fitted(*shape[:2])
    # One pass takes a quarter of the time of a conversion followed by a division.
    return np.divide(as_model_pixels(picture, shape), 255, dtype=np.float32)


def as_model_pixels(picture: Picture, shape: tuple[int, int, int]) -> Pixels:
    """Return the same as `as_input` in [0, 255]: uint8 for photos.

    Bands stay float32, because their values may be a small part of the range of 16 bits.
    """
    height, width, channels = shape
    if isinstance(picture, Bands):
        return picture.fitted(height, width) * np.float32(255)
    fitted = _fitted(picture if channels == 3 else picture.convert("L"), height, width)
    return np.asarray(fitted).reshape(shape)


def as_picture(
    picture: Picture, shape: tuple[int, int, int], side_px: int
) -> npt.NDArray[np.uint8]:
    """Return the same part of an image as `as_input`, in colour, with `side_px` on the longer side.

    Other images than photos are shown as by `Bands.preview`.

    Returns:
        uint8 `[height, width, 3]`, `[side_px, side_px, 3]` for a model of square images.
    """
    longer = max(shape[:2])
    height, width = (max(1, round(side_px * side / longer)) for side in shape[:2])
    if isinstance(picture, Bands):
        return picture.preview(height, width)
    return np.asarray(_fitted(picture, height, width))


def _fitted(picture: Image.Image, height: int, width: int) -> Image.Image:
    return ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)


def decode(image: FoundImage, at_least_px: int, channels: int = 3) -> Picture:
    """Return an upright image in RGB, on white; the first frame of an animation.

    Arrays, and images for models of other than 1 or 3 channels, are read as bands. A large JPEG is
    decoded at a fraction of its size. Other Python threads can run meanwhile.

    Args:
        image: the image.
        at_least_px: the longest side that the caller needs. A reduced JPEG has at least twice as
            many pixels on each side.
        channels: of the model's images; 1 and 3 are photos.

    Raises:
        UnreadablePhoto: the file is not an image, or exceeds a limit.
        StorageError: the cloud is unreachable.
    """
    try:
        with _opened(image.place) as file:
            return _decoded(file, at_least_px, channels)
    except (NotFound, FileNotFoundError) as error:
        raise GonePhoto(image.name, "it does not exist any more") from error
    except AccessDenied as error:
        raise UnreadablePhoto(image.name, "this user has no permission to read it") from error
    except StorageError:
        raise
    except MemoryError as error:
        raise GonePhoto(image.name, "there is not enough memory to decode it") from error
    except Exception as error:  # decoders raise many types for damaged files
        raise UnreadablePhoto(image.name, _reason(error)) from error


def _opened(place: str) -> BinaryIO:
    return io.BytesIO(read_object(place)) if place.startswith("gs://") else open_regular(place)


def _decoded(file: BinaryIO, at_least_px: int, channels: int) -> Picture:
    size = file.seek(0, os.SEEK_END)
    if not 0 < size <= MAX_FILE_BYTES:
        raise Refused(
            f"its size is not valid: expected at most {MAX_FILE_BYTES >> 20:,} MiB, found "
            f"{size >> 20:,} MiB"
            if size
            else "it is an empty file"
        )
    file.seek(0)
    magic = file.read(len(NPY_MAGIC))
    file.seek(0)
    is_tiff = magic.startswith(TIFF_MAGICS)
    if magic == NPY_MAGIC or (is_tiff and channels not in PHOTO_CHANNELS):
        with _one_large if size > _LARGE_PIXELS else nullcontext():
            return (read_tiff if is_tiff else read_npy)(file, channels)
    try:
        return _decoded_photo(file, at_least_px, channels)
    except UnidentifiedImageError:
        if not is_tiff:
            raise
        # Pillow reads few kinds of TIFF with 16 or 32 bits.
        return read_tiff(file, channels)


def _decoded_photo(file: BinaryIO, at_least_px: int, channels: int) -> Picture:
    with Image.open(file, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Refused(_too_many(f"{image.width:,} x {image.height:,}"))
        image.draft(None, (2 * at_least_px, 2 * at_least_px))
        with _one_large if image.width * image.height > _LARGE_PIXELS else nullcontext():
            # Load first: some formats store the orientation after the pixels, and TIFF applies it.
            image.load()
            turn = _turn(image)
            upright = image if turn is None else image.transpose(turn)
            return (
                _in_colour(upright) if channels in PHOTO_CHANNELS else bands_of(upright, channels)
            )


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return the transposition to an upright image, or None; damaged metadata do not matter."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return None


def _in_colour(image: Image.Image) -> Image.Image:
    """Return an image in RGB, converted in bands to keep memory small."""
    if image.mode in ("I", "F"):
        kind = "32-bit integers" if image.mode == "I" else "floating-point numbers"
        raise Refused(
            f"its pixels are {kind} without a known value range. Save it with 8 or 16 bits"
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
        # Pillow would clip values above 255.
        return Image.fromarray((np.asarray(band) >> 8).astype(np.uint8)).convert("RGB")
    if band.has_transparency_data:
        opaque = Image.new("RGBA", band.size, "white")
        opaque.alpha_composite(band.convert("RGBA"))
        return opaque.convert("RGB")
    return band.convert("RGB")


def _reason(error: Exception) -> str:
    """Return the reason why an image is unreadable, in words."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return _too_many("far too many")
    if isinstance(error, UnidentifiedImageError):
        return f"its format is unknown: expected one of {', '.join(_FORMATS)}"
    if isinstance(error, MemoryError):
        return "there is not enough memory to decode it"
    if isinstance(error, OSError) and error.errno is not None:
        return why_unreadable(error)
    text = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
    if "truncated" in text.lower():
        return "it is truncated"
    return f"it is damaged or of a rare kind ({text or type(error).__name__})"


def _too_many(pixels: str) -> str:
    return (
        f"it is too large: expected at most {MAX_PIXELS:,} pixels, found {pixels}. Make it smaller"
    )
