"""Groups of neurons: directions in the space of a layer's channels that images excite together.

Non-negative matrix factorisation of the activations over positions, as in "The Building Blocks of
Interpretability" (Olah et al. 2018). A layer that has negative activations is factorised with these
set beside the positive ones, so that a group may lower channels, too.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import NMF, non_negative_factorization
from sklearn.exceptions import ConvergenceWarning

_FITTED_POSITIONS = 8192
_ITERATIONS, _TOLERANCE = 400, 1e-3
_LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class Groups:
    """The groups of a layer.

    parts: of the activations above 0, and behind them of those below 0 if there are such, float32
    `[group, channel or 2 * channel]`. channels: how many the layer has. explained: share of the
    activations' squares that the groups account for.
    """

    parts: np.ndarray
    channels: int
    explained: float

    @property
    def directions(self) -> np.ndarray:
        """Return the directions, of length 1, float32 `[group, channel]`."""
        above, below = self.parts[:, : self.channels], self.parts[:, self.channels :]
        return above - below if below.size else above

    def over_positions(self, activations: np.ndarray) -> np.ndarray:
        """Return how much of each group is at each position, float32 `[position, group]`, of
        activations `[position, channel]`.
        """
        if not len(self.parts):
            return np.zeros((len(activations), 0), np.float32)
        split = _split(activations, self.parts.shape[1] > self.channels)
        options = {
            "n_components": len(self.parts),
            "init": "custom",
            "update_H": False,
            "max_iter": _ITERATIONS,
            "tol": _TOLERANCE,
        }
        with _good_enough():
            found, _, _ = non_negative_factorization(
                split, H=self.parts.astype(split.dtype), **options
            )
        return found.astype(np.float32)


def fit_groups(activations: np.ndarray, count: int, seed: int = 0) -> Groups:
    """Return the groups of a layer, the one that accounts for most first.

    Args:
        activations: of some images, float32 `[position, channel]`.
        count: how many groups; fewer where the layer has fewer channels, or the activations fewer
            patterns, and none of a silent layer.
        seed: which positions are looked at where there are many.
    """
    channels = activations.shape[1]
    if len(activations) > _FITTED_POSITIONS:
        chosen = np.random.default_rng(seed).choice(
            len(activations), _FITTED_POSITIONS, replace=False
        )
        activations = activations[np.sort(chosen)]
    split = _split(activations, bool((activations < 0).any()))
    count = min(count, channels, len(split))
    model = NMF(
        count, init="nndsvda", solver="cd", max_iter=_ITERATIONS, tol=_TOLERANCE, random_state=seed
    )
    with _good_enough():
        amounts = model.fit_transform(split)
    parts = model.components_.astype(np.float32)
    lengths = np.linalg.norm(
        parts[:, :channels] - (parts[:, channels:] if parts.shape[1] > channels else 0), axis=1
    )
    weights = np.square(amounts).mean(axis=0) * np.square(lengths)
    # Where there are fewer patterns than groups, some groups are left with nothing: they have no
    # direction, or are nowhere.
    order = [
        group
        for group in np.argsort(-weights, kind="stable")
        if weights[group] > _LEAST_SHARE * weights.sum()
    ]
    unit = parts[order] / np.maximum(lengths[order], 1e-12)[:, None]
    left = np.square(split - amounts @ parts).sum() / max(np.square(split).sum(), 1e-12)
    return Groups(unit, channels, float(1 - left))


def _split(activations: np.ndarray, signed: bool) -> np.ndarray:
    """Return activations without negative numbers: those above 0, and beside them those below if
    the layer has such.
    """
    above = np.maximum(activations, 0)
    return np.concatenate([above, np.maximum(-activations, 0)], axis=1) if signed else above


@contextmanager
def _good_enough() -> Iterator[None]:
    """Keep still about a factorisation that has not settled in the last digit: `explained` says how
    good it is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
