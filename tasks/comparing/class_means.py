"""Hold what the channels of a layer add to a class.

This module does not import TensorFlow, so that the flow's process stays small.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# The mean over more images of a class hardly changes which channels lead.
IMAGES_OF_CLASS = 48


@dataclass(frozen=True)
class ClassContributions:
    """The contributions of a layer's channels to the logit of a class.

    mean: over the images of the class, float64 `[channel]`.
    half: half of the 95 % interval of the mean, float64 `[channel]`; NaN with one image.
    images: number of images.
    """

    mean: npt.NDArray[np.float64]
    half: npt.NDArray[np.float64]
    images: int
