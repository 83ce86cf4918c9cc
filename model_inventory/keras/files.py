"""Loads `.keras` and `.h5` files of Keras, after checking that they are intact and run no code."""

import tempfile
import zipfile
from pathlib import Path

import h5py
import keras

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.keras.archives import check_h5, check_keras_archive
from diamond_cutter.model_inventory.keras.layer_descriptions import EXPORT_REMEDY
from diamond_cutter.regular_files import open_regular


def load_keras_model(path: Path) -> keras.Model:
    """Load a model that Keras saved as `.keras` or `.h5`, weights included, without its optimiser.

    Raises:
        BadModel: there is no such file, it is damaged, it would take far more room than its size
            tells, it would run code, or it needs classes that Keras does not have; says which and
            what to do.
    """
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
    if kind == ".keras":
        check_keras_archive(path)
    else:
        check_h5(path)
    return _load(path, kind)


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


def _load(path: Path, kind: str) -> keras.Model:
    try:
        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / f"model{kind}"  # Keras goes by the name
            named.symlink_to(path.resolve())
            model = keras.saving.load_model(named, compile=False, safe_mode=True)
    except MemoryError as error:
        raise BadModel(
            f"{path} does not fit into memory. Use a machine with more memory."
        ) from error
    except Exception as error:  # Keras raises anything for contradictory files
        raise BadModel(
            f"{path} cannot be loaded by Keras {keras.__version__} ({first_line(error)}). "
            f"{EXPORT_REMEDY}"
        ) from error
    if not isinstance(model, keras.Model):
        raise BadModel(
            f"{path} is not a model: expected a keras.Model, found a {type(model).__name__}. Save "
            "the whole model with model.save."
        )
    return model
