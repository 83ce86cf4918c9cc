"""Which of two models is better, and whether that may be chance."""

import numpy as np
import pytest

from diamond_cutter.tasks.comparing.accuracy import (
    Predictions,
    accuracy_of,
    common,
    paired_test,
    share_of,
)


def predictions(right: list[int], labels: str, numbers: list[int] | None = None) -> Predictions:
    chosen = np.array(numbers if numbers is not None else range(len(right)))
    return Predictions(chosen, tuple(labels), np.zeros(len(right), int), np.array(right, bool))


def sides(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    one = [True] * (both + first) + [False] * (second + neither)
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    return np.array(one), np.array(other)


def test_accuracy_by_class_and_balanced() -> None:
    found = accuracy_of(predictions([1, 1, 1, 0, 0, 1], "aaaabb"))
    assert (found.overall.right, found.overall.images) == (4, 6)
    assert {name: each.share for name, each in found.classes.items()} == {"a": 0.75, "b": 0.5}
    assert found.balanced == pytest.approx(0.625)


def test_intervals_are_wilsons() -> None:
    # Newcombe 1998, table I, example 1: 81 of 263.
    found = share_of(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert share_of(5, 5).low < 1 and share_of(5, 5).high == 1


def test_mcnemars_exact_test_counts_only_images_that_differ() -> None:
    # 1 - 2 * P(X <= 3) for 3 of 15: 2 * (1 + 15 + 105 + 455) / 2**15
    found = paired_test(*sides(50, 3, 12, 10))
    assert found.p_value == pytest.approx(2 * 576 / 2**15) and found.is_clear
    assert found.difference == pytest.approx(9 / 75)
    assert paired_test(*sides(5000, 3, 12, 10)).p_value == found.p_value
    assert (found.both, found.only_first, found.only_second, found.images) == (50, 3, 12, 75)


def test_equal_models_differ_by_nothing() -> None:
    found = paired_test(*sides(7, 0, 0, 3))
    assert found.p_value == 1 and found.difference == 0 and not found.is_clear
    assert found.low < 0 < found.high


def test_the_interval_of_the_difference_holds_the_truth_as_often_as_it_says() -> None:
    stream, held = np.random.default_rng(0), 0
    for _ in range(400):
        kinds = stream.choice(4, 60, p=[0.5, 0.1, 0.2, 0.2])  # both, first, second, neither
        found = paired_test(kinds <= 1, (kinds == 0) | (kinds == 2))
        held += found.low <= 0.1 <= found.high
    assert 0.92 <= held / 400 <= 0.99


def test_only_common_images_are_compared() -> None:
    one = predictions([1, 0, 1], "abc", [2, 5, 7])
    other = predictions([1, 1, 0], "bcd", [5, 7, 9])
    first, second = common(one, other)
    assert first.numbers.tolist() == second.numbers.tolist() == [5, 7]
    assert first.labels == ("b", "c") and first.right.tolist() == [False, True]
    assert second.right.tolist() == [True, True]
