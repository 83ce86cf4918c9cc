"""Measures the spectrum of the user's images, for the recipe maco."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from diamond_cutter.flows.errors import print_error
from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.photos.reading import UnreadablePhoto, read_images
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.spectrum import natural_spectrum

_SPECTRUM_PX = 288


def maco_of_photos(folder: str) -> RenderRecipe:
    """Return the recipe maco with the spectrum of the images in a folder, a path or URL.

    Raises:
        BadPhotos: the folder does not exist, or has no readable image.
        StorageError: the cloud denies access or does not answer.
    """

    def readable() -> Iterator[npt.NDArray[np.float32]]:
        shape = (_SPECTRUM_PX, _SPECTRUM_PX, 3)
        for _, pixels in read_images(find_images(folder).images, shape):
            if isinstance(pixels, UnreadablePhoto):
                print_error(f"skipped: {pixels}")
            else:
                yield pixels

    try:
        return RenderRecipe(name="maco", spectrum=natural_spectrum(readable()))
    except ValueError as error:
        raise BadPhotos(
            f"no spectrum can be measured of the images in {folder}: {error}"
        ) from error
