"""A part of a stored picture, for pages without scripts."""

from typing import NamedTuple


class Crop(NamedTuple):
    """A cell of a picture: the key of the picture, and the place and side of the cell in pixels.

    width: of the whole picture, or 0 if it is shown in its own size.
    """

    key: str
    width: int
    left: int
    top: int
    side: int
