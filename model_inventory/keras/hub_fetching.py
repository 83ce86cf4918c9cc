"""Fetches presets: KerasHub downloads them from Kaggle, and networks of timm from Hugging Face.

KerasHub reads the files of a preset only in our own folder, after they have been checked there.
"""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

import requests

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel, UnknownModel, WeightsMissing
from diamond_cutter.model_inventory.keras.hub_catalogue import (
    RECORD,
    FetchedPreset,
    preset_files,
    preset_folder,
)
from diamond_cutter.model_inventory.keras.hub_presets import (
    check_descriptions,
    hub_version,
    image_of_preset,
    import_keras_hub,
    load_preset,
    no_classifier,
)
from diamond_cutter.model_inventory.weights import cache_folder

_UNFINISHED = ".preset-"
_LEFT_AFTER_S = 86_400.0
_EXPORT = "With PyTorch and timm, export it as .onnx and add that file; see docs/own-models.md."


def fetch_preset(name: str, given: Path | None = None) -> list[Path]:
    """Let KerasHub download a preset, check that it can be imported, and keep it in our cache.

    Args:
        name: such as `kerashub/resnet_18_imagenet` or `timm/resnet18.a1_in1k`.
        given: the folder of the preset, if it is on this machine already.

    Returns:
        Its files.

    Raises:
        UnknownModel: KerasHub has no such preset.
        WeightsMissing: a file cannot be downloaded, or a package is missing.
        BadModel: the preset is no image classifier, cannot be converted, or is not valid.
    """
    import_keras_hub(name)
    place = str(given) if given else _place(name)
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        _remove_leftovers()
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=_UNFINISHED) as folder:
            made, replaced = Path(folder) / "preset", Path(folder) / "replaced"
            made.mkdir()
            _gather(name, place, made, copy=given is not None)
            image = image_of_preset(name, load_preset(name, made))
            record = FetchedPreset(
                origin=given.name if given else place, height=image.height, width=image.width
            )
            (made / RECORD).write_text(record.model_dump_json(), encoding="utf-8")
            _move(made, preset_folder(name), replaced)
    except OSError as error:
        raise WeightsMissing(
            f"{name} cannot be kept at {preset_folder(name)} ({first_line(error)}). Check the "
            "permissions and the free space."
        ) from error
    return [preset_folder(name) / file for file in preset_files(name)]


def _remove_leftovers() -> None:
    """Remove the folders of fetches that were killed at least a day ago."""
    for folder in cache_folder().glob(f"{_UNFINISHED}*"):
        with suppress(FileNotFoundError):  # another fetch removes it, too, or has just ended
            if time.time() - folder.stat().st_mtime > _LEFT_AFTER_S:
                shutil.rmtree(folder)


def download_folder(name: str) -> Path:
    """Return the folder in the cache of kagglehub or huggingface_hub into which a preset comes.

    Raises:
        WeightsMissing: a package is missing.
        UnknownModel: KerasHub has no such preset.
        BadModel: the preset is for other tasks.
    """
    import_keras_hub(name)
    from huggingface_hub import constants
    from kagglehub.config import get_cache_folder

    scheme, _colon, path = _place(name).partition("://")
    if scheme == "hf":
        return Path(constants.HF_HUB_CACHE) / f"models--{path.replace('/', '--')}" / "blobs"
    return Path(get_cache_folder()) / "models" / path


def _gather(name: str, place: str, folder: Path, *, copy: bool) -> None:
    """Bring the files of a preset into a folder; check those that describe it before the weights.

    Args:
        name: of the preset.
        place: its address or folder.
        folder: an empty one.
        copy: whether the owner of the files may change them.
    """
    described = [file for file in preset_files(name) if file.endswith(".json")]
    for file in described:
        _link_or_copy(_downloaded(name, place, file), folder / file, copy=True)
    check_descriptions(name, folder)
    _check_architecture(name, folder)
    for file in preset_files(name):
        if file not in described:
            _link_or_copy(_downloaded(name, place, file), folder / file, copy=copy)


def _place(name: str) -> str:
    """Return the address of a preset, as KerasHub takes it.

    Raises:
        UnknownModel: KerasHub has no such preset.
        BadModel: the preset is for other tasks.
    """
    from keras_hub.models import ImageClassifier
    from keras_hub.src.utils.preset_utils import BUILTIN_PRESETS

    origin, _slash, preset = name.partition("/")
    if origin == "timm":
        return f"hf://timm/{preset}"
    if preset not in BUILTIN_PRESETS:
        near = get_close_matches(preset, ImageClassifier.presets, n=3, cutoff=0.4)
        shown = near or sorted(ImageClassifier.presets)[:3]
        guess = " or ".join(f"kerashub/{other}" for other in shown)
        raise UnknownModel(
            f"KerasHub {hub_version()} has no preset {preset!r}: did you mean {guess}? See "
            "https://keras.io/keras_hub/presets for all presets."
        )
    if preset not in ImageClassifier.presets:
        raise no_classifier(name, "a preset for other tasks")
    return str(BUILTIN_PRESETS[preset]["kaggle_handle"])


def _downloaded(name: str, place: str, file: str) -> Path:
    """Let KerasHub download a file of a preset, and return its path."""
    from keras_hub.src.utils.preset_utils import get_file

    try:
        return Path(get_file(place, file)).resolve(strict=True)
    except Exception as error:  # of the network, of either hub, and of KerasHub for all of them
        cause = error.__cause__ or error
        # KerasHub takes a missing network for a missing file.
        if isinstance(error, FileNotFoundError) and "Local" not in type(cause).__name__:
            if file == "task.json":
                raise no_classifier(name, "a preset without task.json") from error
            raise WeightsMissing(
                f"{name} has no {file} at {place}. Choose another model."
            ) from error
        raise WeightsMissing(
            f"{file} of {name} cannot be downloaded from {place} ({_reason(cause)}). Check the "
            "name and the network."
        ) from error


def _reason(error: BaseException) -> str:
    """Return why a download failed, in one sentence of the library, or less."""
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return first_line(error).partition(". ")[0]


def _check_architecture(name: str, folder: Path) -> None:
    """Check that KerasHub can build the network, before its weights are downloaded."""
    from keras_hub.models import Backbone

    try:
        Backbone.from_preset(str(folder), load_weights=False)
    except Exception as error:  # KerasHub raises anything for contradictory files
        remedy = _EXPORT if name.startswith("timm/") else "Choose another model."
        raise BadModel(
            f"KerasHub {hub_version()} has no converter for {name} ({first_line(error)}). {remedy}"
        ) from error


def _link_or_copy(path: Path, place: Path, *, copy: bool) -> None:
    """Give a file a second name, or copy it, if its owner may change it or disks differ."""
    try:
        if not copy:
            os.link(path, place)
    except OSError:
        copy = True
    if copy:
        shutil.copyfile(path, place)


def _move(folder: Path, place: Path, replaced: Path) -> None:
    """Move a folder to a place; what is there already is moved to a third place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(replaced)
    folder.rename(place)
