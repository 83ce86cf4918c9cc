"""Finds the keys that a short name stands for: `block_10`, or `fast/block_10`, for a layer's folder
somewhere in a bucket.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import product

from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.layout import card_key, escape, layer_folder, set_folder
from diamond_cutter.tasks.gathering.contents import layer_names, set_names
from diamond_cutter.tasks.importing.stored import read_card
from diamond_cutter.tasks.reporting.stored import report_folders

_FILE = re.compile(r".+\.(json|webp|png|jpg|parquet)")


def keys_named(bucket: Bucket, name: str) -> list[str]:
    """Return the keys of all that has a short name: models, sprite sets, their layers, reports; or
    the files of the sets.

    The name is the end of a key. Of sets and reports it may also be the dataset, the model or the
    recipe, and hashes may be omitted.
    """
    if name.startswith(("models/", "reports/", "sprites/")):
        return []  # it is no short name, and listing a bucket may take long
    if _FILE.fullmatch(name):
        return sorted(info.key for info in bucket.list("sprites/") if info.key.endswith(f"/{name}"))
    return sorted({key for key, names in _named(bucket) if name in names})


def _named(bucket: Bucket) -> Iterator[tuple[str, set[str]]]:
    """Yield each key that has short names, with these."""
    for folder in bucket.folders("models/"):
        model = folder.split("/")[1]
        yield card_key(model), _runs([model])
    for folder in report_folders(bucket):
        yield folder.rstrip("/"), _runs(folder.split("/")[1:-1])
    for model, recipe in set_names(bucket):
        yield set_folder(model, recipe).rstrip("/"), _runs([model, recipe])
        before = {"", *(f"{end}/" for end in _runs([model, recipe]) - _runs([model]))}
        for layer in layer_names(bucket, model, recipe, read_card(bucket, model)):
            names = {start + name for start in before for name in (layer, escape(layer))}
            yield layer_folder(model, recipe, layer).rstrip("/"), names


def _runs(parts: Sequence[str]) -> set[str]:
    """Return what may stand for a folder: some of its parts that follow each other, with or without
    their hashes.
    """
    either = [(part, part.partition("@")[0]) for part in parts]
    runs = (
        either[first:last]
        for first in range(len(parts))
        for last in range(first + 1, len(parts) + 1)
    )
    return {"/".join(chosen) for run in runs for chosen in product(*run)}
