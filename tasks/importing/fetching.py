"""Brings the weights of a known model into the cache of this machine."""

import math
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from diamond_cutter.model_inventory.catalogue import (
    WeightFile,
    lucid_files,
    origin_of,
    require_model,
)
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS
from diamond_cutter.model_inventory.weights import EFFICIENTNET_LITE, keras_folder
from diamond_cutter.storage.downloads import fetch_file
from diamond_cutter.tasks.devices import DeviceSlots, report_progress

_LOOK_S = 0.2

# Takes a file's name, how many of its bytes are here, and how many there will be if that is known.
Progress = Callable[[str, int, int | None], object]


class NothingToFetch(ModelError):
    """The weights of a model come some other way."""


def fetch_weights(
    name: str, given: Sequence[str] = (), on_progress: Progress = lambda file, here, total: None
) -> list[Path]:
    """Fetch what a known model is imported from, unless it is here, and return the files.

    Args:
        name: the model.
        given: paths or URLs to take instead of where the files are published: the weights, and the
            labels behind them.
        on_progress: is told how far a file is.

    Raises:
        UnknownModel: no model has that name.
        NothingToFetch: its weights are in a package; says which.
        WeightsMissing, StorageError: a file cannot be fetched; says which to put where.
    """
    require_model(name)
    origin = origin_of(name)
    if origin == "package":
        raise NothingToFetch(
            f"the weights of {name} are in a package, not in a file to fetch; "
            f"{EFFICIENTNET_LITE[name].remedy}"
        )
    if origin == "keras" and not given:
        return [KERAS_APPLICATIONS[name].weights_file or _fetch_in_a_process(name, on_progress)]
    files = (
        lucid_files(name)
        if origin == "lucid"
        else (WeightFile("", KERAS_APPLICATIONS[name].own_file),)
    )
    if len(given) > len(files):
        raise NothingToFetch(
            f"{name} is imported from {len(files)} file{'s' * (len(files) > 1)}, but {len(given)} "
            "are given; give as many"
        )
    for index, file in enumerate(files):
        url = given[index] if index < len(given) else file.url
        _fetch(url, file.path, on_progress, anew=index < len(given))
    return [file.path for file in files]


def _fetch_in_a_process(name: str, on_progress: Progress) -> Path:
    """Let Keras fetch weights where nobody sees what TensorFlow and Keras print."""
    file = keras_folder() / KERAS_APPLICATIONS[name].file

    def tell(here: int) -> None:
        on_progress(file.name, here, None)

    try:
        with DeviceSlots([""]) as slots:
            return slots.run(fetch_by_keras, name, timeout_s=math.inf, on_progress=tell)
    except BaseException:
        file.unlink(missing_ok=True)  # a part of the file would be taken for the whole
        raise


def fetch_by_keras(name: str, on_progress: Callable[[int], object] = report_progress) -> Path:
    """Let Keras fetch the weights of a network, return the file, and tell how many of its bytes are
    here on the way.

    Raises:
        WeightsMissing: they cannot be fetched; says which file to put where.
    """
    from diamond_cutter.model_inventory.keras.applications import fetch_keras_weights

    file, fetched = keras_folder() / KERAS_APPLICATIONS[name].file, threading.Event()

    def watch() -> None:
        while not fetched.wait(_LOOK_S):
            if file.is_file():
                on_progress(file.stat().st_size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        path = fetch_keras_weights(name)
    finally:
        fetched.set()
        watcher.join()
    on_progress(path.stat().st_size)
    return path


def _fetch(url: str, path: Path, on_progress: Progress, *, anew: bool) -> None:
    # What the user names takes the place of what is here; the old file goes once the new one is
    # whole.
    place = path.with_name(f"{path.name}.given") if anew else path
    place.unlink(missing_ok=True) if anew else None
    source = url if re.match(r"[a-z]+://", url) else str(Path(url).expanduser().resolve())
    fetch_file(source, place, on_progress=lambda here, total: on_progress(path.name, here, total))
    if anew:
        place.replace(path)
