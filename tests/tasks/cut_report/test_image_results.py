"""What two cuts make of the images, with few classes and with many."""

import numpy as np

from diamond_cutter.tasks.cut_report.image_results import (
    MOST_CLASSES,
    classes_with_channels,
    confusion,
    differing_images,
    most_confused,
    shown_confusion,
)
from diamond_cutter.tasks.cutting.dataset import Dataset
from tests.tasks.cutting.made_up_cuts import made_up_cut


def dataset_of(classes: int, each: int = 2) -> Dataset:
    labels = np.repeat(np.arange(classes), each)
    numbers = np.arange(len(labels))
    every = np.ones(len(labels), bool)
    names = tuple(f"class {number}" for number in range(classes))
    return Dataset(names, numbers, labels, numbers, every, ~every, False)


def test_images_are_counted_by_class_and_prediction() -> None:
    dataset = dataset_of(2)
    assert confusion(dataset, [0, 1, 1, 1]).tolist() == [[1, 1], [0, 2]]
    assert shown_confusion(dataset, [0, 1, 1, 1]) == ((1, 1), (0, 2))


def test_images_that_only_one_cut_gets_right_are_found() -> None:
    dataset = dataset_of(2)
    one = made_up_cut("m", "a", 0.5, predictions=[0, 1, 1, 1])
    other = made_up_cut("m", "b", 0.5, predictions=[1, 0, 1, 0])
    assert differing_images(dataset, one, other).tolist() == [0, 3]
    assert differing_images(dataset, other, one).tolist() == [1]


def test_of_many_classes_those_that_change_and_are_confused_are_shown() -> None:
    count = 3 * MOST_CLASSES
    dataset = dataset_of(count)
    right = dataset.labels.copy()
    wrong = right.copy()
    wrong[right == 7] = 9
    best = made_up_cut("m", "a", 1.0, predictions=right.tolist())
    last = made_up_cut("m", "b", 0.9, predictions=wrong.tolist())
    assert shown_confusion(dataset, right.tolist()) == ()
    (confused,) = most_confused(dataset, best, last)
    assert (confused.label, confused.taken_for) == ("class 7", "class 9")
    assert (confused.best, confused.last) == (0, 2)
    shown = classes_with_channels(dataset, best, last)
    assert 7 in shown and len(shown) == MOST_CLASSES


def test_of_few_classes_all_are_shown() -> None:
    dataset = dataset_of(3)
    cut = made_up_cut("m", "a", 1.0, predictions=dataset.labels.tolist())
    assert classes_with_channels(dataset, cut, cut) == {0, 1, 2}
    assert most_confused(dataset, cut, cut) == ()
