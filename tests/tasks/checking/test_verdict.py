"""A wrong preprocessing is told from bad luck, and a model that guesses from one that does not."""

import numpy as np
import pytest

from diamond_cutter.model_inventory.preprocessing import SCALINGS, image_of, options_of, scaling_of
from diamond_cutter.tasks.checking.candidates import other_preprocessings
from diamond_cutter.tasks.checking.verdict import PreprocessingCheck, chance_level, judge

LABELS = np.arange(100) % 10


def right_about(share: float) -> np.ndarray:
    """Return predictions of which a share is right, and the others are of the next class."""
    return np.where(np.arange(100) < 100 * share, LABELS, (LABELS + 1) % 10)


def check(own: float, **others: float) -> PreprocessingCheck:
    found = {name: (name, right_about(share)) for name, share in {"own": own, **others}.items()}
    return judge("mine", LABELS, found, classes=10)


@pytest.mark.parametrize(
    ("own", "other", "better"),
    [(0.3, 0.9, True), (0.8, 0.88, False), (0.7, 0.85, True), (0.9, 0.3, False), (0.5, 0.5, False)],
)
def test_another_preprocessing_is_better_if_it_gains_much_and_not_by_luck(
    own: float, other: float, better: bool
) -> None:
    found = check(own, tf=other, torch=0.2)
    assert (found.better is not None) == better == (not found.is_fine)
    assert [each.options for each in found.others] == (
        ["tf", "torch"] if other >= 0.2 else ["torch", "tf"]
    )
    if found.better is not None:
        assert found.better.options == "tf" and f"{other:.1%} with tf" in found.in_words()


def test_few_images_say_nothing() -> None:
    labels = np.arange(6)
    found = judge("mine", labels, {"own": ("", (labels + 1) % 10), "tf": ("", labels)}, classes=10)
    assert found.is_fine and "too few labelled images" in found.in_words()


@pytest.mark.parametrize(
    ("labels", "predicted", "classes", "chance", "near"),
    [
        (LABELS, LABELS, 10, 0.1, False),
        (LABELS, (LABELS + 1) % 10, 10, 0.1, True),
        (LABELS, np.zeros(100, int), 10, 0.1, True),
        # A model of ImageNet must beat a guess among the ten classes that there are.
        (LABELS, LABELS + 500, 1000, 0.1, True),
        # Ninety-five of a hundred are right without looking.
        (np.arange(100) // 95, np.zeros(100, int), 2, 0.95 * 1 + 0.05 * 0, True),
        (np.arange(100) // 95, np.arange(100) // 95, 2, 0.95**2 + 0.05**2, False),
        (np.zeros(100, int), np.zeros(100, int), 1000, 0.001, False),
        (np.zeros(100, int), np.ones(100, int), 1000, 0.001, True),
    ],
)
def test_chance_is_what_a_model_reaches_without_looking(
    labels: np.ndarray, predicted: np.ndarray, classes: int, chance: float, near: bool
) -> None:
    assert chance_level(labels, predicted, classes) == pytest.approx(chance)
    found = judge("mine", labels, {"own": ("", predicted)}, classes)
    assert found.near_chance == near == ("by chance" in found.in_words())


@pytest.mark.parametrize("name", ["caffe", "torch", "tf", "none"])
def test_all_plausible_preprocessings_but_the_own_are_tried_once(name: str) -> None:
    own = image_of(SCALINGS[name], 8, 8, 3)
    others = other_preprocessings(own)
    assert own not in others.values() and len(set(others.values())) == len(others)
    assert all(options_of(image) == options for options, image in others.items())
    ranges = scaling_of(own).value_range
    orders = {
        each.channel_order for each in others.values() if scaling_of(each).value_range == ranges
    }
    assert orders == {"rgb" if own.channel_order == "bgr" else "bgr"}


def test_images_that_are_no_colours_have_no_order() -> None:
    others = other_preprocessings(image_of(SCALINGS["tf"], 8, 8, 4))
    assert sorted(others) == ["--preprocessing none", "--value-range 0 1"]
