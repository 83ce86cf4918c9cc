"""The accuracy of the nearest neighbours in the space of a layer's features."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.cutting.dataset import Part
from diamond_cutter.tasks.cutting.probe import Division, Features

NEIGHBOURS = (1, 10, 20)
_TEMPERATURE = 0.07


def neighbour_accuracies(
    features: Features, part: Part, folds: Sequence[Division]
) -> dict[int, float]:
    """Return the accuracy of 1, 10 and 20 nearest neighbours over the folds.

    Neighbours are those with the highest cosine similarity. Each votes for its class with the
    weight exp(similarity / 0.07), as in DINOv2 (Oquab et al. 2023, arXiv 2304.07193).

    Args:
        features: float32 `[image, feature]`.
        part: the images' labels.
        folds: the neighbours of the test images are training images.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    right = dict.fromkeys(NEIGHBOURS, 0)
    for fold in folds:
        similar = unit[fold.test] @ unit[fold.train].T
        for count in NEIGHBOURS:
            votes = _votes(similar, part.labels[fold.train], count)
            right[count] += int((votes.argmax(1) == part.labels[fold.test]).sum())
    tested = sum(len(fold.test) for fold in folds)
    return {count: found / tested for count, found in right.items()}


def _votes(
    similar: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.float64]:
    """Return the votes for each class, float64 `[test image, class]`."""
    nearest = np.argsort(-similar, axis=1, kind="stable")[:, :count]
    weights = np.exp(np.take_along_axis(similar, nearest, 1).astype(np.float64) / _TEMPERATURE)
    votes = np.zeros((len(similar), int(labels.max()) + 1))
    for place in range(nearest.shape[1]):
        votes[np.arange(len(similar)), labels[nearest[:, place]]] += weights[:, place]
    return votes
