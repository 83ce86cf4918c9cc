"""Find neuron groups: directions in the space of a layer's channels.

The groups come from non-negative matrix factorisation of the activations over positions, as in "The
Building Blocks of Interpretability" (Olah et al. 2018). For a layer with negative activations, the
negative parts become further non-negative columns, so that a group can also lower channels.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FITTED_POSITIONS = 8192
_ITERATIONS, _TOLERANCE = 400, 1e-3
_LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class Groups:
    """The neuron groups of a layer.

    parts: the components, float32 `[group, channel]`, or `[group, 2 * channel]` with the negative
        parts last.
    channels: the number of channels of the layer.
    explained: the share of the sum of squared activations that the groups explain.
    """

    parts: npt.NDArray[np.float32]
    channels: int
    explained: float

    @property
    def directions(self) -> npt.NDArray[np.float32]:
        """Return the unit vector of each group, float32 `[group, channel]`."""
        above, below = self.parts[:, : self.channels], self.parts[:, self.channels :]
        return above - below if below.size else above

    def over_positions(self, activations: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the amount of each group at each position, float32 `[position, group]`.

        Args:
            activations: float32 `[position, channel]`.
        """
        from sklearn.decomposition import non_negative_factorization

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
        with _no_convergence_warnings():
            found, _, _ = non_negative_factorization(
                split, H=self.parts.astype(split.dtype), **options
            )
        return found.astype(np.float32)


def fit_groups(activations: npt.NDArray[np.float32], count: int, seed: int = 0) -> Groups:
    """Return the groups of a layer, in descending order of their weight.

    Args:
        activations: the activations of some images, float32 `[position, channel]`.
        count: the maximum number of groups. There are fewer if the layer has fewer channels or the
            activations fewer patterns, and no groups if all activations are 0.
        seed: selects the positions if there are too many.
    """
    from sklearn.decomposition import NMF  # a second to import

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
    with _no_convergence_warnings():
        amounts = model.fit_transform(split)
    parts = model.components_.astype(np.float32)
    lengths = np.linalg.norm(
        parts[:, :channels] - (parts[:, channels:] if parts.shape[1] > channels else 0), axis=1
    )
    weights = np.square(amounts).mean(axis=0) * np.square(lengths)
    # With fewer patterns than groups, some groups are empty: they have no direction or no amount.
    ranked = np.argsort(-weights, kind="stable")
    order = [group for group in ranked if weights[group] > _LEAST_SHARE * weights.sum()]
    unit = parts[order] / np.maximum(lengths[order], 1e-12)[:, None]
    left = np.square(split - amounts @ parts).sum() / max(np.square(split).sum(), 1e-12)
    return Groups(unit, channels, float(1 - left))


def _split(activations: npt.NDArray[np.float32], signed: bool) -> npt.NDArray[np.float32]:
    """Return non-negative activations: the positive parts and, if signed, the negative parts."""
    above = np.maximum(activations, 0)
    return np.concatenate([above, np.maximum(-activations, 0)], axis=1) if signed else above


@contextmanager
def _no_convergence_warnings() -> Iterator[None]:
    """Ignore warnings about convergence, because `explained` tells how good the result is."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
