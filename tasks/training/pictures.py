"""Images in training, decoded once and kept while they fit."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import Pixels, as_model_pixels, decode

_KEPT_BYTES = 1 << 30
# As for features: see tasks/features/pictures.py.
_DECODED_PX = 512


class Pictures:
    """Some images in the size of a model; small sets are decoded once and kept."""

    def __init__(self, images: Sequence[FoundImage], shape: tuple[int, int, int]) -> None:
        self._images, self._shape = images, shape
        self._kept: dict[int, Pixels] = {}
        self._most = _KEPT_BYTES // int(np.prod(shape))

    def __len__(self) -> int:
        return len(self._images)

    def read(self, places: npt.NDArray[np.int64]) -> Pixels:
        """Return images by their places, `[batch, height, width, channel]` in [0, 255].

        Raises:
            UnreadablePhoto: an image was readable before.
        """
        return np.stack([self._read(int(place)) for place in places])

    def _read(self, place: int) -> Pixels:
        kept = self._kept.get(place)
        if kept is None:
            picture = decode(
                self._images[place], max(_DECODED_PX, *self._shape[:2]), self._shape[2]
            )
            kept = as_model_pixels(picture, self._shape)
            if len(self._kept) < self._most:
                self._kept[place] = kept
        return kept
