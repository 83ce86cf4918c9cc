"""Numbers of images, made up for tests."""

from collections.abc import Mapping, Sequence

import numpy as np

from diamond_cutter.tasks.attribution.measurements import ImageRows, LayerRows

HOSTILE = "</script>:channels:é\u202e層 🐱"
LAYERS: Mapping[str, tuple[int, int]] = {
    "stem": (6, 9),
    "positions:head": (4, 1),
    HOSTILE: (3, 4),
}  # channels and positions
CLASSES = 7


def rows(numbers: Sequence[int], layers: Mapping[str, tuple[int, int]] = LAYERS) -> ImageRows:
    """Return the rows of images; what an image is like is decided by its number alone."""
    drawn = [_image(number, layers) for number in numbers]
    return ImageRows(
        numbers=np.array(numbers, np.int32),
        names=[f"{number % 3}/{HOSTILE}{number}.jpg" for number in numbers],
        labels=[(None, "cat", HOSTILE)[number % 3] for number in numbers],
        label_classes=np.array([(-1, 2, 5)[number % 3] for number in numbers], np.int32),
        classes=np.array([each["classes"] for each in drawn], np.int32),
        probabilities=np.array([each["probabilities"] for each in drawn], np.float32),
        positive=np.array([each["classes"][0] for each in drawn], np.int32),
        negative=np.full(len(numbers), -1, np.int32),
        layers={
            layer: LayerRows(
                *(np.array([each[layer][part] for each in drawn]) for part in range(4))
            )
            for layer in layers
        },
    )


def _image(number: int, layers: Mapping[str, tuple[int, int]]) -> dict:
    stream = np.random.default_rng(number)
    found = {
        "classes": stream.permutation(CLASSES)[:5],
        "probabilities": -np.sort(-stream.dirichlet(np.ones(5))),
    }
    for layer, (channels, positions) in layers.items():
        found[layer] = (
            stream.normal(0, 1, channels).astype(np.float32),
            stream.normal(0, 1, positions).astype(np.float32),
            # With ties, and channels that are silent.
            np.maximum(stream.integers(-3, 4, channels), 0).astype(np.float32),
            stream.integers(0, positions, channels).astype(np.int32),
        )
    return found
