"""Make the pictures of a report: sheets of sprites, and sheets of image patches."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.storage import Bucket, Corrupt, NotFound
from diamond_cutter.storage.sets.sprite_set import SpritePlace, read_layer
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import UnreadablePhoto, read_picture
from diamond_cutter.tasks.rendering.scores import on_white
from diamond_cutter.tasks.sheets import compose, cut, decode, encode

SPRITE_PX, PATCH_PX, IMAGE_PX = 128, 80, 320
# Cells in one file of about 150 kB. They are square numbers, so that all rows are full. A browser
# loads the file for one cell, and blocks the page while it decodes the file, for about 20 ms per
# million pixels.
SPRITES_OF_A_FILE, PATCHES_OF_A_FILE = 36, 100
_KEPT_PICTURES = 256
# A report has thousands of patches, each shown at the size of a fingertip.
_PATCH_QUALITY = 70
_GREY = 128


def sprite_places(bucket: Bucket, model: str, recipe: str, name: str) -> dict[int, SpritePlace]:
    """Return the places of the sprites of a layer or of mixes, by channel or number.

    Only the first variant counts.
    """
    places: dict[int, SpritePlace] = {}
    for (channel, _), place in read_layer(bucket, model, recipe, name).places().items():
        places.setdefault(channel, place)
    return places


def sheet_columns(cells: int, of_a_file: int) -> int:
    """Return the columns of a sheet that may have several files, each with so many cells."""
    return max(1, math.ceil(math.sqrt(min(cells, of_a_file))))


def sprite_sheet(bucket: Bucket, places: Sequence[SpritePlace], columns: int) -> tuple[bytes, int]:
    """Return a sheet of sprites as a WebP file, and its cell size in pixels.

    Sprites with opacity are drawn on white. Sprites of an unreadable shard are grey.
    """
    side = min(SPRITE_PX, places[0].shard.cell_px)
    by_shard: dict[str, list[int]] = {}
    for position, place in enumerate(places):
        by_shard.setdefault(place.record_key, []).append(position)

    def cells() -> Iterable[tuple[int, npt.NDArray[np.uint8]]]:
        for positions in by_shard.values():
            shard = places[positions[0]].shard
            try:
                sheet = decode(bucket.get(shard.file.key, want_crc=shard.file.crc32c))
            except (Corrupt, NotFound):
                yield from (
                    (position, np.full((side, side, 3), _GREY, np.uint8)) for position in positions
                )
                continue
            pictures = list(cut(sheet, len(shard.sprites), shard.columns, shard.cell_px))
            yield from (
                (position, _resized(on_white(pictures[places[position].cell]), side))
                for position in positions
            )

    return encode(compose(cells(), len(places), columns, side), "webp"), side


class PatchCutter:
    """Crops images to the receptive field of a position, and caches decoded images."""

    def __init__(self, card: ModelCard, images: Mapping[int, FoundImage]) -> None:
        self._card, self._images = card, images
        self._decoded: dict[int, npt.NDArray[np.uint8] | None] = {}

    def sheet(
        self, layer: LayerCard, wanted: Sequence[tuple[int, int]], columns: int | None = None
    ) -> tuple[bytes, int]:
        """Return a sheet of patches as a WebP file, and its columns.

        Args:
            layer: the layer of the positions.
            wanted: image number and position of each patch.
            columns: of the sheet; if omitted, as many as rows.
        """
        columns = columns or max(1, math.ceil(math.sqrt(len(wanted))))
        sheet = compose(self._cells(layer, wanted), len(wanted), columns, PATCH_PX)
        return _patch_file(sheet), columns

    def sheets(self, layer: LayerCard, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return a sheet of patches as WebP files of `PATCHES_OF_A_FILE` cells."""
        columns = sheet_columns(len(wanted), PATCHES_OF_A_FILE)
        # Whole rows of the files, so that each image is decoded once for all files.
        together = compose(self._cells(layer, wanted), len(wanted), columns, PATCH_PX)
        rows_px = PATCHES_OF_A_FILE // columns * PATCH_PX
        return [
            _patch_file(together[top : top + rows_px]) for top in range(0, len(together), rows_px)
        ]

    def _cells(
        self, layer: LayerCard, wanted: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        in_order = sorted(range(len(wanted)), key=lambda place: wanted[place][0])
        return ((place, self._patch(layer, *wanted[place])) for place in in_order)

    def _patch(self, layer: LayerCard, number: int, position: int) -> npt.NDArray[np.uint8]:
        picture = self._picture(number)
        if picture is None:
            return np.full((PATCH_PX, PATCH_PX, 3), _GREY, np.uint8)
        top, bottom = _field(
            layer.receptive_field, position // (layer.width or 1), layer.height, picture.shape[0]
        )
        left, right = _field(
            layer.receptive_field, position % (layer.width or 1), layer.width, picture.shape[1]
        )
        return _resized(picture[top:bottom, left:right], PATCH_PX)

    def _picture(self, number: int) -> npt.NDArray[np.uint8] | None:
        if number not in self._decoded:
            if len(self._decoded) >= _KEPT_PICTURES:
                del self._decoded[next(iter(self._decoded))]
            shape = self._card.image.shape
            try:
                self._decoded[number] = read_picture(self._images[number], shape, max(shape[:2]))
            except UnreadablePhoto:  # it was readable when it was measured
                self._decoded[number] = None
        return self._decoded[number]


def _patch_file(sheet: npt.NDArray[np.uint8]) -> bytes:
    return encode(sheet, "webp", _PATCH_QUALITY)


def _field(field_px: int | None, place: int, places: int | None, side_px: int) -> tuple[int, int]:
    """Return the start and end of a position's receptive field, moved into the image."""
    if field_px is None or places is None or field_px >= side_px:
        return 0, side_px
    first = round((place + 0.5) / places * side_px - field_px / 2)
    first = min(max(first, 0), side_px - field_px)
    return first, first + field_px


def _resized(picture: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.uint8]:
    if picture.shape[:2] == (side_px, side_px):
        return picture
    return np.asarray(Image.fromarray(picture).resize((side_px, side_px), Image.Resampling.BICUBIC))
