"""Which images count, and what models say of them."""

import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.storage import LocalBucket
from diamond_cutter.tasks.comparing.images import (
    check_split,
    compared_images,
    images_of_labels,
    numbered,
    predictions_of,
)
from diamond_cutter.tasks.comparing.spec import MOST_IMAGES, PairedModel, paired_models
from diamond_cutter.tasks.features.stored import FeatureSet
from diamond_cutter.tasks.photos.image_set import BadPhotos, FoundImage, ImageSet


def images(count: int, **options: object) -> list[FoundImage]:
    return [FoundImage(f"{number:05d}.png", f"/{number}", **options) for number in range(count)]  # type: ignore[arg-type]


def digests(count: int, copies: dict[int, int] | None = None) -> dict[int, str]:
    found = {number: str(number) for number in range(count)}
    return found | {copy: str(original) for copy, original in (copies or {}).items()}


def test_labelled_images_have_the_numbers_that_a_search_for_a_cut_gives_them() -> None:
    found = [FoundImage("a", "/a"), FoundImage("b", "/b", "owl"), FoundImage("c", "/c", "cat")]
    names = [image.name for image in numbered(ImageSet("x@1", tuple(found), (), "folders", ""))]
    assert names == ["b", "c", "a"]


def test_of_equal_images_the_first_counts() -> None:
    found = compared_images(images(14), digests(14, {5: 2, 6: 2}), "auto", "here")
    assert found.copies == 2 and found.split == "all"
    assert found.measured == found.tested == (0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13)


@pytest.mark.parametrize("readable", [3, 9])
def test_fewer_than_ten_images_are_refused_with_a_reason(readable: int) -> None:
    with pytest.raises(BadPhotos, match=f"at least 10 readable.*say nothing, found {readable}"):
        compared_images(images(12), digests(readable), "auto", "here")
    with pytest.raises(BadPhotos, match="found 9"):
        compared_images(images(12), digests(12, {9: 0, 10: 0, 11: 0}), "auto", "here")


def test_of_very_many_images_evenly_spaced_ones_are_measured_and_all_tested() -> None:
    found = compared_images(images(5000), digests(5000), "auto", "here")
    assert len(found.measured) == MOST_IMAGES and len(found.tested) == 5000
    assert found.measured[-1] > 4990 and len(set(found.measured)) == MOST_IMAGES


def test_the_test_part_is_tested_without_copies_of_training_images() -> None:
    divided = images(12, split="train")[:8] + images(12, split="test")[8:]
    copied = digests(12, {9: 1, 11: 10})
    assert compared_images(divided, copied, "auto", "here").tested == (8, 10)
    assert compared_images(divided, copied, "train", "here").tested == tuple(range(8))
    assert len(compared_images(divided, copied, "all", "here").tested) == 10
    assert len(compared_images(divided, copied, "auto", "here").measured) == 10
    check_split(divided, "test", "here")
    with pytest.raises(BadPhotos, match="have no test part"):
        check_split(images(12), "test", "here")


class Logits(FeatureSet):
    """Logits whose highest class is the image's number, modulo 5."""

    def read(self, layer: str, numbers):  # type: ignore[no-untyped-def]
        import numpy as np

        return np.eye(5, dtype=np.float32)[[number % 5 for number in numbers]]


@pytest.fixture
def model(toy: Bundle) -> PairedModel:
    return PairedModel(toy.card, "toy", ("first",))


@pytest.fixture
def logits(tmp_path) -> FeatureSet:  # type: ignore[no-untyped-def]
    return Logits(LocalBucket(tmp_path), "", ())


def test_what_no_training_saw_is_tested() -> None:
    given, copied = images(14), digests(14, {5: 2, 6: 2})
    unseen = {given[number].name for number in (2, 5, 9)}
    found = compared_images(given, copied, "auto", "here", unseen)
    assert (found.tested, found.split) == ((2, 9), "test")
    assert len(compared_images(given, copied, "all", "here", unseen).tested) == 12
    assert compared_images(given, copied, "auto", "here", set()).split == "all"


def test_only_images_whose_label_is_a_class_have_predictions(
    model: PairedModel, logits: FeatureSet
) -> None:
    found = [
        FoundImage("a", "/a", "class 0"),
        FoundImage("b", "/b", "owl"),
        FoundImage("c", "/c", "class 1"),
        FoundImage("d", "/d", None, 3),
        FoundImage("e", "/e"),
    ]
    known = predictions_of(model, logits, found, range(5))
    assert known is not None and known.numbers.tolist() == [0, 2, 3]
    assert known.labels == ("class 0", "class 1", "class 3")
    assert known.predicted.tolist() == [0, 2, 3]
    assert known.right.tolist() == [True, False, True]
    assert predictions_of(model, logits, found, [1, 4]) is None
    assert predictions_of(model, None, found, range(5)) is None
    of_classes = images_of_labels(model, found, range(5))
    assert of_classes == {"class 0": ((0, 0),), "class 1": ((2, 1),), "class 3": ((3, 3),)}


def test_two_models_have_names_that_differ(toy: Bundle) -> None:
    other = toy.card.model_copy(update={"graph_sha256": "f" * 64})
    layers = (("first",), ("first",))
    same = paired_models((toy.card, toy.card), layers)
    assert [each.name for each in same] == ["toy", "toy (again)"]
    namesakes = paired_models((toy.card, other), layers)
    assert [each.name for each in namesakes] == [toy.card.key, "toy@ffffffff"]
    renamed = paired_models((toy.card, other.model_copy(update={"name": "top"})), layers)
    assert [each.name for each in renamed] == ["toy", "top"]
