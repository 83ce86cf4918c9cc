"""Make small pictures of a layer's sprites, and find the sprites that look alike."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from diamond_cutter.storage import Bucket, Corrupt
from diamond_cutter.storage.sets.records import Flag, SpritemapRecord
from diamond_cutter.tasks.gallery.sources import LayerSource
from diamond_cutter.tasks.sheets import cut

THUMBNAIL_PX = 64
NEIGHBOURS = 8
PREVIEWED = 16
# Neighbours compare pictures of this size, because finer detail differs between any two sprites.
_COMPARED_PX = 16
# A layer of 2048 large sprites exceeds Pillow's own limit, so this module calls Pillow's classes
# without that limit.
_MAX_PIXELS = 2**28
_OPENERS: Mapping[str, Callable[[BinaryIO], ImageFile]] = {
    "webp": WebPImagePlugin.WebPImageFile,
    "png": PngImagePlugin.PngImageFile,
    "jpg": JpegImagePlugin.JpegImageFile,
}
_GREY = 128


def thumbnails(
    bucket: Bucket, source: LayerSource, side_px: int = THUMBNAIL_PX
) -> npt.NDArray[np.uint8] | None:
    """Return the layer's sprites made small, uint8 `[sprite, side_px, side_px, 3]`.

    Returns:
        None if a spritemap is too large to open.

    Raises:
        Corrupt, NotFound: a spritemap is missing or differs from its record.
    """
    small = []
    for record in source.spritemaps:
        if record.columns * record.rows * record.cell_px**2 > _MAX_PIXELS:
            return None
        # Each cell becomes a whole number of pixels, so the box filter never mixes two cells.
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
            f"Spritemap {file.key} differs from its record ({error}). Delete both and run the same "
            "command again."
        ) from error


def preview(source: LayerSource, pictures: npt.NDArray[np.uint8] | None) -> bytes:
    """Return a strip of up to 16 thumbnails as a WebP file: the highest objectives come first.

    Sprites with a flag are left out, unless all sprites have one.
    """
    scores = [sprite.scores for sprite in source.sprites]
    chosen = best_first([one.objective for one in scores], [one.flags for one in scores])
    chosen = chosen[:PREVIEWED]
    strip = np.full((THUMBNAIL_PX, len(chosen) * THUMBNAIL_PX, 3), _GREY, np.uint8)
    if pictures is not None:
        strip = np.concatenate([pictures[number] for number in chosen], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, "WEBP", quality=80, method=4)
    return buffer.getvalue()


def best_first(objectives: Sequence[float | None], flags: Sequence[Sequence[Flag]]) -> list[int]:
    """Return the places of sprites by descending objective, those without a score last.

    Sprites with a flag are left out, unless all sprites have one.
    """

    def rank(place: int) -> tuple[float, int]:
        objective = objectives[place]
        return (math.inf if objective is None else -objective), place

    unflagged = [place for place, raised in enumerate(flags) if not raised]
    return sorted(unflagged or range(len(flags)), key=rank)


def neighbours(
    pictures: npt.NDArray[np.uint8] | None,
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[float, ...], ...]]:
    """Return, for each thumbnail, the most similar other ones, and their similarities."""
    if pictures is None:
        return (), ()
    step = THUMBNAIL_PX // _COMPARED_PX
    count, side = len(pictures), _COMPARED_PX
    small = pictures.reshape(count, side, step, side, step, 3).mean(axis=(2, 4), dtype=np.float32)
    alike, likeness = nearest(small)
    return tuple(map(tuple, alike.tolist())), tuple(
        tuple(round(value, 3) for value in row) for row in likeness.tolist()
    )


def nearest(
    pictures: npt.NDArray[np.uint8] | npt.NDArray[np.float32], count: int = NEIGHBOURS
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return, for each picture, the most similar other pictures, and their similarities.

    Similarity is the cosine of the pictures' spectra and mean colours. Spectra are magnitudes, so
    the offset of a texture does not matter. The layer's mean is subtracted, so features that all
    pictures of the layer share do not count.

    Args:
        pictures: `[n, side, side, 3]` in [0, 255].
        count: the number of neighbours, or fewer if there are not enough pictures.

    Returns:
        Indices, int64 `[n, count]`, in descending order of similarity, and similarities, float32
        `[n, count]` in [-1, 1].
    """
    features = _features(pictures)
    likeness = features @ features.T
    np.fill_diagonal(likeness, -np.inf)
    count = min(count, len(pictures) - 1)
    order = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
    return order, np.clip(np.take_along_axis(likeness, order, axis=1), -1, 1)


def _features(
    pictures: npt.NDArray[np.uint8] | npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Return a unit vector for each picture, float32 `[n, features]`; 0 for the mean picture."""
    values = pictures.astype(np.float32) / 255
    colour = values.mean(axis=(1, 2))
    spectrum = np.abs(np.fft.rfft2(values - colour[:, None, None], axes=(1, 2))).astype(np.float32)
    # Square roots, so that a few strong frequencies do not dominate.
    parts = [np.sqrt(spectrum).reshape(len(values), -1), colour]
    # Unit vectors, so that both parts have the same weight, whatever their sizes.
    return _unit(np.concatenate([_unit(part - part.mean(axis=0)) for part in parts], axis=1))


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6)
