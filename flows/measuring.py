"""Measures the user's own images for a recipe."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.photos.reading import BadPhotos, UnreadablePhoto, list_photos, read_photo
from tasks.rendering.recipe import RenderRecipe
from tasks.rendering.spectrum import natural_spectrum

_SIDE_PX = 288


def maco_of_photos(folder: str) -> RenderRecipe:
    """Return the recipe maco with the spectrum of the images in a folder.

    Raises:
        BadPhotos: the folder is none, or has no image that can be read.
    """
    files = list_photos(folder)
    try:
        return RenderRecipe(name="maco", spectrum=natural_spectrum(_readable(files)))
    except ValueError as error:
        raise BadPhotos(f"no spectrum can be measured of the images in {folder}: {error}") from error


def _readable(files: list[Path]) -> Iterator[np.ndarray]:
    for file in files:
        try:
            yield read_photo(file, (_SIDE_PX, _SIDE_PX, 3))
        except UnreadablePhoto as error:
            logging.getLogger(__name__).warning("left out: %s", error)
