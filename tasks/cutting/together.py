"""Join layers of a model: the features of up to four layers side by side."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.records import FileRef, Record
from diamond_cutter.tasks.cutting.dataset import Part
from diamond_cutter.tasks.cutting.probe import (
    Division,
    Features,
    accuracy_interval,
    interval,
    probe,
)

MOST_LAYERS = 4
# Joining is tried with the best layers only: each probe of several layers takes seconds.
_CANDIDATES = 6


class Join(FrozenModel):
    """Layers whose features are joined."""

    layers: tuple[str, ...] = Field(description="in the order in which they were added")
    accuracy: float
    low: float
    high: float
    gain: float = Field(description="accuracy above that of the best single layer")
    gain_low: float = Field(description="lower end of the 95 % interval of the gain")
    kept: bool = Field(description="whether the gain is larger than its interval is wide")


class JoinRecord(Record):
    """Commits the attempt to join layers of a model."""

    model: str
    division: str = Field(description="hash of the images and of how they were divided")
    best: Join | None = Field(description="none with a single layer")
    tried: int
    seconds: float
    files: tuple[FileRef, ...] = ()


def join_layers(
    accuracies: Mapping[str, Sequence[float]],
    read: Callable[[str], Features],
    part: Part,
    folds: Sequence[Division],
    on_progress: Callable[[int], None],
) -> tuple[Join | None, int]:
    """Add layers to the best one as long as the accuracy of the probe rises.

    Each layer's features are standardised, as in the probe, so no layer counts more by its scale.
    The gain and its interval are those of the differences fold by fold, because both probes see the
    same folds.

    Args:
        accuracies: of each fold, by layer.
        read: returns the features of a layer, float32 `[image, feature]`.
        part: the images' labels.
        folds: of the cross-validation.
        on_progress: is called after each attempt.

    Returns:
        the layers of the highest accuracy, or None with a single layer; and the number of attempts.
    """
    ranked = sorted(accuracies, key=lambda layer: -float(np.mean(accuracies[layer])))
    ranked = ranked[:_CANDIDATES]
    if len(ranked) < 2:
        return None, 0
    single = np.array(accuracies[ranked[0]])
    held = {layer: read(layer) for layer in ranked}
    chosen: tuple[str, ...] = (ranked[0],)
    best, tried = single, 0
    first: tuple[tuple[str, ...], np.ndarray] | None = None
    while len(chosen) < min(MOST_LAYERS, len(ranked)):
        attempts = {}
        for layer in ranked:
            if layer not in chosen:
                joined = np.concatenate([held[name] for name in (*chosen, layer)], axis=1)
                attempts[layer] = probe(joined, part, folds).accuracies
                tried += 1
                on_progress(1)
        added = max(attempts, key=lambda layer: float(attempts[layer].mean()))
        first = first or ((*chosen, added), attempts[added])
        if attempts[added].mean() <= best.mean():
            break
        chosen, best = (*chosen, added), attempts[added]
    layers, found = (chosen, best) if len(chosen) > 1 else first or (chosen, best)
    return _join(layers, found, single, part, folds), tried


def _join(
    layers: tuple[str, ...],
    found: np.ndarray,
    single: np.ndarray,
    part: Part,
    folds: Sequence[Division],
) -> Join:
    """Return joined layers with their accuracy and gain; both arrays are accuracies by fold."""
    per_repeat = len(folds) // (1 + max(fold.repeat for fold in folds))
    low, high = accuracy_interval(found, per_repeat, len(np.unique(part.groups)))
    gain_low, _ = interval(found - single, per_repeat)
    gain = float((found - single).mean())
    return Join(
        layers=layers,
        accuracy=float(found.mean()),
        low=low,
        high=high,
        gain=gain,
        gain_low=gain_low,
        kept=gain_low > 0,
    )
