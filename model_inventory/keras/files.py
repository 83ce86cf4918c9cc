"""Loads `.keras` and `.h5` files of Keras, after checking that they are intact and run no code.

Each file is loaded by the library of the Keras that wrote it. Keras 3 reads some files of Keras 2,
but refuses most, and computes others differently (`hard_sigmoid` has another slope).
"""

import importlib
import json
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import keras

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel, NoKerasModel
from diamond_cutter.model_inventory.keras.archives import (
    CONFIG,
    WEIGHTS,
    LayerDescription,
    check_h5,
    check_keras_archive,
)
from diamond_cutter.model_inventory.keras.keras_2_descriptions import (
    check_keras_2_layers,
    custom_objects,
)
from diamond_cutter.model_inventory.keras.layer_descriptions import (
    check_layers,
    export_remedy,
    parse_description,
)
from diamond_cutter.model_inventory.keras.libraries import keras_2
from diamond_cutter.regular_files import open_regular


def load_keras_model(path: Path) -> keras.Model:
    """Load a model that Keras saved as `.keras` or `.h5`, weights included, without its optimiser.

    A file of Keras 2 becomes a `tf_keras.Model`.

    Raises:
        BadModel: there is no such file, it is damaged, it would take far more room than its size
            tells, it would run code, or it needs classes that Keras does not have; says which and
            what to do.
    """
    kind, description = _checked(path)
    return _load(path, kind, description, keras_2() if description.by_keras_2 else keras)


def load_in_keras_3(path: Path) -> keras.Model:
    """Load a model as `load_keras_model` does, but in Keras 3, whoever wrote it.

    Raises:
        NoKerasModel: Keras 2 wrote the file, and Keras 3 cannot load it.
        BadModel: as from `load_keras_model`.
    """
    kind, description = _checked(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of options that Keras 2 wrote
            return _load(path, kind, description, keras)
    except BadModel as error:
        if not description.by_keras_2:
            raise
        raise NoKerasModel(
            f"{path.name} was written by Keras {description.version or 2}, and Keras 3 cannot "
            "load it"
        ) from error


def _checked(path: Path) -> tuple[str, LayerDescription]:
    """Check that a file is intact; return the suffix for its content, and what describes it."""
    if path.is_dir():
        raise BadModel(f"{path} is a folder: expected a .keras or .h5 file. Give that file.")
    try:
        open_regular(path).close()
    except FileNotFoundError as error:
        raise BadModel(f"file {path} does not exist. Give a .keras or .h5 file.") from error
    except OSError as error:
        raise BadModel(
            f"{path} cannot be read ({error.strerror or error}). Give a readable regular file."
        ) from error
    kind = _kind(path)
    return kind, check_keras_archive(path) if kind == ".keras" else check_h5(path)


def _kind(path: Path) -> str:
    """Return the suffix for the content of a file, or its own suffix if the content is unclear."""
    if zipfile.is_zipfile(path):
        return ".keras"
    if h5py.is_hdf5(path):
        return ".h5"
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise BadModel(
            f"{path} is not a Keras file: expected a zip archive or HDF5. Give a .keras or .h5 "
            "file."
        )
    return path.suffix


def _load(path: Path, kind: str, description: LayerDescription, library: ModuleType) -> keras.Model:
    config = parse_description(path, description.text)
    check = check_layers if library is keras else check_keras_2_layers
    check(path, config)
    changed = config if config != parse_description(path, description.text) else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / f"model{kind}"  # Keras goes by the name
            if library is not keras and kind == ".keras":
                model = _loaded_by_keras_2(path, named.parent, config)
            elif library is not keras:
                _link_or_copy(path, named, changed)
                model = library.saving.load_model(named, custom_objects(), compile=False)
            else:
                _link_or_copy(path, named, changed)
                model = keras.saving.load_model(named, compile=False, safe_mode=True)
    except MemoryError as error:
        raise BadModel(
            f"{path} does not fit into memory. Use a machine with more memory."
        ) from error
    except Exception as error:  # Keras raises anything for contradictory files
        raise BadModel(
            f"{path} cannot be loaded by {_in_words(library)} ({first_line(error)}). "
            f"{export_remedy(keras_2=description.by_keras_2)}"
        ) from error
    if not isinstance(model, library.Model):
        raise BadModel(
            f"{path} is not a model: expected a keras.Model, found a {type(model).__name__}. Save "
            "the whole model with model.save."
        )
    return model


def _loaded_by_keras_2(path: Path, folder: Path, config: Mapping[str, Any]) -> keras.Model:
    library = keras_2()
    # Keras 2 would read an archive from its beginning for each layer. So the weights are unpacked.
    with zipfile.ZipFile(path) as archive:
        weights = archive.extract(WEIGHTS, folder)
    serialization = importlib.import_module("tf_keras.src.saving.serialization_lib")
    with serialization.ObjectSharingScope():  # as in `load_model`
        model = library.saving.deserialize_keras_object(config, custom_objects(), safe_mode=True)
    model.load_weights(weights)
    return model


def _in_words(library: ModuleType) -> str:
    name = "Keras" if library is keras else "tf-keras"
    return f"{name} {library.__version__}"


def _link_or_copy(path: Path, named: Path, config: Mapping[str, Any] | None) -> None:
    """Give a file another name, and if there is one, another description of its layers."""
    if config is None:
        named.symlink_to(path.resolve())
    elif named.suffix == ".keras":
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(named, "w") as target:
            for member in source.infolist():
                if member.filename != CONFIG:
                    with (
                        source.open(member) as read,
                        target.open(member.filename, "w", force_zip64=True) as written,
                    ):
                        shutil.copyfileobj(read, written)
            target.writestr(CONFIG, json.dumps(config))
    else:
        shutil.copyfile(path, named)
        with h5py.File(named, "r+") as file:
            file.attrs["model_config"] = json.dumps(config)
