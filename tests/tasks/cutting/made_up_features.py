"""Features of classes that overlap, so that no accuracy is 0 or 1."""

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.cutting.dataset import Part


def overlapping(
    images: int = 90, width: int = 40, classes: int = 3, seed: int = 0, spread: float = 0.35
) -> tuple[npt.NDArray[np.float32], Part]:
    """Return features, float32 `[image, feature]`, of as many images of each class."""
    stream = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    centres = stream.normal(0, spread, (classes, width))
    features = centres[labels] + stream.normal(0, 1, (images, width))
    numbers = np.arange(images)
    return features.astype(np.float32), Part(numbers, labels, numbers)
