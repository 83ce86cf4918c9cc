"""The formats that spritemaps can be written in; without NumPy or Pillow, as the command line needs
it at once.
"""

from typing import Literal

ImageFormat = Literal["webp", "png", "jpg"]

# The largest side that the format can hold, in pixels.
MAX_SIDE_PX: dict[ImageFormat, int] = {"webp": 16_383, "png": 2**31 - 1, "jpg": 65_500}
