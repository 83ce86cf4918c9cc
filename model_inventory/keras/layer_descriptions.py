"""Refuses descriptions of layers that contain code, or classes and functions unknown to Keras."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.keras.hub import check_hub_class, is_of_hub

# How a program that has the model exports it, by the version of Keras that it uses.
_EXPORT = "export it with model.export(FOLDER)"
_KERAS_2_EXPORT = 'save it with model.save(FOLDER, save_format="tf")'
# These hold code, call code of other frameworks, or read whatever file their configuration names.
_CODE = {"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer"}
_READS_FILES = {"StringLookup", "IntegerLookup", "TextVectorization"}
_KERAS_2_OPERATIONS = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}
# Options that layers of Keras 2 and of early versions of Keras 3 had and never used. Keras refuses
# them.
_OBSOLETE = {
    "DepthwiseConv1D": {"groups"},
    "DepthwiseConv2D": {"groups"},
    "Conv1DTranspose": {"groups"},
    "Conv2DTranspose": {"groups"},
    "Conv3DTranspose": {"groups"},
    "RandomRotation": {"value_range"},
    "SeparableConv1D": {
        "groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"
    },
    "SeparableConv2D": {
        "groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"
    },
}  # fmt: skip
_ANY_INITIALISER: Mapping[str, Any] = {
    "module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None
}  # fmt: skip
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


def parse_description(path: Path, text: bytes | str) -> dict[str, Any]:
    """Return the description of the layers in a file, without losses and optimisers.

    Args:
        path: the file, for errors.
        text: the description as JSON.

    Raises:
        BadModel: the text is not a description.
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
    config.pop("compile_config", None)
    return config


def check_layers(path: Path, config: dict[str, Any]) -> None:
    """Check the description of the layers in a file: no code, and only classes of Keras.

    Args:
        path: the file, for errors.
        config: the description. Obsolete options are removed.

    Raises:
        BadModel: names the class or function, and its layer.
    """
    drop_foreign_initialisers(config, lambda name: _is_of_keras(name) or _is_registered(name))
    for described in described_objects(config):
        refuse_code(path, described)
        if described["class_name"] in _KERAS_2_OPERATIONS:
            raise BadModel(
                f"{path} was saved by Keras 2 with TensorFlow's operations as layers"
                f"{layer_in_brackets(described)}, which Keras 3 cannot load. {export_remedy()}"
            )
        if described["class_name"] == "function":
            _check_function(path, described)
        elif described["class_name"] not in _VALUES:
            _check_class(path, described, layer_in_brackets(described))
            _drop_obsolete_options(described)
            _take_only_ends_out_of_lists(described)


def described_objects(config: object) -> Iterator[dict[str, Any]]:
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


def drop_foreign_initialisers(config: object, is_known: Callable[[str], bool]) -> None:
    """Replace unknown classes and functions of initialisers: the file has the weights.

    Args:
        config: a description. It is changed.
        is_known: tells whether Keras has a class or function of a name.
    """
    for described in list(described_objects(config)):
        options = described.get("config")
        if not isinstance(options, dict):
            continue
        for option, value in options.items():
            if option.endswith("_initializer") and not _is_known_initialiser(value, is_known):
                options[option] = dict(_ANY_INITIALISER)


def _is_known_initialiser(value: object, is_known: Callable[[str], bool]) -> bool:
    if isinstance(value, dict):
        name = value.get("class_name")
        if name == "function":
            name = value.get("config")
        return isinstance(name, str) and (name in _CODE or is_known(name))  # code is refused
    return not isinstance(value, str) or is_known(value)


def refuse_code(path: Path, described: Mapping[str, Any], *, keras_2: bool = False) -> None:
    """Refuse an object that would run code of the file, or read other files.

    Args:
        path: the file, for errors.
        described: the object.
        keras_2: whether Keras 2 wrote the file.

    Raises:
        BadModel: names the class and its layer.
    """
    name, layer = described["class_name"], layer_in_brackets(described)
    if name in _CODE:
        kind = "a Lambda" if "lambda" in name.lower() else f"a {name}"
        how = (_KERAS_2_EXPORT if keras_2 else _EXPORT).replace("it", "the model", 1)
        raise BadModel(
            f"{path} has {kind}{layer}, which would run code from the file. Replace it by layers "
            f"of Keras and save the model again, or {how} and give that folder."
        )
    if name in _READS_FILES:
        raise BadModel(
            f"{path} is not a network for images: found a {name}{layer}, a layer for words. Give a "
            "model without it."
        )


def export_remedy(*, keras_2: bool = False) -> str:
    """Return the sentence that says how to export a model that cannot be loaded."""
    how = _KERAS_2_EXPORT if keras_2 else _EXPORT
    return f"In the program that made the model, {how} and give that folder."


def layer_in_brackets(described: Mapping[str, Any]) -> str:
    """Return the name of the layer that an object is, such as ` (layer conv1)`, or ''."""
    inner = described.get("config")
    named = isinstance(inner, dict) and isinstance(inner.get("name"), str)
    return f" (layer {inner['name']})" if named and inner else ""


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
            f"file must not bring code. {export_remedy()}"
        )


def _drop_obsolete_options(described: Mapping[str, Any]) -> None:
    options = described.get("config")
    for option in _OBSOLETE.get(described["class_name"], ()):
        if isinstance(options, dict):
            options.pop(option, None)


def _take_only_ends_out_of_lists(described: Mapping[str, Any]) -> None:
    """Describe the only input and output of a network as Keras does since 3.11.

    Before, they stood in lists. An inner network that is described so returns a list now, which the
    layer after it refuses.
    """
    options = described.get("config")
    for ends in ("input_layers", "output_layers"):
        found = options.get(ends) if isinstance(options, dict) else None
        if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
            options[ends] = found[0]  # type: ignore[index]


def _check_function(path: Path, described: Mapping[str, Any]) -> None:
    module, name = described.get("module"), described.get("config")
    # KerasHub registers functions that read and upload files, and its classifiers need none.
    if not is_of_hub(described) and _is_registered(described.get("registered_name")):
        return
    if (
        module not in _FUNCTIONS_FROM
        or not isinstance(name, str)
        or (module == "builtins" and not _is_of_keras(name))
    ):
        whose = f"{module}.{name}" if module and module != "builtins" else f"{name}"
        raise BadModel(
            f"{path} needs the function {whose}: expected only functions of Keras, because a file "
            f"must not bring code. {export_remedy()}"
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
