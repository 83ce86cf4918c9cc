"""Read images of any number of channels: NumPy arrays (.npy) and TIFF files of several bands.

Files are not trusted: sizes are checked before anything is decoded, and no object is unpickled.
"""

import logging
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

Values = npt.NDArray[np.float32]

# Grey and RGB. Images of any other number of channels are bands.
PHOTO_CHANNELS = (1, 3)
NPY_MAGIC = b"\x93NUMPY"
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Pillow's own limit for warnings. A file of a few kilobytes can decode to gigabytes.
MAX_PIXELS = 89_478_485

_HIGHEST = {"uint8": 255.0, "uint16": 65535.0}
_FLOATS = ("float16", "float32", "float64")
_NONE, _DEFLATE = 1, (8, 32946)
_SHOWN_BANDS = 3
_PREVIEW_PERCENT = (1, 99)

# Remarks on odd metadata, which do not matter here.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


class Refused(Exception):
    """An image exceeds a limit or has no known meaning; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Bands:
    """A decoded image of any number of channels, float32 `[height, width, channel]` in [0, 1]."""

    values: Values

    @property
    def size(self) -> tuple[int, int]:
        """Return the width and the height, as Pillow's images have them."""
        return self.values.shape[1], self.values.shape[0]

    def tobytes(self) -> bytes:
        """Return the values as bytes, to compare images."""
        return self.values.tobytes()

    def fitted(self, height: int, width: int) -> Values:
        """Return the image resized and cropped to the centre, `[height, width, channel]`."""
        bands = [
            ImageOps.fit(
                Image.fromarray(self.values[..., band]), (width, height), Image.Resampling.BICUBIC
            )
            for band in range(self.values.shape[2])
        ]
        # Bicubic resampling goes beyond the values on both sides of an edge.
        return np.stack([np.asarray(band) for band in bands], axis=-1).clip(0, 1)

    def preview(self, height: int, width: int) -> npt.NDArray[np.uint8]:
        """Return a picture for people, uint8 `[height, width, 3]`.

        It shows the first three bands as red, green and blue, or the first one of two. Dark images
        are common, so the contrast is stretched for each image, except for grey and RGB.
        """
        shown = self.fitted(height, width)
        shown = shown[..., :_SHOWN_BANDS] if shown.shape[2] >= _SHOWN_BANDS else shown[..., :1]
        low, high = 0.0, 1.0
        if self.values.shape[2] not in PHOTO_CHANNELS:
            low, high = np.percentile(shown, _PREVIEW_PERCENT)
        scaled = (shown - low) / max(high - low, 1e-6)
        pixels = np.round(255 * scaled.clip(0, 1)).astype(np.uint8)
        return np.broadcast_to(pixels, (height, width, 3)).copy()


def preview_in_words(channels: int) -> str:
    """Return how images of a number of channels are shown; an empty text for photos."""
    if channels in PHOTO_CHANNELS:
        return ""
    shown = (
        "The first three are shown as red, green and blue"
        if channels >= _SHOWN_BANDS
        else "The first one is shown in grey"
    )
    return (
        f"The images have {channels} channels. {shown}, with the contrast stretched for each image."
    )


def read_npy(file: BinaryIO, channels: int) -> Bands:
    """Read an array `[height, width, channel]`, or `[channel, height, width]`.

    Raises:
        Refused: the file holds something else, or has another number of channels.
        ValueError: the file is damaged.
    """
    file.seek(0)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise Refused("its format of arrays is unknown: expected version 1.0 or 2.0")
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran_order, dtype = read_header(file)
    _check_type(dtype)
    order = _channels_last(shape, channels)
    size = math.prod(shape) * dtype.itemsize
    data = file.read(size)
    if len(data) < size:
        raise Refused("it is truncated")
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")
    return Bands(_scaled(values.transpose(order).reshape(_hwc(shape, order, channels))))


def read_tiff(file: BinaryIO, channels: int) -> Bands:
    """Read the bands of the first page of a TIFF file, or one band from each of several pages.

    Raises:
        Refused: the file holds something else, or has another number of bands.
        Exception: the file is damaged; tifffile raises many types.
    """
    from tifffile import TiffFile

    file.seek(0)
    # References to other files, which some microscopes write, are never followed.
    with TiffFile(file, _multifile=False) as tiff:
        first = _page(tiff, 0)
        if first is None:
            raise Refused("it has no image")
        pages = [first]
        if first.samplesperpixel == 1 and channels > 1:
            pages = _equal_pages(tiff, first, channels + 1)
        shape = tuple(first.shape) if len(pages) == 1 else (len(pages), *first.shape)
        order = _channels_last(shape, channels)
        for page in pages:
            _check_page(file, page)
        values = np.stack([page.asarray(maxworkers=1) for page in pages]).reshape(shape)
    return Bands(_scaled(values.transpose(order).reshape(_hwc(shape, order, channels))))


def bands_of(image: Image.Image, channels: int) -> Bands:
    """Return a decoded picture with opacity as the bands of a model of two or four channels.

    Raises:
        Refused: it has another number of bands.
    """
    found = len(image.getbands())
    if found != channels or image.mode not in ("LA", "RGBA"):
        raise _wrong_number(channels, found)
    return Bands(_scaled(np.asarray(image)))


def _page(tiff: "TiffFile", number: int) -> "TiffPage | None":
    try:
        return tiff.pages[number].aspage()
    except IndexError:
        return None


def _equal_pages(tiff: "TiffFile", first: "TiffPage", most: int) -> "list[TiffPage]":
    """Return the first pages that have the shape and the type of the first one."""
    pages = [first]
    while len(pages) < most:
        page = _page(tiff, len(pages))
        if page is None or (page.shape, page.dtype) != (first.shape, first.dtype):
            break
        pages.append(page)
    return pages


def _check_page(file: BinaryIO, page: "TiffPage") -> None:
    """Check that decoding a page takes no more memory than its size says.

    Raises:
        Refused: its values have another type, it is compressed in another way, or it expands.
    """
    if page.dtype is None:
        raise Refused(f"its values have {page.bitspersample} bits: expected 8, 16 or 32")
    _check_type(page.dtype)
    if page.compression not in (_NONE, *_DEFLATE):
        name = getattr(page.compression, "name", page.compression)
        raise Refused(
            f"its compression is {name}: expected none or deflate. Save it in one of these ways"
        )
    most = math.prod(page.chunks) * page.dtype.itemsize
    if most > MAX_PIXELS * page.dtype.itemsize:
        raise Refused("its tiles are too large. Save it with smaller tiles")
    counts = page.databytecounts
    if sum(counts) > file.seek(0, 2):
        raise Refused("it is truncated or damaged")
    if page.compression in _DEFLATE:
        for offset, count in zip(page.dataoffsets, counts, strict=True):
            file.seek(offset)
            if len(zlib.decompressobj().decompress(file.read(count), most + 1)) > most:
                raise Refused("it is damaged: a part of it expands beyond its size")


def _check_type(dtype: np.dtype[np.generic]) -> None:
    if dtype.hasobject or dtype.name not in (*_HIGHEST, *_FLOATS):
        raise Refused(
            f"its values are {dtype.name[:20]}: expected uint8, uint16, or floating-point numbers "
            "from 0 to 1"
        )


def _channels_last(shape: Sequence[int], channels: int) -> tuple[int, ...]:
    """Return the order of the axes that puts the channels last, after checking the shape."""
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise Refused(
            f"its shape is not that of an image: expected height, width and {channels} channels, "
            f"found {' x '.join(map(str, shape[:6]))}"
        )
    if math.prod(shape) > MAX_PIXELS:
        raise Refused(
            f"it is too large: expected at most {MAX_PIXELS:,} values, found "
            f"{math.prod(shape):,}. Make it smaller"
        )
    if len(shape) == 2 and channels == 1:
        return 0, 1
    if len(shape) == 3 and shape[2] == channels:
        return 0, 1, 2
    if len(shape) == 3 and shape[0] == channels:
        return 1, 2, 0
    raise _wrong_number(channels, 1 if len(shape) == 2 else min(shape[0], shape[2]))


def _hwc(shape: Sequence[int], order: Sequence[int], channels: int) -> tuple[int, int, int]:
    return shape[order[0]], shape[order[1]], channels


def _wrong_number(channels: int, found: int) -> Refused:
    return Refused(f"its number of channels is wrong: expected {channels}, found {found}")


def _scaled(values: npt.NDArray[np.generic]) -> Values:
    """Return values from 0 to 1; whole numbers are divided by the highest one of their type."""
    highest = _HIGHEST.get(values.dtype.name)
    if highest is not None:
        return np.divide(values, highest, dtype=np.float32)
    scaled = values.astype(np.float32)
    if np.isnan(scaled).any():
        raise Refused("some of its values are not numbers (NaN). Replace them")
    low, high = float(scaled.min()), float(scaled.max())
    if low < 0 or high > 1:
        raise Refused(
            f"its values are out of range: expected 0 to 1 for floating-point numbers, found "
            f"{low:.4g} to {high:.4g}. Scale them, or save them as uint8 or uint16"
        )
    return scaled
