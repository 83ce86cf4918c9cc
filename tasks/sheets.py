"""A sheet: pictures of one size in a grid, row by row, in one image file.

Shards and spritemaps are sheets.
"""

import io
import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from diamond_cutter.errors import DiamondCutterError

ImageFormat = Literal["webp", "png", "jpg"]

# The largest side that the format can hold, in pixels.
_MAX_SIDE_PX: dict[ImageFormat, int] = {"webp": 16_383, "png": 2**31 - 1, "jpg": 65_500}
_SPRITEMAP_QUALITY = 90


class SheetTooLarge(DiamondCutterError):
    """The sheet has a side that its file format cannot hold."""


def spritemap_shape(count: int) -> tuple[int, int]:
    """Return the columns and rows of a spritemap: int(sqrt(n)) columns, as Distill's have."""
    columns = math.isqrt(count)
    return columns, math.ceil(count / columns)


def shard_columns(count: int, cell_px: int) -> int:
    """Return the columns of a shard: one strip, unless WebP cannot hold its length."""
    return min(count, _MAX_SIDE_PX["webp"] // cell_px)


def compose(
    cells: Iterable[tuple[int, npt.NDArray[np.uint8]]], count: int, columns: int, cell_px: int
) -> npt.NDArray[np.uint8]:
    """Lay pictures out in a grid; only the sheet itself is held in memory.

    Args:
        cells: position and picture, uint8 `[cell_px, cell_px, 3]`, or all of them with opacity
            `[cell_px, cell_px, 4]`, in any order.
        count: number of cells. The rest of the last row stays black, or transparent.
        columns: cells in a row.
        cell_px: side of a cell.

    Returns:
        uint8 `[rows * cell_px, columns * cell_px, 3]`, or 4 if the pictures have opacity.

    Raises:
        ValueError: there are no cells.
    """
    sheet: npt.NDArray[np.uint8] | None = None
    for position, picture in cells:
        if sheet is None:
            sheet = np.zeros(
                (math.ceil(count / columns) * cell_px, columns * cell_px, picture.shape[2]),
                np.uint8,
            )
        row, column = divmod(position, columns)
        sheet[row * cell_px : (row + 1) * cell_px, column * cell_px : (column + 1) * cell_px] = (
            picture
        )
    if sheet is None:
        raise ValueError("a sheet needs at least one picture")
    return sheet


def cut(
    sheet: npt.NDArray[np.uint8], count: int, columns: int, cell_px: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the pictures of a sheet in order, as views into it."""
    for position in range(count):
        row, column = divmod(position, columns)
        yield sheet[row * cell_px : (row + 1) * cell_px, column * cell_px : (column + 1) * cell_px]


def encode_lossless(sheet: npt.NDArray[np.uint8]) -> bytes:
    """Return a sheet, uint8 `[height, width, 3 or 4]`, as lossless WebP."""
    # Without `exact`, wholly transparent pixels lose their colours.
    return _encode(sheet, "webp", lossless=True, exact=True, quality=50, method=2)


def encode(
    sheet: npt.NDArray[np.uint8], image_format: ImageFormat, quality: int = _SPRITEMAP_QUALITY
) -> bytes:
    """Return a sheet as an image file for people to look at.

    Args:
        sheet: uint8 `[height, width, 3]`.
        image_format: of the file.
        quality: of webp and jpg, up to 100.

    Raises:
        SheetTooLarge: the format cannot hold it.
    """
    limit = _MAX_SIDE_PX[image_format]
    if max(sheet.shape[:2]) > limit:
        raise SheetTooLarge(
            f"a sheet of {sheet.shape[1]} x {sheet.shape[0]} px does not fit into {image_format}: "
            f"expected at most {limit} px a side. Use png."
        )
    if image_format == "png":
        return _encode(sheet, "png", compress_level=6)
    if image_format == "jpg":
        return _encode(sheet, "jpg", quality=quality)
    # More thorough methods take four times the time and twice the memory for the same size. Less
    # thorough ones fail on a sheet of 2048 sprites.
    return _encode(sheet, "webp", quality=quality, method=2)


def decode(data: bytes) -> npt.NDArray[np.uint8]:
    """Return the sheet in an image file, uint8 `[height, width, 3]`, or 4 if any is transparent."""
    # Only shards get here, and our own records vouch for them by checksum.
    with Image.open(io.BytesIO(data), formats=["WEBP", "PNG", "JPEG"]) as image:
        return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def is_sheet(data: bytes, count: int, columns: int, cell_px: int) -> bool:
    """Tell whether data is an undamaged WebP picture, in the size of a sheet of so many cells."""
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            if image.size != (columns * cell_px, math.ceil(count / max(columns, 1)) * cell_px):
                return False
            image.load()
    except (OSError, EOFError, Image.DecompressionBombError):
        return False
    return True


def _encode(sheet: npt.NDArray[np.uint8], image_format: ImageFormat, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(
        buffer, {"webp": "WEBP", "png": "PNG", "jpg": "JPEG"}[image_format], **options
    )
    return buffer.getvalue()
