"""How far a score can be believed: its agreement with heads that were really trained."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel

_RESAMPLES = 1000
_CONFIDENCE = 95


class Agreement(FrozenModel):
    """How a score ranks trained heads, compared with their accuracy on the test."""

    tau: float | None = Field(
        description="weighted Kendall tau; none if the score or the accuracy is the same for all"
    )
    tau_low: float | None = Field(description="lower end of the 95 % bootstrap interval")
    tau_high: float | None = Field(description="upper end of the 95 % bootstrap interval")
    regret_1: float = Field(
        description="accuracy lost by taking the head with the highest score, in points"
    )
    regret_3: float = Field(
        description="accuracy lost by taking the best of the three with the highest scores, in "
        "points"
    )


def agreement(
    scores: Mapping[str, Sequence[float | None]], right: npt.NDArray[np.bool_], seed: int
) -> dict[str, Agreement]:
    """Return the agreement of each score with the accuracy of trained heads.

    The bootstrap draws the test images again, so the interval shows what the test can tell. Equal
    scores count as the worst of their heads, because nothing chooses among them.

    Args:
        scores: by name, the score of each head; scores with a missing value are left out.
        right: whether each head is right about each test image, bool `[head, image]`.
        seed: of the bootstrap.
    """
    accuracies = right.mean(1)
    generator = np.random.default_rng(seed)
    tests = right.shape[1]
    draws = (generator.integers(0, tests, tests) for _ in range(_RESAMPLES))
    resampled = np.stack([right[:, places].mean(1) for places in draws])
    found = {}
    for name, values in scores.items():
        if any(value is None for value in values):
            continue
        score = np.array(values, np.float64)
        taus = [tau for each in resampled if (tau := weighted_tau(score, each)) is not None]
        edge = (100 - _CONFIDENCE) / 2
        low, high = np.percentile(taus, [edge, 100 - edge]) if taus else (None, None)
        found[name] = Agreement(
            tau=weighted_tau(score, accuracies),
            tau_low=None if low is None else float(low),
            tau_high=None if high is None else float(high),
            regret_1=regret(score, accuracies, 1),
            regret_3=regret(score, accuracies, 3),
        )
    return found


def weighted_tau(score: npt.NDArray[np.float64], accuracy: npt.NDArray[np.float64]) -> float | None:
    """Return the weighted Kendall tau (Vigna 2015), or None if one of the two is constant."""
    from scipy import stats  # a second to import

    if np.ptp(score) == 0 or np.ptp(accuracy) == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tau = float(stats.weightedtau(score, accuracy).statistic)
    return tau if np.isfinite(tau) else None


def regret(score: npt.NDArray[np.float64], accuracy: npt.NDArray[np.float64], taken: int) -> float:
    """Return the accuracy lost by taking the best of the `taken` heads of the highest scores.

    Returns:
        in points, 0 or more.
    """
    order = np.lexsort((accuracy, -score))[:taken]
    return float(100 * (accuracy.max() - accuracy[order].max()))
