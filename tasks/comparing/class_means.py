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

    def leading(self, count: int) -> "LeadingChannels":
        """Return the channels that contribute most, in descending order; none that oppose."""
        order = np.argsort(-self.mean, kind="stable")[:count]
        chosen = [int(channel) for channel in order if self.mean[channel] > 0]
        halves = [float(self.half[channel]) for channel in chosen]
        return LeadingChannels(
            self.images,
            tuple(chosen),
            tuple(float(f"{self.mean[channel]:.4g}") for channel in chosen),
            tuple(None if np.isnan(half) else float(f"{half:.4g}") for half in halves),
        )


@dataclass(frozen=True)
class LeadingChannels:
    """The channels that contribute most to a class.

    images: number of images.
    channels: in descending order of their contribution.
    means: their contributions.
    halves: half of each 95 % interval; None with one image.
    """

    images: int
    channels: tuple[int, ...]
    means: tuple[float, ...]
    halves: tuple[float | None, ...]
