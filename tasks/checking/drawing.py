"""Choose the labelled images that a model is checked on."""

import random
import re
from collections.abc import Sequence

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.imagenet import imagenet_labels
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.attribution.label_classes import NO_CLASS, label_class
from diamond_cutter.tasks.photos.image_set import BadPhotos, FoundImage

_WNID = re.compile(r"n\d{8}")
_IMAGENET_CLASSES = 1000
_NAMED = 3


def labelled_card(card: ModelCard, images: Sequence[FoundImage]) -> ModelCard:
    """Return the card, with ImageNet's labels if it has none and the folders are WordNet ids.

    Models of 1,000 classes without labels are nearly always of ImageNet, in its usual order.
    """
    if card.labels or card.logits is None or card.logits.channels != _IMAGENET_CLASSES:
        return card
    if not any(image.label and _WNID.fullmatch(image.label) for image in images):
        return card
    return card.model_copy(update={"labels": imagenet_labels()})


def draw(
    card: ModelCard, images: Sequence[FoundImage], most: int, seed: int
) -> tuple[NumberedImage, ...]:
    """Return up to `most` images whose label is a class of the model, in order.

    Args:
        card: of the model, with labels.
        images: all images; the position of an image is its number.
        most: number of images.
        seed: of the draw.
    """
    known = [number for number, image in enumerate(images) if label_class(card, image) != NO_CLASS]
    if len(known) > most:
        known = sorted(random.Random(seed).sample(known, most))
    return tuple(NumberedImage(number, images[number]) for number in known)


def no_labelled_image(card: ModelCard, images: Sequence[FoundImage], place: str) -> BadPhotos:
    """Return the error for a folder without an image whose label is a class of the model."""
    labels = sorted({image.label for image in images if image.label})
    if not labels:
        return BadPhotos(
            f"the images in {place} have no labels: expected a folder for each class, or a "
            "labels.csv. Sort the images into folders with the names of classes."
        )
    found = ", ".join(map(repr, labels[:_NAMED])) + (", ..." if len(labels) > _NAMED else "")
    if not card.labels:
        return BadPhotos(
            f"{card.name} has no names of classes, so the labels in {place} ({found}) cannot be "
            "compared with them. Add the model again with --labels."
        )
    known = ", ".join(repr(name) for name in card.class_names[:_NAMED])
    return BadPhotos(
        f"there is nothing to check: expected labels that are classes of {card.name} ({known}, "
        f"...), found {found} in {place}. Use images of the model's own classes."
    )
