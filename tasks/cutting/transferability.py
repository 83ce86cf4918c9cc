"""Scores of a layer that need no training: LogME, the H-score, nearest neighbours, and measures."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.cutting.dataset import Part
from diamond_cutter.tasks.cutting.probe import Division, Features

NEIGHBOURS = (1, 10, 20)

_TEMPERATURE = 0.07
_ROUNDS = 100
_CONVERGED = 1e-8

Labels = npt.NDArray[np.int64]


def log_me(features: Features, labels: Labels) -> float:
    """Return LogME: the log evidence of linear models of the classes, per image.

    You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning",
    arXiv 2102.11005. For each class, the targets are 1 for its images and 0 for the others; the
    precision of the weights (alpha) and of the noise (beta) are iterated to their fixed point.

    Args:
        features: float32 `[image, feature]`.
        labels: int64 `[image]`.
    """
    values = features.astype(np.float64)
    left, singular, _ = np.linalg.svd(values, full_matrices=False)
    evidences = []
    for number in np.unique(labels):
        target = (labels == number).astype(np.float64)
        evidences.append(_evidence(left.T @ target, float(target @ target), singular, values.shape))
    return float(np.mean(evidences))


def _evidence(
    projected: npt.NDArray[np.float64],
    squares: float,
    singular: npt.NDArray[np.float64],
    shape: tuple[int, ...],
) -> float:
    """Return the log evidence of one class, divided by the number of images.

    Args:
        projected: the target on each left singular vector.
        squares: the sum of the squares of the target.
        singular: the singular values of the features.
        shape: images and features.
    """
    images, width = shape
    sigma = singular**2
    outside = max(squares - float((projected**2).sum()), 0.0)
    alpha, beta = 1.0, 1.0
    for _ in range(_ROUNDS):
        gamma = float((beta * sigma / (alpha + beta * sigma)).sum())
        weights = float((beta**2 * sigma * projected**2 / (alpha + beta * sigma) ** 2).sum())
        error = float(((alpha / (alpha + beta * sigma)) ** 2 * projected**2).sum()) + outside
        before = alpha, beta
        alpha = max(gamma / max(weights, 1e-12), 1e-12)
        beta = (images - gamma) / max(error, 1e-12)
        if max(abs(alpha / before[0] - 1), abs(beta / before[1] - 1)) < _CONVERGED:
            break
    weights = float((beta**2 * sigma * projected**2 / (alpha + beta * sigma) ** 2).sum())
    error = float(((alpha / (alpha + beta * sigma)) ** 2 * projected**2).sum()) + outside
    log_determinant = float(np.log(alpha + beta * sigma).sum()) + (width - len(sigma)) * np.log(
        alpha
    )
    evidence = (
        images / 2 * np.log(beta)
        + width / 2 * np.log(alpha)
        - images / 2 * np.log(2 * np.pi)
        - beta / 2 * error
        - alpha / 2 * weights
        - log_determinant / 2
    )
    return float(evidence / images)


def h_score(features: Features, labels: Labels) -> float:
    """Return the shrunken H-score: the spread of the class means, relative to that of the features.

    Ibrahim et al. 2021, "Newer is not always better", arXiv 2110.06893: (1 - a) tr(S_a^-1 S_z),
    with the covariance S_a of the features by Ledoit and Wolf, its shrinkage a, and the covariance
    S_z of the class means, each image standing for the mean of its class.

    Args:
        features: float32 `[image, feature]`.
        labels: int64 `[image]`.
    """
    from sklearn.covariance import LedoitWolf

    values = features.astype(np.float64)
    centred = values - values.mean(0)
    means = np.empty_like(centred)
    for number in np.unique(labels):
        means[labels == number] = centred[labels == number].mean(0)
    estimate = LedoitWolf(assume_centered=True).fit(centred)
    between = means.T @ means / len(means)
    # A layer that is the same for all images has no spread, and tells nothing apart.
    if not np.any(np.diag(estimate.covariance_)):
        return 0.0
    # Without shrinkage, features that repeat each other leave directions without any spread.
    solved = np.linalg.lstsq(estimate.covariance_, between, rcond=1e-12)[0]
    return float((1 - estimate.shrinkage_) * np.trace(solved))


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


def effective_rank(features: Features) -> float:
    """Return the effective rank of the centred features: the exponential of the entropy of their
    singular values, as shares of their sum (Roy and Vetterli 2007).
    """
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    singular = np.linalg.svd(centred, compute_uv=False)
    total = singular.sum()
    if total <= 0:
        return 0.0
    shares = singular[singular > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def dead_share(features: Features) -> float:
    """Return the share of features that are the same for all images."""
    return float(np.mean(features.max(0) == features.min(0)))


def total_activation(features: Features, channels: int, positions: int) -> float:
    """Return the mean over the images of the sum of all activations of the layer.

    Args:
        features: float32 `[image, feature]`, the averages of the channels first.
        channels: of the layer.
        positions: rows times columns of the layer.
    """
    return float(features[:, :channels].sum(1, dtype=np.float64).mean() * positions)
