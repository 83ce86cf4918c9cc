"""Loads `.keras` and `.h5` files of Keras, after checking that they are intact and run no code."""

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import h5py
import keras

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.regular_files import open_regular

_CONFIG = "config.json"
_WEIGHTS = ("model.weights.h5", "model.weights.npz")
# Graphs hold at most 2 GiB of weights. The state of an optimiser can be twice as large.
_LARGEST_FILE_BYTES = 8 << 30
_LARGEST_CONFIG_BYTES = 64 << 20
# Trained weights hardly compress, and few weights are all zero.
_MOST_EXPANSION, _EXPANSION_FLOOR_BYTES = 20, 64 << 20
# These hold code, call code of other frameworks, or read whatever file their configuration names.
_CODE = {"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer"}
_READS_FILES = {"StringLookup", "IntegerLookup", "TextVectorization"}
_KERAS_2_OPERATIONS = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}
_FUNCTIONS_FROM = {
    "builtins",
    "keras.activations",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.ops",
}
# Parts of Keras that read, write or fetch files rather than make layers.
_NO_LAYERS_IN = {
    "utils",
    "datasets",
    "saving",
    "applications",
    "callbacks",
    "export",
    "backend",
    "config",
    "preprocessing",
    "distribution",
}
# What Keras itself writes for values that are no objects. Of its other names that begin with "__"
# one would run code or build any class.
_VALUES = {"__bytes__", "__slice__", "__ellipsis__", "__keras_tensor__", "__tensor__", "__numpy__"}


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
        _check_keras_archive(path)
    else:
        _check_h5(path)
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
            f"{path} cannot be loaded by Keras {keras.__version__} ({first_line(error)}). {_REMEDY}"
        ) from error
    if not isinstance(model, keras.Model):
        raise BadModel(
            f"{path} is not a model: expected a keras.Model, found a {type(model).__name__}. Save "
            "the whole model with model.save."
        )
    return model


_REMEDY = (
    "In the program that made the model, export it with model.export(FOLDER) and give that folder."
)


def _check_keras_archive(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise BadModel(
            f"{path} is truncated or not a .keras file: expected a zip archive. Save or download "
            "it again."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            damaged = archive.testzip()  # inflates everything, a little at a time
            if damaged:
                raise BadModel(f"{path} is damaged at {damaged}. Save or download it again.")
            _check_config(path, archive.read(_CONFIG))
            if _WEIGHTS[0] in archive.namelist():
                _check_h5_weights(path, io.BytesIO(archive.read(_WEIGHTS[0])))
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise BadModel(
            f"{path} is a damaged zip archive ({first_line(error)}). Save or download it again."
        ) from error


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    strange = [
        name
        for name in names
        if name.startswith(("/", "\\"))
        or ".." in PurePosixPath(name).parts
        or "\\" in name
        or ":" in name
    ]
    if strange or len(set(names)) < len(names):
        found = f"the file {strange[0]!r} outside of it" if strange else "two files of one name"
        raise BadModel(f"{path} is not a safe archive: found {found}. Do not use it.")
    if _CONFIG not in names or not any(name in names for name in _WEIGHTS):
        raise BadModel(
            f"{path} is not a .keras file: expected {_CONFIG} and weights. Save the model with "
            "model.save."
        )
    for member in members:
        _check_room(path, member.filename, declared=member.file_size, stored=member.compress_size)
    unpacked = sum(member.file_size for member in members)
    if unpacked > _LARGEST_FILE_BYTES:
        raise BadModel(
            f"{path} is too large: expected at most {_LARGEST_FILE_BYTES} bytes unpacked, found "
            f"{unpacked}. Do not use it."
        )
    _check_config_size(path, archive.getinfo(_CONFIG).file_size)


def _check_room(path: Path, part: str, *, declared: int, stored: int) -> None:
    if declared > _LARGEST_FILE_BYTES or (
        declared > _EXPANSION_FLOOR_BYTES and declared > _MOST_EXPANSION * stored
    ):
        raise BadModel(
            f"{path} is not safe to unpack: expected weights, which hardly compress, found {part}, "
            f"which grows from {stored} to {declared} bytes. Do not use it."
        )


def _check_config_size(path: Path, size: int) -> None:
    if size > _LARGEST_CONFIG_BYTES:
        raise BadModel(
            f"the description of the layers in {path} is too large: expected at most "
            f"{_LARGEST_CONFIG_BYTES} bytes, found {size}. Do not use it."
        )


def _check_h5(path: Path) -> None:
    if not h5py.is_hdf5(path):
        raise BadModel(f"{path} is truncated or not an HDF5 file. Save or download it again.")
    with path.open("rb") as file:
        config = _check_h5_weights(path, file)
    if config is None:
        raise BadModel(
            f"{path} has only weights: expected a whole model. Save it with model.save, or use the "
            "weights for a built-in model with `diamond-cutter models fetch MODEL --weights FILE`."
        )
    _check_config_size(path, len(config))
    _check_config(path, config)


def _check_h5_weights(path: Path, file: BinaryIO) -> bytes | str | None:
    """Check that the datasets are small and in the file; return the description of the layers."""
    try:
        with h5py.File(file, "r") as opened:
            for name, dataset in _datasets(path, opened):
                _check_room(
                    path,
                    name,
                    declared=dataset.size * dataset.dtype.itemsize,
                    stored=dataset.id.get_storage_size(),
                )
            config: bytes | str | None = opened.attrs.get("model_config")
            return config
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise BadModel(
            f"{path} is damaged or truncated ({first_line(error)}). Save or download it again."
        ) from error


def _datasets(path: Path, group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise BadModel(
                f"{path} refers to data outside itself ({group.name}/{name}). Do not use it."
            )
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(path, item)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise BadModel(
                    f"{path} refers to data outside itself ({item.name}). Do not use it."
                )
            yield str(item.name), item


def _check_config(path: Path, text: bytes | str) -> None:
    """Refuse a description of layers that contains code or classes unknown to Keras."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModel(
            f"the description of the layers in {path} is unreadable ({first_line(error)}). Save "
            "the model again."
        ) from error
    if not isinstance(config, dict) or "class_name" not in config:
        raise BadModel(f"{path} does not describe a model. Save the model with model.save.")
    config.pop("compile_config", None)  # losses and optimisers are not loaded
    for described in _objects(config):
        _check_object(path, described)


def _objects(config: object) -> Iterator[dict[str, Any]]:
    """Yield all objects with a class in a description, at any depth."""
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                yield item
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _check_object(path: Path, described: Mapping[str, Any]) -> None:
    name, inner = described["class_name"], described.get("config")
    layer = (
        f" (layer {inner['name']})"
        if isinstance(inner, dict) and isinstance(inner.get("name"), str)
        else ""
    )
    if name in _CODE:
        kind = "a Lambda" if "lambda" in name.lower() else f"a {name}"
        raise BadModel(
            f"{path} has {kind}{layer}, which would run code from the file. Replace it by layers "
            "of Keras and save the model again, or export the model with model.export(FOLDER) and "
            "give that folder."
        )
    if name in _KERAS_2_OPERATIONS:
        raise BadModel(
            f"{path} was saved by Keras 2 with TensorFlow's operations as layers{layer}, which "
            f"Keras 3 cannot load. {_REMEDY}"
        )
    if name in _READS_FILES:
        raise BadModel(
            f"{path} is not a network for images: found a {name}{layer}, a layer for words. Give a "
            "model without it."
        )
    if name == "function":
        _check_function(path, described)
    elif name not in _VALUES:
        _check_class(path, described, layer)


def _check_class(path: Path, described: Mapping[str, Any], layer: str) -> None:
    """Refuse a class unknown to Keras; `layer` is the name of the layer in brackets."""
    name, module = described["class_name"], described.get("module")
    if _is_registered(described.get("registered_name")) or _is_registered(name):
        return
    parts = module.split(".") if isinstance(module, str) else []
    foreign = bool(parts) and (
        parts[0] not in ("keras", "builtins")
        or (parts[0] == "keras" and parts[1:2] and parts[1] in _NO_LAYERS_IN)
    )
    unknown = not module and "registered_name" not in described and not _is_of_keras(name)
    homeless = "module" in described and module is None
    if foreign or unknown or homeless or ">" in name:
        whose = f"{module}.{name}" if foreign else name
        raise BadModel(
            f"{path} needs the class {whose}{layer}: expected only classes of Keras, because a "
            f"file must not bring code. {_REMEDY}"
        )


def _check_function(path: Path, described: Mapping[str, Any]) -> None:
    module, name = described.get("module"), described.get("config")
    if _is_registered(described.get("registered_name")):
        return
    if (
        module not in _FUNCTIONS_FROM
        or not isinstance(name, str)
        or (module == "builtins" and not _is_of_keras(name))
    ):
        whose = f"{module}.{name}" if module and module != "builtins" else f"{name}"
        raise BadModel(
            f"{path} needs the function {whose}: expected only functions of Keras, because a file "
            f"must not bring code. {_REMEDY}"
        )


def _is_registered(name: object) -> bool:
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _is_of_keras(name: str) -> bool:
    places = (
        keras, keras.layers, keras.models, keras.activations, keras.initializers,
        keras.regularizers, keras.constraints,
        keras.dtype_policies, keras.optimizers, keras.losses, keras.metrics,
    )  # fmt: skip
    return name in ("Functional", "Policy", "Model") or any(
        hasattr(place, name) for place in places
    )
