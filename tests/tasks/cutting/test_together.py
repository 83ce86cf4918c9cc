"""Layers are joined only if it helps."""

import numpy as np
import pytest

from diamond_cutter.tasks.cutting.probe import divisions, probe
from diamond_cutter.tasks.cutting.together import join_layers
from tests.tasks.cutting.made_up_features import overlapping

pytestmark = pytest.mark.slow

_, PART = overlapping(images=120, classes=4)
FOLDS = divisions(PART, 4, 0)


def tells_apart(bit: int, seed: int) -> np.ndarray:
    """Return features that tell classes apart by one bit of their number, and no other."""
    stream = np.random.default_rng(seed)
    signal = (PART.labels >> bit & 1)[:, None] * 3.0
    return (stream.normal(size=(120, 8)) + signal).astype(np.float32)


def join(features: dict[str, np.ndarray]):
    accuracies = {
        layer: probe(values, PART, FOLDS).accuracies.tolist() for layer, values in features.items()
    }
    tried = []
    return join_layers(accuracies, features.__getitem__, PART, FOLDS, tried.append), len(tried)


def test_layers_that_complete_each_other_are_joined() -> None:
    features = {"low": tells_apart(0, 1), "high": tells_apart(1, 2)}
    (best, tried), counted = join(features)
    assert best is not None and best.kept
    assert set(best.layers) == {"low", "high"}
    assert best.accuracy > 0.9 and best.gain > 0.3 and best.gain_low > 0
    joined = np.concatenate([features[layer] for layer in best.layers], axis=1)
    assert best.accuracy == pytest.approx(probe(joined, PART, FOLDS).accuracies.mean())
    assert tried == counted == 1


def test_layers_that_say_the_same_are_not() -> None:
    same = tells_apart(0, 1)
    noise = np.random.default_rng(3).normal(size=(120, 8)).astype(np.float32)
    (best, _), _ = join({"one": same, "noise": noise})
    assert best is not None and not best.kept


def test_a_single_layer_is_joined_with_nothing() -> None:
    (best, tried), _ = join({"only": tells_apart(0, 1)})
    assert best is None and tried == 0
