"""The probe: a cross-validated logistic regression on the features of a layer."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.cutting.dataset import Part, stratified_folds

# scikit-learn and SciPy take a second to import, and every flow imports this module.
if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# Inverse strengths of the L2 penalty, refined once by half a decade around the best.
_COARSE = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
INNER_FOLDS = 3
_TOLERANCE = 1e-6
_MOST_STEPS = 1000
# So many fits are worth their time: repeats narrow the interval of small sets of images.
_IMAGES_IN_REPEATS = 1000
_MOST_REPEATS = 3
_CONFIDENCE = 0.95

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Division:
    """One fold of one repeat of a cross-validation.

    train, test: places of the images, int64.
    inner: the divisions of `train` on which the strength of the penalty is chosen, as places in
        `train`.
    """

    repeat: int
    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    inner: tuple[npt.NDArray[np.int64], ...]


@dataclass(frozen=True)
class FoldResults:
    """The results of the probe on each fold.

    predictions: the class that each image is taken for while its fold is left out, int64
        `[repeat, image]`.
    accuracies: float64 `[fold]`, repeat after repeat.
    penalties: the chosen inverse strength of the penalty, `[fold]`.
    tested: number of images in each fold's test, `[fold]`.
    """

    predictions: npt.NDArray[np.int64]
    accuracies: npt.NDArray[np.float64]
    penalties: npt.NDArray[np.float64]
    tested: npt.NDArray[np.int64]


def repeats_for(images: int) -> int:
    """Return how often the cross-validation is repeated with other folds."""
    return max(1, min(_MOST_REPEATS, _IMAGES_IN_REPEATS // images))


def divisions(part: Part, folds: int, seed: int) -> list[Division]:
    """Return the folds of all repeats of the cross-validation, the same for every layer."""
    found = []
    for repeat in range(repeats_for(len(part))):
        for test in stratified_folds(part.labels, part.groups, folds, seed + repeat):
            train = np.setdiff1d(np.arange(len(part)), test)
            least = np.bincount(part.labels[train])
            inner = min(INNER_FOLDS, int(least[least > 0].min()))
            found.append(
                Division(
                    repeat,
                    train,
                    test,
                    tuple(
                        stratified_folds(
                            part.labels[train], part.groups[train], inner, seed + repeat
                        )
                    )
                    if inner > 1
                    else (),
                )
            )
    return found


def probe(features: Features, part: Part, folds: Sequence[Division]) -> FoldResults:
    """Return how well a logistic regression tells the classes apart, fold by fold.

    In each fold, the features are standardised by the training images, and the penalty is chosen by
    an inner cross-validation of the training images, so the test images decide nothing.

    Args:
        features: float32 `[image, feature]`.
        part: the images' labels.
        folds: from `divisions`.
    """
    repeats = 1 + max(fold.repeat for fold in folds)
    predictions = np.full((repeats, len(part)), -1, np.int64)
    accuracies, penalties = [], []
    for fold in folds:
        penalty = choose_penalty(features[fold.train], part.labels[fold.train], fold.inner)
        predicted = fit_predict(
            features[fold.train], part.labels[fold.train], features[fold.test], (penalty,)
        )[0]
        predictions[fold.repeat, fold.test] = predicted
        accuracies.append(float(np.mean(predicted == part.labels[fold.test])))
        penalties.append(penalty)
    return FoldResults(
        predictions,
        np.array(accuracies),
        np.array(penalties),
        np.array([len(fold.test) for fold in folds]),
    )


def choose_penalty(
    features: Features,
    labels: npt.NDArray[np.int64],
    inner: Sequence[npt.NDArray[np.int64]],
) -> float:
    """Return the inverse strength of the penalty with the highest accuracy on inner folds.

    A coarse grid is refined by half a decade around its best. Of equals, the stronger penalty wins.
    """
    if not inner:
        return 1e-2
    parts = []
    for test in inner:
        train = np.setdiff1d(np.arange(len(labels)), test)
        parts.append((*_rotated(features[train], features[test]), labels[train], labels[test]))

    def right(strength: float) -> int:
        return sum(
            int((fit(scaled, known, strength).predict(others) == truth).sum())
            for scaled, others, known, truth in parts
        )

    found = {strength: right(strength) for strength in _COARSE}
    best = max(found, key=lambda strength: (found[strength], -strength))
    found |= {strength: right(strength) for strength in (best / 10**0.5, best * 10**0.5)}
    return max(found, key=lambda strength: (found[strength], -strength))


def fit_predict(
    train: Features,
    labels: npt.NDArray[np.int64],
    test: Features,
    strengths: Sequence[float],
) -> list[npt.NDArray[np.int64]]:
    """Return the predicted classes of test images for each strength of the penalty.

    Args:
        train, test: float32 `[image, feature]`.
        labels: of the training images, int64 `[image]`.
        strengths: inverse strengths of the penalty, C of scikit-learn.
    """
    scaled, others = _rotated(train, test)
    return [fit(scaled, labels, strength).predict(others) for strength in strengths]


def _rotated(
    train: Features, test: Features
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return standardised features, with at most as many of them as training images.

    With more features than images, the features are rotated into the span of the training images.
    The L2 penalty does not change under rotations, so the predictions do not either, and a fit has
    as many unknowns as images instead of as features.
    """
    scaled, others = standardised(train, test)
    if scaled.shape[1] > scaled.shape[0]:
        _, values, axes = np.linalg.svd(scaled, full_matrices=False)
        axes = axes[values > values[0] * 1e-10] if values[0] > 0 else axes[:1]
        scaled, others = scaled @ axes.T, others @ axes.T
    return scaled, others


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute linear algebra in one thread.

    The processes that score layers share the cores, and threads that wait for each other cost many
    times as much. The digits are also the same on machines with any number of cores.
    """
    # The limit holds for the libraries that are loaded. These load what `fit` needs.
    import sklearn.linear_model  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def fit(
    features: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], strength: float
) -> "LogisticRegression":
    """Return the fitted logistic regression of standardised features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, tol=_TOLERANCE, max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
        # With a weak penalty, the last digits of the weights do not matter to the predictions.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, labels)


def standardised(train: Features, *others: Features) -> tuple[npt.NDArray[np.float64], ...]:
    """Return features with mean 0 and deviation 1 over the training images.

    Features that are the same for all training images become 0 everywhere.
    """
    mean, scale = location_and_scale(train)
    return tuple((each.astype(np.float64) - mean) / scale for each in (train, *others))


def location_and_scale(
    features: Features,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean and the deviation of each feature; infinity where it does not vary."""
    # In float64: the mean of equal float32 numbers would differ from them, as if they varied.
    mean, deviation = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    return mean, np.where(deviation > 1e-6 * np.maximum(np.abs(mean), 1e-12), deviation, np.inf)


def accuracy_interval(
    accuracies: npt.NDArray[np.float64], folds: int, images: int
) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy: of its folds, and at least that of its images.

    Folds can agree by chance, most of all if few images are all right. So the interval is no
    narrower than Wilson's for as many independent images.

    Args:
        accuracies: `[fold]`, of all repeats.
        folds: folds of one repeat.
        images: number of different images.
    """
    low, high = interval(accuracies, folds)
    least, most = wilson_interval(float(accuracies.mean()), images)
    return max(0.0, min(low, least)), min(1.0, max(high, most))


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of independent images (Wilson, 1927)."""
    from scipy import stats

    z = float(stats.norm.ppf(0.5 + _CONFIDENCE / 2))
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def interval(values: npt.NDArray[np.float64], folds: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values of folds of repeated cross-validations.

    The folds share training images, so their variance alone would be too small. It is corrected as
    by Nadeau and Bengio, "Inference for the generalization error", 2003.

    Args:
        values: `[fold]`, of all repeats.
        folds: folds of one repeat.
    """
    from scipy import stats

    mean = float(values.mean())
    if len(values) < 2:
        return mean, mean
    factor = 1 / len(values) + 1 / (folds - 1)
    half = float(
        stats.t.ppf(0.5 + _CONFIDENCE / 2, len(values) - 1) * np.sqrt(factor * values.var(ddof=1))
    )
    return mean - half, mean + half
