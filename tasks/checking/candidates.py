"""The preprocessings that a model is tried with."""

from typing import Literal

from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.model_inventory.preprocessing import (
    SCALINGS,
    Scaling,
    image_of,
    options_of,
    scaling_of,
)

_ZERO_TO_ONE = Scaling(((0.0, 1.0),))


def other_preprocessings(image: ImageSpec) -> dict[str, ImageSpec]:
    """Return the plausible preprocessings other than a model's own, by the options of `models add`.

    These are the named ones and values from 0 to 1. Of colours, there are also those of Caffe in
    the order RGB, and the model's own with red and blue exchanged.
    """
    height, width, channels = image.shape
    tried = [SCALINGS["tf"], _ZERO_TO_ONE, SCALINGS["none"]]
    found = [image_of(scaling, height, width, channels) for scaling in tried]
    if image.channel_order != "none":
        named = [SCALINGS["torch"], SCALINGS["caffe"]]
        found += [image_of(scaling, height, width, channels) for scaling in named]
        found.append(image_of(SCALINGS["caffe"], height, width, channels, "rgb"))
        exchanged: Literal["rgb", "bgr"] = "rgb" if image.channel_order == "bgr" else "bgr"
        found.append(image_of(scaling_of(image), height, width, channels, exchanged))
    # Options are rounded, so nearly equal ones count as one.
    own = options_of(image)
    return {options: each for each in found if (options := options_of(each)) != own}
