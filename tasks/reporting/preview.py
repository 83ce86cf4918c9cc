"""Draw the annotated images of a report as one small picture, for pages of other programs."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pydantic import BaseModel

from diamond_cutter.storage import Bucket
from diamond_cutter.tasks.reporting.contents import AnnotatedImage, ReportContents
from diamond_cutter.tasks.reporting.layer_contents import ReportedLayer
from diamond_cutter.tasks.reporting.page_data import ImageList, ListedImage
from diamond_cutter.tasks.reporting.pages import from_script
from diamond_cutter.tasks.sheets import decode, encode

_IMAGE_PX, _SPRITE_PX, _GAP_PX = 240, 96, 12
_ORANGE, _WHITE = (230, 120, 0), (255, 255, 255)
_QUALITY = 75


def preview(bucket: Bucket, folder: str, contents: ReportContents) -> bytes | None:
    """Return a WebP file of the annotated images, or None if there are none.

    Each image has a frame around its strongest cell, and the sprite of the cell's channel in a
    corner.

    Args:
        bucket: of the report.
        folder: of the report.
        contents: of the report.

    Raises:
        Corrupt, NotFound: a file of the report is damaged.
    """
    if not contents.annotated:
        return None
    _, listed = from_script(bucket.get(folder + contents.shown))
    files = {each.number: each.file for each in _images_of(listed)}
    layers = {layer.name: layer for layer in contents.layers}
    tiles = [
        _tile(
            decode(bucket.get(folder + files[image.image])),
            image,
            layers[image.layer],
            _sprite(bucket, folder, image, layers[image.layer]),
        )
        for image in contents.annotated
    ]
    width = len(tiles) * (_IMAGE_PX + _GAP_PX) - _GAP_PX
    whole = Image.new("RGB", (width, _IMAGE_PX), _WHITE)
    for place, tile in enumerate(tiles):
        whole.paste(tile, (place * (_IMAGE_PX + _GAP_PX), 0))
    return encode(np.asarray(whole), "webp", _QUALITY)


def _images_of(listed: BaseModel) -> tuple[ListedImage, ...]:
    return listed.images if isinstance(listed, ImageList) else ()


def _tile(
    picture: npt.NDArray[np.uint8],
    image: AnnotatedImage,
    layer: ReportedLayer,
    sprite: Image.Image | None,
) -> Image.Image:
    tile = Image.fromarray(picture).convert("RGB").resize((_IMAGE_PX, _IMAGE_PX))
    row, column = divmod(image.cell, layer.width)
    high, wide = _IMAGE_PX / layer.height, _IMAGE_PX / layer.width
    box = (column * wide, row * high, (column + 1) * wide - 1, (row + 1) * high - 1)
    draw = ImageDraw.Draw(tile)
    draw.rectangle(box, outline=_WHITE, width=5)
    draw.rectangle(box, outline=_ORANGE, width=3)
    if sprite is not None:
        # In the corner that is farthest from the cell, so that it never covers it.
        far = _IMAGE_PX - _SPRITE_PX
        x, y = (far if 2 * start < _IMAGE_PX - 1 else 0 for start in box[:2])
        draw.rectangle((x - 3, y - 3, x + _SPRITE_PX + 2, y + _SPRITE_PX + 2), fill=_WHITE)
        tile.paste(sprite.resize((_SPRITE_PX, _SPRITE_PX)), (x, y))
    return tile


def _sprite(
    bucket: Bucket, folder: str, image: AnnotatedImage, layer: ReportedLayer
) -> Image.Image | None:
    sheet = layer.sprites
    if sheet is None or image.sprite is None:
        return None
    file, row, column = sheet.place(image.sprite)
    picture = Image.fromarray(decode(bucket.get(folder + file))).convert("RGB")
    side = sheet.cell_px
    return picture.crop((column * side, row * side, (column + 1) * side, (row + 1) * side))
