"""A sheet: equally large pictures in a grid, row by row, in one image file. Shards and spritemaps
are sheets.
"""

import io
import math
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.tasks.image_format import MAX_SIDE_PX, ImageFormat

_SPRITEMAP_QUALITY = 90


class SheetTooLarge(DiamondCutterError):
    """The sheet has a side that its file format cannot hold."""


def spritemap_shape(count: int) -> tuple[int, int]:
    """Return the columns and rows of a spritemap, those of Distill's: int(sqrt(n)) columns, as many
    rows as it takes.
    """
    columns = math.isqrt(count)
    return columns, math.ceil(count / columns)


def shard_columns(count: int, cell_px: int) -> int:
    """Return the columns of a shard: one strip, unless that is longer than WebP allows."""
    return min(count, MAX_SIDE_PX["webp"] // cell_px)


def compose(
    cells: Iterable[tuple[int, np.ndarray]], count: int, columns: int, cell_px: int
) -> np.ndarray:
    """Lay pictures out in a grid; only the sheet itself is held in memory.

    Args:
        cells: position and picture, uint8 `[cell_px, cell_px, 3]` or all of them with opacity
            `[cell_px, cell_px, 4]`, in any order.
        count: how many cells there are; those behind the last stay black, or transparent.
        columns: cells in a row.
        cell_px: side of a cell.

    Returns:
        uint8 `[rows * cell_px, columns * cell_px, 3]`, or 4 if the pictures have opacity.
    """
    sheet: np.ndarray | None = None
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
        raise ValueError("a sheet needs a picture at least")
    return sheet


def cut(sheet: np.ndarray, count: int, columns: int, cell_px: int) -> Iterator[np.ndarray]:
    """Yield the pictures of a sheet in order, as views into it."""
    for position in range(count):
        row, column = divmod(position, columns)
        yield sheet[row * cell_px : (row + 1) * cell_px, column * cell_px : (column + 1) * cell_px]


def encode_lossless(sheet: np.ndarray) -> bytes:
    """Return a sheet, uint8 `[height, width, 3 or 4]`, as lossless WebP."""
    # Exact: otherwise the colours of what is wholly transparent are lost.
    return _encode(sheet, "webp", lossless=True, exact=True, quality=50, method=2)


def encode(
    sheet: np.ndarray, image_format: ImageFormat, quality: int = _SPRITEMAP_QUALITY
) -> bytes:
    """Return a sheet, uint8 `[height, width, 3]`, as an image file for people to look at;
    `quality`, to 100, is of webp and jpg.

    Raises:
        SheetTooLarge: the format cannot hold it.
    """
    limit = MAX_SIDE_PX[image_format]
    if max(sheet.shape[:2]) > limit:
        raise SheetTooLarge(
            f"a sheet of {sheet.shape[1]} x {sheet.shape[0]} px does not fit into {image_format}, "
            f"which ends at {limit} px; take png"
        )
    if image_format == "png":
        return _encode(sheet, "png", compress_level=6)
    if image_format == "jpg":
        return _encode(sheet, "jpg", quality=quality)
    # The more thorough methods take four times the time and twice the memory for the same size; the
    # less thorough ones fail on a sheet of 2048 sprites.
    return _encode(sheet, "webp", quality=quality, method=2)


def decode(data: bytes) -> np.ndarray:
    """Return the sheet in an image file, uint8 `[height, width, 3]`, or `[height, width, 4]` if any
    of it is not opaque.
    """
    # Only shards get here, which our own records vouch for by checksum.
    with Image.open(io.BytesIO(data), formats=["WEBP", "PNG", "JPEG"]) as image:
        return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _encode(sheet: np.ndarray, image_format: ImageFormat, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(
        buffer, {"webp": "WEBP", "png": "PNG", "jpg": "JPEG"}[image_format], **options
    )
    return buffer.getvalue()
