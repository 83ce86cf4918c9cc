"""What a user calls an image is a class of the model's, however it is written."""

import unicodedata

import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import ClassLabel, ModelCard
from diamond_cutter.model_inventory.heads import Head, HeadKind
from diamond_cutter.tasks.attribution.label_classes import (
    NO_CLASS,
    class_named,
    classes_by_label,
    label_class,
)
from diamond_cutter.tasks.photos.image_set import FoundImage, ImageSet

LABELS = (
    ClassLabel(name="tabby, tabby cat", wnid="n02123045"),
    ClassLabel(name="jack-o'-lantern"),
    ClassLabel(name="Égyptian cat"),
    ClassLabel(name="cat"),
    ClassLabel(name="crane, cat"),
)


@pytest.fixture(scope="module")
def card(toy: Bundle) -> ModelCard:
    return toy.card.model_copy(update={"labels": LABELS})


def image(label: str | None, number: int | None = None) -> FoundImage:
    return FoundImage("a.jpg", "/a.jpg", label, number)


def test_a_label_is_the_class_of_that_name(card: ModelCard) -> None:
    for label, wanted in [
        ("tabby, tabby cat", 0),
        ("tabby", 0),
        ("Tabby_Cat", 0),
        ("tabby-cat", 0),
        ("  TABBY   CAT ", 0),
        ("n02123045", 0),
        ("N02123045", 0),
        ("jack_o'_lantern", 1),
        ("jack o' lantern", 1),
        ("égyptian cat", 2),
        (unicodedata.normalize("NFD", "Égyptian_cat"), 2),  # as macOS writes folders' names
        ("cat", 3),  # a whole name, though it is another's synonym
        ("crane", 4),
        ("dog", NO_CLASS),
        ("", NO_CLASS),
        ("tab", NO_CLASS),
        ("0", NO_CLASS),
    ]:
        assert class_named(card, label) == label_class(card, image(label)) == wanted


@pytest.mark.parametrize(
    ("label", "number", "wanted"),
    [
        ("tabby", 4, 4),
        (None, 0, 0),
        ("tabby", 5, 0),
        ("tabby", -1, 0),
        (None, 5, NO_CLASS),
        ("dog", 3, 3),
        (None, None, NO_CLASS),
    ],
)
def test_a_number_says_it_if_there_is_such_a_class(
    card: ModelCard, label: str | None, number: int | None, wanted: int
) -> None:
    assert label_class(card, image(label, number)) == wanted


def test_a_model_without_labels_knows_numbers_only(card: ModelCard) -> None:
    nameless = card.model_copy(update={"labels": ()})
    assert label_class(nameless, image("tabby")) == NO_CLASS
    assert label_class(nameless, image("tabby", 4)) == 4
    assert (
        label_class(nameless.model_copy(update={"logits_tensor": None}), image("tabby", 4))
        == NO_CLASS
    )


@pytest.mark.slow
def test_imagenets_own_names_are_all_found(lite0: Bundle) -> None:
    labels = lite0.card.labels
    assert [class_named(lite0.card, label.name) for label in labels] == list(range(1000))
    assert [class_named(lite0.card, str(label.wnid)) for label in labels] == list(range(1000))


def headed(card: ModelCard, kind: HeadKind, labels: tuple[ClassLabel, ...] = ()) -> ModelCard:
    return card.model_copy(update={"labels": labels, "head": Head(kind=kind)})


def image_set(*images: FoundImage) -> ImageSet:
    return ImageSet("pets@1a2b3c4d", images, (), "folders", "")


def test_two_classes_without_names_are_the_two_labels_in_alphabetical_order(
    card: ModelCard,
) -> None:
    images = image_set(image("dogs"), image(None), image("cats"))
    found = classes_by_label(headed(card, "two classes"), images)
    assert found is not None
    named, numbered = found
    assert named.class_names == ("cats", "dogs") and named.key == card.key
    assert [each.class_index for each in numbered.images] == [1, None, 0]
    assert [label_class(named, each) for each in numbered.images] == [1, NO_CLASS, 0]


@pytest.mark.parametrize(
    ("kind", "labels", "images"),
    [
        ("two classes", LABELS[:2], [image("cats"), image("dogs")]),
        ("two classes", (), [image("cats")]),
        ("two classes", (), [image("cats"), image("dogs"), image("birds")]),
        ("two classes", (), [image("cats", 1), image("dogs", 0)]),
        ("classes", (), [image("cats"), image("dogs")]),
        ("values", (), [image("cats"), image("dogs")]),
    ],
)
def test_other_classes_are_not_named_after_labels(
    card: ModelCard, kind: HeadKind, labels: tuple[ClassLabel, ...], images: list[FoundImage]
) -> None:
    assert classes_by_label(headed(card, kind, labels), image_set(*images)) is None


def test_no_label_is_a_value(card: ModelCard) -> None:
    assert label_class(headed(card, "values", LABELS), image("cat", 1)) == NO_CLASS
