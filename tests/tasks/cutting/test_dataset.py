"""Labelled images are divided so that copies and the test can mislead nobody."""

import re
from collections import Counter

import numpy as np
import pytest

from diamond_cutter.tasks.cutting.dataset import (
    check_class_sizes,
    labelled_images,
    make_dataset,
    stratified_folds,
)
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.photos.image_set import BadPhotos, FoundImage, ImageSet, Split

SPEC = CutSpec(layers=("any",))


def images_of(sizes: dict[str, int]) -> list[FoundImage]:
    return [
        FoundImage(f"{label}/{number}.png", f"/{label}/{number}.png", label, None, None)
        for label, size in sizes.items()
        for number in range(size)
    ]


def image_set(images: list[FoundImage], *, labels: bool = True) -> ImageSet:
    return ImageSet("set@1a2b3c4d", tuple(images), (), "folders" if labels else None, "")


def different(images: list[FoundImage]) -> dict[int, str]:
    return {number: f"digest {number}" for number in range(len(images))}


def test_a_fifth_of_each_class_is_for_the_test_and_no_image_is_in_both_parts() -> None:
    images = images_of({"cat": 50, "dog": 30, "owl": 20})
    found = make_dataset(images, different(images), SPEC)
    assert found.classes == ("cat", "dog", "owl") and not found.given_split
    assert not (found.chosen_on & found.tested_on).any()
    assert (found.chosen_on | found.tested_on).all()
    assert Counter(found.test.labels.tolist()) == {0: 10, 1: 6, 2: 4}


def test_the_division_depends_on_the_seed_alone() -> None:
    images = images_of({"cat": 40, "dog": 40})
    first, again = (make_dataset(images, different(images), SPEC) for _ in range(2))
    other = make_dataset(images, different(images), SPEC.model_copy(update={"seed": 1}))
    assert (first.tested_on == again.tested_on).all()
    assert (first.tested_on != other.tested_on).any()


def test_copies_stay_together_and_are_counted() -> None:
    images = images_of({"cat": 40, "dog": 40})
    digests = different(images) | {number: "the same" for number in (3, 17, 30)}
    digests |= {number: "another" for number in (5, 45)}
    found = make_dataset(images, digests, SPEC)
    assert (found.copies, found.contradicting) == (3, 2)
    for copies in ([3, 17, 30], [5, 45]):
        assert len(set(found.tested_on[copies])) == 1


def test_a_given_split_is_kept_and_copies_of_training_images_are_no_test() -> None:
    images = [
        FoundImage(f"{label}/{number}", "", label, None, "test" if number % 4 == 0 else "train")
        for label in ("cat", "dog")
        for number in range(20)
    ]
    digests = different(images) | {4: "copy", 5: "copy"}
    found = make_dataset(images, digests, SPEC)
    assert found.given_split
    tested = {number for number in range(40) if images[number].split == "test"}
    assert set(found.test.numbers.tolist()) == tested - {4}
    assert set(found.choosing.numbers.tolist()) == set(range(40)) - tested


def test_of_many_images_a_stratified_sample_is_scored() -> None:
    images = images_of({"cat": 300, "dog": 100})
    spec = SPEC.model_copy(update={"most_images": 100})
    found = make_dataset(images, different(images), spec)
    assert Counter(found.choosing.labels.tolist()) == {0: 75, 1: 25}
    assert len(found.test) == 80


def test_unreadable_images_are_in_no_part() -> None:
    images = images_of({"cat": 20, "dog": 20})
    digests = different(images)
    del digests[0], digests[25]
    found = make_dataset(images, digests, SPEC)
    assert 0 not in found.numbers and 25 not in found.numbers and len(found.numbers) == 38


@pytest.mark.parametrize(
    ("sizes", "labels", "words"),
    [
        ({"cat": 9}, False, "have no labels: expected one folder for each class, or a labels.csv"),
        ({"cat": 9}, True, "expected at least two classes, found one, 'cat'"),
        ({}, True, "expected at least two classes, found none"),
    ],
)
def test_images_without_classes_are_refused(
    sizes: dict[str, int], labels: bool, words: str
) -> None:
    with pytest.raises(BadPhotos, match=re.escape(words)):
        labelled_images(image_set(images_of(sizes), labels=labels), "place")


def test_images_without_a_label_are_left_out_with_a_reason() -> None:
    images = [*images_of({"cat": 3, "dog": 3}), FoundImage("loose.png", "")]
    labelled, others = labelled_images(image_set(images), "place")
    assert len(labelled) == 6
    assert [(bad.name, bad.reason) for bad in others] == [("loose.png", "it has no label")]


def test_a_class_with_too_few_images_is_named() -> None:
    with pytest.raises(BadPhotos, match=r"class 'dog' has too few images: expected at least 5"):
        check_class_sizes(images_of({"cat": 20, "dog": 1}), 5)
    check_class_sizes(images_of({"cat": 20, "dog": 6}), 5)
    check_class_sizes(images_of({"cat": 20, "dog": 3}), 2)
    with pytest.raises(BadPhotos, match="found 17"):
        check_class_sizes(images_of({"cat": 21, "dog": 40}), 20)


def test_unreadable_images_do_not_count_and_the_first_is_named() -> None:
    images = images_of({"cat": 20, "dog": 6})
    with pytest.raises(BadPhotos, match="found 4"):
        check_class_sizes(images, 5, {"dog/0.png": "it is truncated"})
    lost = {f"dog/{number}.png": "it is an empty file" for number in range(6)}
    words = r"class 'dog' has no readable image \('dog/0.png': it is an empty file\)"
    with pytest.raises(BadPhotos, match=words):
        check_class_sizes(images, 5, lost)


def split_of(name: str, parts: str) -> list[FoundImage]:
    """Return images of a class: one for each letter, of the training, the test or no part."""
    splits: dict[str, Split | None] = {"r": "train", "t": "test", "-": None}
    return [
        FoundImage(f"{name}/{number}", "", name, None, splits[part])
        for number, part in enumerate(parts)
    ]


def test_a_class_that_is_missing_in_a_part_of_the_split_is_named() -> None:
    cats = split_of("cat", "rrrrrrrtt")
    for parts, words in (("rrrrrrr", "test part"), ("ttttt", "training part"), ("rrrt", "found 3")):
        with pytest.raises(BadPhotos, match=words):
            check_class_sizes([*cats, *split_of("dog", parts)], 5)


def test_images_without_a_part_are_training_images_if_others_are_test_images() -> None:
    images = [*split_of("cat", "------tt"), *split_of("dog", "rrr---t")]
    check_class_sizes(images, 5)
    found = make_dataset(images, different(images), SPEC)
    assert (len(found.choosing), len(found.test)) == (12, 3)


@pytest.mark.parametrize("distinct", [1, 2, 4])
def test_copies_count_once(distinct: int) -> None:
    images = images_of({"cat": 20, "dog": 12})
    digests = different(images) | {20 + n: f"image {n % distinct}" for n in range(12)}
    check_class_sizes(images, 5)
    with pytest.raises(BadPhotos, match="class 'dog' has too few different images"):
        make_dataset(images, digests, SPEC)


def test_the_division_is_that_of_these_images_and_classes() -> None:
    images = images_of({"cat": 20, "dog": 20})
    digests = different(images)
    found = make_dataset(images, digests, SPEC)
    assert make_dataset(images, digests, SPEC).division == found.division
    fewer = {number: digest for number, digest in digests.items() if number != 7}
    seed = SPEC.model_copy(update={"seed": 1})
    others = (make_dataset(images, fewer, SPEC), make_dataset(images, digests, seed))
    assert found.division not in {other.division for other in others}


def test_folds_have_about_the_same_share_of_each_class_with_copies_too() -> None:
    labels = np.repeat([0, 1], [40, 20])
    groups = np.arange(60)
    groups[:6] = 0
    folds = stratified_folds(labels, groups, 5, seed=2)
    assert sorted(np.concatenate(folds)) == list(range(60))
    for fold in folds:
        assert 2 <= (labels[fold] == 1).sum() <= 6


def test_small_classes_are_in_each_fold_and_in_the_test() -> None:
    images = images_of({f"class {number}": 4 for number in range(20)})
    found = make_dataset(images, different(images), SPEC.model_copy(update={"folds": 3}))
    assert Counter(found.test.labels.tolist()) == dict.fromkeys(range(20), 1)
    part = found.choosing
    for fold in stratified_folds(part.labels, part.groups, 3, seed=0):
        assert Counter(part.labels[fold].tolist()) == dict.fromkeys(range(20), 1)


def test_folds_of_other_seeds_differ() -> None:
    labels, groups = np.repeat([0, 1], 30), np.arange(60)
    one, other = (stratified_folds(labels, groups, 5, seed) for seed in (0, 1))
    assert {tuple(fold) for fold in one} != {tuple(fold) for fold in other}
