"""The best cut, the ones to train and the ones worth their cost."""

import pytest

from diamond_cutter.tasks.cutting.choosing import (
    best_cut,
    cheapest_equal,
    cuts_to_train,
    last_cut,
    pareto_front,
)
from diamond_cutter.tasks.cutting.scores import difference
from tests.tasks.cutting.made_up_cuts import made_up_cut

CUTS = [
    made_up_cut("small", "a", 0.5, 100),
    made_up_cut("small", "b", 0.8, 200),
    made_up_cut("small", "c", 0.7, 300),
    made_up_cut("large", "a", 0.6, 1000),
    made_up_cut("large", "b", 0.75, 2000),
    made_up_cut("large", "c", 0.85, 3000),
    made_up_cut("large", "d", 0.65, 4000),
]


def names(cuts: list) -> list[str]:
    return [f"{cut.model} {cut.layer}" for cut in cuts]


def test_the_best_is_the_most_accurate_and_of_equals_the_cheaper() -> None:
    assert best_cut(CUTS) is CUTS[5]
    equal = made_up_cut("other", "x", 0.85, 50)
    assert best_cut([*CUTS, equal]) is equal
    assert last_cut(CUTS, "small") is CUTS[2]


def test_six_heads_are_three_best_two_random_and_the_last_layer() -> None:
    chosen = cuts_to_train(CUTS, 6, seed=0)
    assert len(chosen) == 6 and len(set(names(chosen))) == 6
    assert {"large c", "small b", "large b"} <= set(names(chosen))
    assert "large d" in names(chosen)
    assert names(chosen) == [name for name in names(CUTS) if name in names(chosen)]


def test_other_seeds_draw_other_random_heads() -> None:
    drawn = {tuple(names(cuts_to_train(CUTS, 5, seed))) for seed in range(8)}
    assert len(drawn) > 1


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (2, 2), (7, 7), (50, 7)])
def test_as_many_heads_as_requested_if_there_are_as_many_cuts(count: int, expected: int) -> None:
    assert len(cuts_to_train(CUTS, count, 0)) == expected


def test_a_difference_is_taken_fold_by_fold() -> None:
    noisy = [0.6, 0.9, 0.7, 0.8, 0.5]
    one = made_up_cut("m", "a", 0.72, folds=[each + 0.02 for each in noisy])
    other = made_up_cut("m", "b", 0.7, folds=noisy)
    found = difference(one.scores.probe, other.scores.probe, 5)
    assert found.mean == pytest.approx(0.02)
    assert found.low == pytest.approx(0.02) and found.high == pytest.approx(0.02)


def test_the_cheapest_equal_cut_may_lag_behind_by_chance_only() -> None:
    best = made_up_cut("m", "c", 0.8, 900, folds=[0.7, 0.9, 0.8, 0.75, 0.85])
    near = made_up_cut("m", "b", 0.79, 500, folds=[0.75, 0.85, 0.8, 0.8, 0.75])
    far = made_up_cut("m", "a", 0.6, 100, folds=[0.6, 0.6, 0.6, 0.6, 0.6])
    assert cheapest_equal([far, near, best], best, 5) is near
    assert cheapest_equal([far, best], best, 5) is best


def test_no_cut_of_the_front_is_beaten_in_both() -> None:
    assert names(pareto_front(CUTS)) == ["small a", "small b", "large c"]
