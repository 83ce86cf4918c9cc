"""Nearest neighbours vote by cosine similarity, counted by hand."""

import numpy as np
import pytest

from diamond_cutter.tasks.cutting.dataset import Part
from diamond_cutter.tasks.cutting.neighbours import neighbour_accuracies
from diamond_cutter.tasks.cutting.probe import divisions
from tests.tasks.cutting.made_up_features import overlapping


def test_accuracies_are_those_of_votes_counted_one_by_one() -> None:
    features, part = overlapping(images=60, width=15, spread=0.7)
    folds = divisions(part, 3, 0)
    found = neighbour_accuracies(features, part, folds)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for count in (1, 10, 20):
        right = []
        for fold in folds:
            for image in fold.test:
                similar = {other: float(unit[image] @ unit[other]) for other in fold.train}
                nearest = sorted(similar, key=lambda other: -similar[other])[:count]
                votes = np.zeros(3)
                for other in nearest:
                    votes[part.labels[other]] += np.exp(similar[other] / 0.07)
                right.append(votes.argmax() == part.labels[image])
        assert found[count] == pytest.approx(np.mean(right))


def test_length_does_not_count_and_zero_features_do_no_harm() -> None:
    features, part = overlapping(images=30, width=10)
    folds = divisions(part, 3, 0)
    longer = features * np.linspace(1, 50, 30, dtype=np.float32)[:, None]
    assert neighbour_accuracies(longer, part, folds) == neighbour_accuracies(features, part, folds)
    nothing = neighbour_accuracies(np.zeros_like(features), part, folds)
    assert all(0 <= accuracy <= 1 for accuracy in nothing.values())


def test_fewer_images_than_neighbours_all_vote() -> None:
    labels = np.array([0, 1] * 4)
    numbers = np.arange(8)
    part = Part(numbers, labels, numbers)
    features = np.eye(2, dtype=np.float32)[labels]
    found = neighbour_accuracies(features, part, divisions(part, 2, 0))
    assert found == {1: 1.0, 10: 1.0, 20: 1.0}
