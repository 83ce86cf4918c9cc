"""Labelled images are drawn by a seed, and folders of WordNet ids are classes of ImageNet."""

import pytest

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.checking.drawing import draw, labelled_card, no_labelled_image
from diamond_cutter.tasks.photos.image_set import FoundImage
from tests.toy_network import toy_bundle

CARD = toy_bundle().card


def images(*labels: str | None) -> list[FoundImage]:
    return [FoundImage(f"{n}.png", f"/{n}.png", label) for n, label in enumerate(labels)]


def of_imagenet() -> ModelCard:
    """Return the card of a model of 1,000 classes without labels."""
    layers = [
        layer.model_copy(update={"channels": 1000}) if layer.name == "logits" else layer
        for layer in CARD.layers
    ]
    return CARD.model_copy(update={"labels": (), "layers": tuple(layers)})


def test_images_of_classes_are_drawn_by_a_seed() -> None:
    found = images(*(["class 1", "something else", None, "Class_2"] * 50))
    drawn = draw(CARD, found, 30, seed=0)
    numbers = [each.number for each in drawn]
    assert len(numbers) == 30 and numbers == sorted(set(numbers))
    assert {each.image.label for each in drawn} == {"class 1", "Class_2"}
    assert draw(CARD, found, 30, seed=0) == drawn != draw(CARD, found, 30, seed=1)
    assert len(draw(CARD, found, 200, seed=0)) == 100


def test_folders_of_wordnet_ids_are_classes_of_imagenet() -> None:
    found = images("n01443537", "n02123045")
    known = labelled_card(of_imagenet(), found)
    assert known.labels[1].name == "goldfish" and len(draw(known, found, 9, seed=0)) == 2
    assert labelled_card(of_imagenet(), images("cat")).labels == ()
    assert labelled_card(CARD, found) is CARD


@pytest.mark.parametrize(
    ("card", "labels", "problem"),
    [
        (CARD, ("cat", "dog"), "there is nothing to check: expected labels that are classes of"),
        (CARD, (None,), "the images in here have no labels: expected a folder for each class"),
        (of_imagenet(), ("cat",), "toy has no names of classes"),
    ],
)
def test_a_folder_without_images_of_classes_is_told(
    card: ModelCard, labels: tuple[str | None, ...], problem: str
) -> None:
    assert problem in str(no_labelled_image(card, images(*labels), "here"))
