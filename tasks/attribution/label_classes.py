"""Which class of a model a user's label is."""

import functools
import unicodedata

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.photos.image_set import FoundImage

NO_CLASS = -1


def label_class(card: ModelCard, image: FoundImage) -> int:
    """Return the class that an image's label is, or NO_CLASS.

    That is the class that the user gives by number, or else that of the label's name.
    """
    classes = card.logits.channels if card.logits else 0
    if classes < 2:
        return NO_CLASS  # a single score is not right or wrong about anything
    if image.class_index is not None and 0 <= image.class_index < classes:
        return image.class_index
    return class_named(card, image.label) if image.label is not None else NO_CLASS


def class_named(card: ModelCard, label: str) -> int:
    """Return the class whose name a label is, or one of its synonyms, or its WordNet id; NO_CLASS
    if there is none.
    """
    names = _by_name(card)
    return names.get(label, names.get(_plain(label), NO_CLASS))


@functools.lru_cache(maxsize=2)
def _by_name(card: ModelCard) -> dict[str, int]:
    found: dict[str, int] = {}
    for synonyms in (True, False):  # a whole name comes last, and wins
        for number, label in enumerate(card.labels):
            names = [*label.name.split(","), label.wnid or label.name] if synonyms else [label.name]
            found |= {_plain(name): number for name in names}
    # Letter by letter a name wins over all: ImageNet has a Cardigan, which is a dog, and a
    # cardigan.
    return found | {label.name: number for number, label in enumerate(card.labels)}


def _plain(name: str) -> str:
    """Return a name as files and folders write it: small letters, blanks for what joins words, an
    accent and its letter as one.
    """
    return " ".join(
        unicodedata.normalize("NFC", name).replace("_", " ").replace("-", " ").casefold().split()
    )
