"""Measures the user's own images for a recipe."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.image_set import BadPhotos, FoundImage
from diamond_cutter.tasks.photos.reading import UnreadablePhoto, read_images
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.spectrum import natural_spectrum

_SIDE_PX = 288


def maco_of_photos(folder: str) -> RenderRecipe:
    """Return the recipe maco with the spectrum of the images in a folder, given as a path, a
    `file://` or a `gs://` URL.

    Raises:
        BadPhotos: the folder is none, or has no image that can be read.
        StorageError: the cloud does not answer, or not to us.
    """
    images = find_images(folder).images
    try:
        return RenderRecipe(name="maco", spectrum=natural_spectrum(_readable(images)))
    except ValueError as error:
        raise BadPhotos(
            f"no spectrum can be measured of the images in {folder}: {error}"
        ) from error


def _readable(images: Sequence[FoundImage]) -> Iterator[np.ndarray]:
    for _, pixels in read_images(images, (_SIDE_PX, _SIDE_PX, 3)):
        if isinstance(pixels, UnreadablePhoto):
            logging.getLogger(__name__).warning("left out: %s", pixels)
        else:
            yield pixels
