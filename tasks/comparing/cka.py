"""Measure how similar two layers are by linear CKA, debiased.

Linear CKA (Kornblith et al. 2019, arXiv 1905.00414) compares which images two layers find alike. It
does not change if the features of a layer are rotated, shifted or scaled by one factor. With few
images and many features, the usual estimate is close to 1 for any two layers. This module uses the
unbiased estimate of HSIC (Song et al. 2012), as Nguyen et al. (2021, arXiv 2010.15327) do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

PARTS = 10
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Similarity:
    """The CKA of two layers with its 95 % interval.

    All are None if a layer has the same features for all images. The estimate may lie slightly
    outside of 0 to 1. The interval is None if too few images are left without a part of them.
    """

    cka: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CentredLayer:
    """The features of a layer on some images.

    features: centred and scaled to unit norm, float64 `[image, feature]`.
    squares: the squared length of each row, float64 `[image]`.
    own: HSIC of the layer with itself; for all images, then without each part,
        float64 `[1 + part]`.
    """

    features: Numbers
    squares: Numbers
    own: Numbers


def divide(images: int, seed: int = 0) -> list[npt.NDArray[np.int64]]:
    """Return random parts of about equal size, as places of images, for the intervals."""
    order = np.random.default_rng(seed).permutation(images)
    return [np.sort(part) for part in np.array_split(order, min(PARTS, images))]


def centred_layer(
    features: npt.NDArray[np.float32], parts: Sequence[npt.NDArray[np.int64]]
) -> CentredLayer:
    """Return a layer whose similarity to others can be computed.

    Args:
        features: float32 `[image, feature]`, finite, of at least 5 images.
        parts: from `divide`.
    """
    centred = features.astype(np.float64)
    centred -= centred.mean(axis=0)
    # Constant features are not exactly 0 after centring.
    constant = np.ptp(features, axis=0) <= 1e-6 * np.abs(features).max(axis=0, initial=0)
    centred[:, constant] = 0
    norm = float(np.linalg.norm(centred))
    centred /= norm or 1.0
    bare = CentredLayer(centred, (centred**2).sum(axis=1), np.zeros(1 + len(parts)))
    return CentredLayer(centred, bare.squares, _hsics(bare, bare, parts))


def similarity(
    one: CentredLayer, other: CentredLayer, parts: Sequence[npt.NDArray[np.int64]]
) -> Similarity:
    """Return the debiased linear CKA of two layers on the same images.

    The interval is a jackknife over the parts: the estimate is repeated without each part.
    """
    values = [
        _cka(*each) for each in zip(_hsics(one, other, parts), one.own, other.own, strict=True)
    ]
    whole, left = values[0], np.array([value for value in values[1:] if value is not None])
    if whole is None or len(left) < len(parts):
        return Similarity(whole, None, None)
    from scipy import stats

    count = len(parts)
    error = np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())
    half = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, count - 1) * error)
    return Similarity(whole, whole - half, min(whole + half, max(1.0, whole)))


def _cka(both: float, one: float, other: float) -> float | None:
    # A layer that is the same for all images, or nothing but noise, has no positive HSIC.
    return float(both / np.sqrt(one * other)) if min(one, other) > 1e-15 else None


def _hsics(
    one: CentredLayer, other: CentredLayer, parts: Sequence[npt.NDArray[np.int64]]
) -> Numbers:
    """Return the unbiased HSIC for all images, then without each part, float64 `[1 + part]`."""
    cross = one.features.T @ other.features
    everything = np.ones(len(one.features), bool)
    found = [_hsic(one, other, cross, everything)]
    for part in parts:
        kept = everything.copy()
        kept[part] = False
        rest = cross - one.features[part].T @ other.features[part]
        found.append(_hsic(one, other, rest, kept))
    return np.array(found)


def _hsic(
    one: CentredLayer, other: CentredLayer, cross: Numbers, kept: npt.NDArray[np.bool_]
) -> float:
    """Return the unbiased HSIC of linear kernels (Song et al. 2012, equation 5).

    The kernels are never formed. Their diagonals are set to 0, so for kernels K and L, tr(KL) is
    the squared norm of the products of features, minus the diagonals.

    Args:
        one, other: the layers.
        cross: the products of their features, summed over the kept images,
            float64 `[feature, feature]`.
        kept: bool `[image]`.
    """
    count = int(kept.sum())
    trace = float((cross**2).sum() - one.squares[kept] @ other.squares[kept])
    rows = [
        layer.features[kept] @ layer.features[kept].sum(axis=0) - layer.squares[kept]
        for layer in (one, other)
    ]
    sums = float(rows[0].sum() * rows[1].sum()) / ((count - 1) * (count - 2))
    return (trace + sums - 2 * float(rows[0] @ rows[1]) / (count - 2)) / (count * (count - 3))
