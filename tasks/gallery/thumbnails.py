"""Small pictures of a layer's sprites, cut from its spritemaps."""

import io
from collections.abc import Callable, Mapping
from typing import BinaryIO

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from diamond_cutter.storage import Bucket, Corrupt
from diamond_cutter.storage.sets.records import SpritemapRecord
from diamond_cutter.tasks.gallery.sources import LayerSource
from diamond_cutter.tasks.sheets import cut

# Pillow's own limit is one that a layer of 2048 large sprites exceeds, so its classes are called
# without it.
_MAX_PIXELS = 2**28
_OPENERS: Mapping[str, Callable[[BinaryIO], ImageFile]] = {
    "webp": WebPImagePlugin.WebPImageFile,
    "png": PngImagePlugin.PngImageFile,
    "jpg": JpegImagePlugin.JpegImageFile,
}


def thumbnails(bucket: Bucket, source: LayerSource, side_px: int) -> np.ndarray | None:
    """Return the layer's sprites made small, uint8 `[sprite, side_px, side_px, 3]`, or None if a
    spritemap is too large to be opened.

    Raises:
        Corrupt, NotFound: a spritemap is not what its record says.
    """
    small = []
    for record in source.spritemaps:
        if record.columns * record.rows * record.cell_px**2 > _MAX_PIXELS:
            return None
        # A cell becomes side_px whole pixels, so a box filter never mixes two cells.
        size = (record.columns * side_px, record.rows * side_px)
        sheet = np.asarray(_opened(bucket, record).resize(size, Image.Resampling.BOX))
        small.append(list(cut(sheet, len(record.sprites), record.columns, side_px)))
    return np.stack([small[sprite.spritemap][sprite.cell] for sprite in source.sprites])


def _opened(bucket: Bucket, record: SpritemapRecord) -> Image.Image:
    file = record.file
    data = bucket.get(file.key, want_crc=file.crc32c)
    try:
        picture = _OPENERS[file.key.rpartition(".")[2]](io.BytesIO(data))
        if picture.size != (record.columns * record.cell_px, record.rows * record.cell_px):
            raise ValueError(f"it has {picture.width} x {picture.height} px")
        return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise Corrupt(
            f"Spritemap {file.key} is not the picture that its record says ({error}); delete both "
            "and run again."
        ) from error
