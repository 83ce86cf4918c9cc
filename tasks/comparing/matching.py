"""Match the channels of two layers by how their activations vary over the images.

Channels are matched one to one, such that the sum of the correlations is highest (Li et al. 2016,
"Convergent Learning", arXiv 1511.07543).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.float32]

NONE = -1
# Far above the rounding of a correlation, and far below any real difference of two.
_SAME_NUMBER = 1e-9


@dataclass(frozen=True)
class Matching:
    """The channels of a layer with their counterparts in another layer.

    partner: the other layer's channel, int64 `[channel]`; NONE without a counterpart.
    correlation: of the two, float64 `[channel]`; NaN without a counterpart.
    dead: number of channels of each layer that are the same for all images. They have no
        correlation, and are not matched.
    """

    partner: npt.NDArray[np.int64]
    correlation: npt.NDArray[np.float64]
    dead: tuple[int, int]

    @property
    def mean(self) -> float | None:
        """Return the mean correlation of the matched channels, None if there are none."""
        matched = self.correlation[self.partner != NONE]
        return float(matched.mean()) if len(matched) else None


def match_channels(one: Features, other: Features) -> Matching:
    """Match the channels of two layers by Pearson correlation, with Hungarian assignment.

    Of equally good matchings, the one that keeps the channels' numbers wins.

    Args:
        one, other: the pooled activations on the same images, float32 `[image, channel]`.
    """
    from scipy.optimize import linear_sum_assignment

    (first, live_one), (second, live_other) = _standardised(one), _standardised(other)
    partner = np.full(one.shape[1], NONE)
    correlation = np.full(one.shape[1], np.nan)
    found = first.T @ second
    rows, columns = np.flatnonzero(live_one), np.flatnonzero(live_other)
    gain = found + _SAME_NUMBER * (rows[:, np.newaxis] == columns[np.newaxis, :])
    chosen, partners = linear_sum_assignment(gain, maximize=True)
    partner[rows[chosen]] = columns[partners]
    correlation[rows[chosen]] = np.clip(found[chosen, partners], -1, 1)
    dead = int((~live_one).sum()), int((~live_other).sum())
    return Matching(partner, correlation, dead)


def chance_correlation(one: Features, other: Features, seed: int = 0) -> float | None:
    """Return the mean correlation of matched channels if the images of one layer are shuffled.

    The best of many correlations is high even without any relation, above all with few images.
    """
    order = np.random.default_rng(seed).permutation(len(other))
    return match_channels(one, other[order]).mean


def _standardised(features: Features) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the live channels with mean 0 and length 1, and which channels are live."""
    live = np.ptp(features, axis=0) > 1e-6 * np.abs(features).max(axis=0, initial=0)
    scaled = features[:, live].astype(np.float64)
    scaled -= scaled.mean(axis=0)
    return scaled / np.linalg.norm(scaled, axis=0), live
