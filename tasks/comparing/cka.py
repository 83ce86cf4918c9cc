"""Measure how similar two layers are by linear CKA, debiased.

Linear CKA (Kornblith et al. 2019, arXiv 1905.00414) compares which images two layers find alike. It
does not change if the features of a layer are rotated, shifted or scaled by one factor. With few
images and many features, the usual estimate is close to 1 for any two layers. This module uses the
unbiased estimate of HSIC (Song et al. 2012), as Nguyen et al. (2021, arXiv 2010.15327) do.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

PARTS = 10
# Kernels are matrices of images by images, and more images hardly change a similarity.
MOST_IMAGES = 1000
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
class Kernel:
    """The linear kernel of a layer: the products of the features of all pairs of images.

    The images are ordered by part. The jackknife leaves out each part in turn.

    values: float32 `[image, image]`, with 0 on the diagonal.
    starts: the place of the first image of each part, int64 `[part]`.
    rows: the sums of the rows over the images that count, first over all, then without each part,
        float64 `[1 + part, image]`; 0 for images that do not count.
    own: HSIC of the layer with itself, float64 `[1 + part]`.
    """

    values: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]
    rows: Numbers
    own: Numbers


def linear_kernel(features: npt.NDArray[np.float32], seed: int = 0) -> Kernel:
    """Return the kernel of a layer; kernels of the same images and seed can be compared.

    Args:
        features: float32 `[image, feature]`, finite, of at least 5 images.
        seed: of the random parts.
    """
    count = len(features)
    order = np.random.default_rng(seed).permutation(count)
    starts = np.array([part[0] for part in np.array_split(np.arange(count), min(PARTS, count))])
    centred = features[order].astype(np.float64)
    centred -= centred.mean(axis=0)
    # Constant features are not exactly 0 after centring.
    constant = np.ptp(features, axis=0) <= 1e-6 * np.abs(features).max(axis=0, initial=0)
    centred[:, constant] = 0
    values = centred @ centred.T
    values /= np.abs(values).max(initial=0) or 1.0
    np.fill_diagonal(values, 0)
    of_parts = np.add.reduceat(values, starts, axis=1).T
    rows = values.sum(axis=1) - np.concatenate([np.zeros((1, count)), of_parts])
    rows *= _counting(starts, count)
    bare = Kernel(values.astype(np.float32), starts, rows, np.zeros(1 + len(starts)))
    return Kernel(bare.values, starts, rows, _hsics(bare, bare))


def similarity(one: Kernel, other: Kernel) -> Similarity:
    """Return the debiased linear CKA of two layers on the same images.

    The interval is a jackknife over the parts: the estimate is repeated without each part.
    """
    values = [_cka(*each) for each in zip(_hsics(one, other), one.own, other.own, strict=True)]
    whole, left = values[0], np.array([value for value in values[1:] if value is not None])
    count = len(one.starts)
    if whole is None or len(left) < count:
        return Similarity(whole, None, None)
    from scipy import stats

    error = np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())
    half = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, count - 1) * error)
    return Similarity(whole, whole - half, min(whole + half, max(1.0, whole)))


def _cka(both: float, one: float, other: float) -> float | None:
    # A layer that is the same for all images, or nothing but noise, has no positive HSIC.
    return float(both / np.sqrt(one * other)) if min(one, other) > 1e-15 else None


def _counting(starts: npt.NDArray[np.int64], count: int) -> Numbers:
    """Return 1 for images that count, first all, then without each part, `[1 + part, image]`."""
    part_of = np.searchsorted(starts, np.arange(count), side="right") - 1
    without = part_of[np.newaxis, :] != np.arange(len(starts))[:, np.newaxis]
    return np.concatenate([np.ones((1, count)), without])


def _hsics(one: Kernel, other: Kernel) -> Numbers:
    """Return the unbiased HSIC for all images, then without each part, float64 `[1 + part]`.

    The estimate is equation 5 of Song et al. (2012), for kernels with 0 on the diagonal.
    """
    total = len(one.values)
    sizes = np.diff(one.starts, append=total)
    count = (total - np.concatenate([[0], sizes])).astype(np.float64)
    products = one.values * other.values
    by_row = np.add.reduceat(products, one.starts, axis=0, dtype=np.float64)
    blocks = np.add.reduceat(by_row, one.starts, axis=1)
    everything = blocks.sum()
    lost = blocks.sum(axis=0) + blocks.sum(axis=1) - np.diag(blocks)
    trace = np.concatenate([[everything], everything - lost])
    sums = one.rows.sum(axis=1) * other.rows.sum(axis=1) / ((count - 1) * (count - 2))
    crossed = 2 * (one.rows * other.rows).sum(axis=1) / (count - 2)
    found: Numbers = (trace + sums - crossed) / (count * (count - 3))
    return found
