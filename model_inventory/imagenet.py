"""The 1000 classes of ImageNet, in the order of the logits of every network trained on them."""

import csv
import functools
from importlib import resources

from diamond_cutter.model_inventory.card import ClassLabel


@functools.cache
def imagenet_labels() -> tuple[ClassLabel, ...]:
    """Return the classes by logit, each with its WordNet id and a name that no other class has."""
    text = (
        resources.files("diamond_cutter.model_inventory")
        .joinpath("imagenet_classes.csv")
        .read_text(encoding="utf-8")
    )
    return tuple(
        ClassLabel(name=row["name"], wnid=row["wnid"]) for row in csv.DictReader(text.splitlines())
    )
