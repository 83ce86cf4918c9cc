"""Finds the key that a user means: by key, URL, path or short name, such as `fast/block_10`.

If there is no such key, the error names the most similar ones.
"""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import product
from urllib.parse import unquote

from diamond_cutter.storage import BadKey, Bucket
from diamond_cutter.storage.sets.layout import (
    card_key,
    escape,
    is_run_execution,
    is_run_record,
    layer_folder,
    set_folder,
)
from diamond_cutter.tasks.gathering.contents import layer_names, set_names
from diamond_cutter.tasks.importing.stored import read_card
from diamond_cutter.tasks.reporting.stored import report_folders

_FILE = re.compile(r".+\.(json|webp|png|jpg|parquet)")


def keys_meant(bucket: Bucket, given: str) -> list[str]:
    """Return the keys that a text may mean: relative to the bucket's URL or folder, or as it is."""
    folder = unquote(bucket.url.removeprefix("file://"), errors="surrogateescape")
    places = ((bucket.url, given), (folder, os.path.abspath(given)))
    behind = (text.removeprefix(start) for start, text in places if text.startswith(f"{start}/"))
    return [key.strip("/") for key in (*behind, given)]


def keys_named(bucket: Bucket, name: str) -> list[str]:
    """Return the keys with a short name: models, sprite sets, layers, runs, reports, and files of
    sets.

    The name is the end of a key. For sets and reports it may also be the dataset, the model or the
    recipe. Hashes may be omitted.
    """
    if name.startswith(("models/", "reports/", "sprites/")):
        return []  # this is not a short name, and listing a bucket may be slow
    if _FILE.fullmatch(name):
        return sorted(info.key for info in bucket.list("sprites/") if info.key.endswith(f"/{name}"))
    return sorted({key for key, names in _named(bucket) if name in names})


def is_there(bucket: Bucket, key: str) -> bool:
    """Tell whether the bucket has a file under a key, which may be invalid."""
    try:
        return bucket.stat(key) is not None
    except BadKey:
        return False


def nothing_there(bucket: Bucket, given: str, key: str) -> str:
    """Return the error message for a key that leads to nothing."""
    if next(iter(bucket.list()), None) is None:
        return (
            f"{given!r} is not in {bucket.url}: the bucket is empty. Run `diamond-cutter sprites` "
            "to render sprites into it."
        )
    problem = (
        f"is not a record, and no record in {bucket.url} names it"
        if is_there(bucket, key)
        else f"is not in {bucket.url}"
    )
    return f"{given!r} {problem}. Run `diamond-cutter ls` to list the sprite sets and the reports."


def _named(bucket: Bucket) -> Iterator[tuple[str, set[str]]]:
    """Yield each key with its short names."""
    for folder in bucket.folders("models/"):
        model = folder.split("/")[1]
        yield card_key(model), _runs([model])
    for folder in report_folders(bucket):
        yield folder.rstrip("/"), _runs(folder.split("/")[1:-1])
    for model, recipe in set_names(bucket):
        yield set_folder(model, recipe).rstrip("/"), _runs([model, recipe])
        for info in bucket.list(f"{set_folder(model, recipe)}runs/"):
            if is_run_record(info.key) or is_run_execution(info.key):
                yield info.key, {info.key.rpartition("/")[2].removesuffix(".json")}
        before = {"", *(f"{end}/" for end in _runs([model, recipe]) - _runs([model]))}
        for layer in layer_names(bucket, model, recipe, read_card(bucket, model)):
            names = {start + name for start in before for name in (layer, escape(layer))}
            yield layer_folder(model, recipe, layer).rstrip("/"), names


def _runs(parts: Sequence[str]) -> set[str]:
    """Return the short names of a folder: consecutive parts, with or without hashes."""
    either = [(part, part.partition("@")[0]) for part in parts]
    runs = (
        either[first:last]
        for first in range(len(parts))
        for last in range(first + 1, len(parts) + 1)
    )
    return {"/".join(chosen) for run in runs for chosen in product(*run)}
