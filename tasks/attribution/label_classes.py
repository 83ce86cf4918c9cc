"""Match users' labels with the classes of a model."""

import functools
import unicodedata
from dataclasses import replace

from diamond_cutter.model_inventory.card import ClassLabel, ModelCard
from diamond_cutter.tasks.photos.image_set import FoundImage, ImageSet

NO_CLASS = -1


def classes_by_label(card: ModelCard, images: ImageSet) -> tuple[ModelCard, ImageSet] | None:
    """Return a card whose two classes are the images' two labels, and the images with the classes.

    Keras numbers the folders of images in alphabetical order, too.

    Returns:
        None if the model names its classes or does not tell two apart by one score, if the images
        have other than two labels, or if the user has numbered them.
    """
    names = sorted({image.label for image in images.images if image.label is not None})
    numbered = any(image.class_index is not None for image in images.images)
    if card.labels or card.head_kind != "two classes" or len(names) != 2 or numbered:
        return None
    found = tuple(
        replace(image, class_index=names.index(image.label)) if image.label is not None else image
        for image in images.images
    )
    labels = tuple(ClassLabel(name=name) for name in names)
    return card.model_copy(update={"labels": labels}), replace(images, images=found)


def label_class(card: ModelCard, image: FoundImage) -> int:
    """Return the class of an image's label, or NO_CLASS.

    A class number from the user wins over the label's name.
    """
    classes = card.logits.channels if card.logits else 0
    if classes < 2 or card.head_kind == "values":
        return NO_CLASS  # a value cannot be right or wrong
    if image.class_index is not None and 0 <= image.class_index < classes:
        return image.class_index
    return class_named(card, image.label) if image.label is not None else NO_CLASS


def class_named(card: ModelCard, label: str) -> int:
    """Return the class with this name, synonym or WordNet id, or NO_CLASS."""
    names = _by_name(card)
    return names.get(label, names.get(_plain(label), NO_CLASS))


@functools.lru_cache(maxsize=2)
def _by_name(card: ModelCard) -> dict[str, int]:
    found: dict[str, int] = {}
    for synonyms in (True, False):  # whole names come last, because they win
        for number, label in enumerate(card.labels):
            names = [*label.name.split(","), label.wnid or label.name] if synonyms else [label.name]
            found |= {_plain(name): number for name in names}
    # An exact match wins over all: ImageNet has Cardigan (a dog) and cardigan (a garment).
    return found | {label.name: number for number, label in enumerate(card.labels)}


def _plain(name: str) -> str:
    """Return a name in lower case, with spaces between its words, in Unicode's NFC form."""
    return " ".join(
        unicodedata.normalize("NFC", name).replace("_", " ").replace("-", " ").casefold().split()
    )
