"""Small models as Keras saves them, and changes to their files."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest
from keras import layers

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.keras.files import load_keras_model

WARNINGS = [
    # Keras turns a variable into an array in a way that NumPy will drop, and warns of what the
    # tests save on purpose.
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    ),
    pytest.mark.filterwarnings(
        "ignore:The object being serialized includes a `lambda`:UserWarning"
    ),
]


def small(*extra: layers.Layer) -> keras.Model:
    keras.backend.clear_session()
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            *extra,
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


def refusal(path: Path) -> str:
    """Return the sentence that a file is refused with."""
    with pytest.raises(BadModel) as refused:
        load_keras_model(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def edit_config(path: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """Change the description of the layers in a file."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            edit(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    edit(config)
    members["config.json"] = json.dumps(config).encode()
    return write_zip(path, members)


def write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
