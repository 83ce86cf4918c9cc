"""Scores against slower implementations of their formulas: explicit inverses, votes one by one."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.covariance import ledoit_wolf

from diamond_cutter.tasks.cutting.dataset import Part
from diamond_cutter.tasks.cutting.probe import divisions
from diamond_cutter.tasks.cutting.transferability import (
    dead_share,
    effective_rank,
    h_score,
    log_me,
    neighbour_accuracies,
    total_activation,
)
from tests.tasks.cutting.made_up_features import overlapping


def slow_log_me(features: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    """Compute the evidence from the matrix A itself, its inverse and its determinant."""
    images, width = features.shape
    evidences = []
    for number in np.unique(labels):
        target = (labels == number).astype(float)
        alpha = beta = 1.0
        for _ in range(200):
            matrix = alpha * np.eye(width) + beta * features.T @ features
            inverse = np.linalg.inv(matrix)
            mean = beta * inverse @ features.T @ target
            gamma = width - alpha * np.trace(inverse)
            alpha = gamma / (mean @ mean)
            beta = (images - gamma) / ((features @ mean - target) ** 2).sum()
        matrix = alpha * np.eye(width) + beta * features.T @ features
        mean = beta * np.linalg.inv(matrix) @ features.T @ target
        evidences.append(
            images / 2 * np.log(beta)
            + width / 2 * np.log(alpha)
            - images / 2 * np.log(2 * np.pi)
            - beta / 2 * ((features @ mean - target) ** 2).sum()
            - alpha / 2 * mean @ mean
            - np.linalg.slogdet(matrix)[1] / 2
        )
    return float(np.mean(evidences) / images)


def slow_h_score(features: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    covariance, shrinkage = ledoit_wolf(features)
    mean = features.mean(0)
    between = np.zeros_like(covariance)
    for number in np.unique(labels):
        members = features[labels == number]
        offset = (members.mean(0) - mean)[:, None]
        between += len(members) / len(features) * offset @ offset.T
    return float((1 - shrinkage) * np.trace(np.linalg.inv(covariance) @ between))


@pytest.mark.parametrize("width", [8, 120], ids=["fewer features than images", "more features"])
def test_log_me_is_the_evidence(width: int) -> None:
    features, part = overlapping(images=80, width=width, spread=1.0)
    expected = slow_log_me(features.astype(float), part.labels)
    assert log_me(features, part.labels) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("width", [8, 120], ids=["fewer features than images", "more features"])
def test_the_h_score_is_that_of_its_formula(width: int) -> None:
    features, part = overlapping(images=80, width=width)
    expected = slow_h_score(features.astype(float), part.labels)
    assert h_score(features, part.labels) == pytest.approx(expected, rel=1e-6)


def test_both_rank_what_tells_classes_apart_above_what_does_not() -> None:
    apart, part = overlapping(images=90, width=20, spread=1.5)
    alike, _ = overlapping(images=90, width=20, spread=0.0)
    assert log_me(apart, part.labels) > log_me(alike, part.labels)
    assert h_score(apart, part.labels) > h_score(alike, part.labels)


def test_features_that_never_vary_have_finite_scores() -> None:
    labels = np.arange(20) % 2
    for value in (0.0, 2.5):
        constant = np.full((20, 6), value, np.float32)
        assert np.isfinite(log_me(constant, labels))
        assert h_score(constant, labels) == 0.0
        assert effective_rank(constant) == 0.0
        assert dead_share(constant) == 1.0


def test_features_that_repeat_each_other_have_a_finite_h_score() -> None:
    labels = np.arange(40) % 2
    repeated = np.repeat(labels[:, None], 4, axis=1).astype(np.float32)
    assert 0 <= h_score(repeated, labels) <= 1.01


def test_the_effective_rank_counts_directions_of_equal_weight() -> None:
    axes = np.repeat(np.eye(4, 9), 6, axis=0) * np.tile([1, -1], 12)[:, None]
    assert effective_rank(axes.astype(np.float32)) == pytest.approx(4)


def test_the_total_activation_is_the_sum_over_channels_and_positions() -> None:
    stream = np.random.default_rng(0)
    activations = stream.uniform(size=(5, 4, 3, 7))
    averages = activations.mean((1, 2))
    maxima = activations.max((1, 2))
    features = np.concatenate([averages, maxima], axis=1).astype(np.float32)
    expected = activations.sum((1, 2, 3)).mean()
    assert total_activation(features, 7, 12) == pytest.approx(expected, rel=1e-6)


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
