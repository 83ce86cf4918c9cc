"""Refuses descriptions of layers that contain code, or classes and functions unknown to Keras."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.keras.hub import check_hub_class, is_of_hub

EXPORT_REMEDY = (
    "In the program that made the model, export it with model.export(FOLDER) and give that folder."
)
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


def check_layers(path: Path, text: bytes | str) -> None:
    """Check the description of the layers in a file: no code, and only classes of Keras.

    Args:
        path: the file, for errors.
        text: the description as JSON.

    Raises:
        BadModel: names the class or function, and its layer.
    """
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
            f"Keras 3 cannot load. {EXPORT_REMEDY}"
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
    if is_of_hub(described):
        check_hub_class(path, described, layer)
        return
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
            f"file must not bring code. {EXPORT_REMEDY}"
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
            f"must not bring code. {EXPORT_REMEDY}"
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
