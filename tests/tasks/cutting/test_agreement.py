"""Scores are compared with the accuracy of trained heads."""

import numpy as np
import pytest

from diamond_cutter.tasks.cutting.agreement import agreement, regret, weighted_tau


def right_of(accuracies: list[float], images: int = 100) -> np.ndarray:
    """Return which of the images each head gets right, as many as its accuracy says."""
    return np.array([np.arange(images) < round(each * images) for each in accuracies])


def test_the_same_order_agrees_and_the_reverse_does_not() -> None:
    right = right_of([0.5, 0.6, 0.7, 0.8])
    found = agreement({"same": [1, 2, 3, 4], "reverse": [4, 3, 2, 1]}, right, seed=0)
    assert found["same"].tau == pytest.approx(1) and found["same"].regret_1 == 0
    assert found["reverse"].tau == pytest.approx(-1)
    assert found["reverse"].regret_1 == pytest.approx(30)
    assert found["reverse"].regret_3 == pytest.approx(10)


def test_the_interval_is_wide_with_few_test_images_and_narrow_with_many() -> None:
    stream = np.random.default_rng(0)
    rates = np.array([0.6, 0.65, 0.7, 0.75, 0.8])[:, None]
    scores = {"score": [1.0, 2.0, 3.0, 4.0, 5.0]}
    few, many = (
        agreement(scores, stream.uniform(size=(5, images)) < rates, seed=1)["score"]
        for images in (20, 5000)
    )
    assert few.tau_low is not None and few.tau_high is not None
    assert many.tau_low is not None and many.tau_high is not None
    assert few.tau_high - few.tau_low > 2 * (many.tau_high - many.tau_low)


def test_a_score_that_is_the_same_for_all_tells_nothing_and_may_pick_the_worst() -> None:
    accuracies = [0.5, 0.9, 0.7]
    found = agreement({"constant": [1.0, 1.0, 1.0]}, right_of(accuracies), seed=0)["constant"]
    assert found.tau is None and found.tau_low is None
    assert found.regret_1 == pytest.approx(40)


def test_a_score_with_a_missing_value_is_left_out() -> None:
    assert agreement({"imagenet": [0.7, None, 0.8]}, right_of([0.5, 0.6, 0.7]), seed=0) == {}


def test_regret_takes_the_best_of_the_first() -> None:
    score, accuracy = np.array([3.0, 2.0, 1.0, 0.0]), np.array([0.6, 0.8, 0.5, 0.9])
    assert [regret(score, accuracy, taken) for taken in (1, 2, 3, 4)] == pytest.approx(
        [30, 10, 10, 0]
    )


def test_tau_is_none_if_all_heads_are_equal() -> None:
    assert weighted_tau(np.array([1.0, 2.0]), np.array([0.5, 0.5])) is None
