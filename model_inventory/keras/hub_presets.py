"""Import of image classifiers that KerasHub builds: its own presets, and networks of timm.

The JSON files of a preset can name any class that KerasHub knows, so they are checked before
KerasHub reads them.
"""

import importlib
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.bundle import Bundle, make_bundle
from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.model_inventory.errors import BadModel, WeightsMissing
from diamond_cutter.model_inventory.imagenet import imagenet_labels
from diamond_cutter.model_inventory.keras.archives import check_h5_weights
from diamond_cutter.model_inventory.keras.hub_catalogue import (
    preset_files,
    preset_folder,
    preset_source,
    require_hub_packages,
)
from diamond_cutter.model_inventory.keras.layer_descriptions import check_layers, parse_description
from diamond_cutter.model_inventory.keras.signature import image_shape
from diamond_cutter.model_inventory.keras.tracing import trace
from diamond_cutter.model_inventory.preprocessing import Scaling, image_of
from diamond_cutter.regular_files import open_regular, read_regular

_LARGEST_DESCRIPTION_BYTES = 16 << 20
_IMAGENET = re.compile(r"imagenet|in1k", re.IGNORECASE)
_CLASSES_OF_IMAGENET = 1000
_LARGEST_SIDE_PX = 4096


def import_preset(name: str) -> Bundle:
    """Build the bundle of a preset on this machine.

    Raises:
        WeightsMissing: the preset or a package is not on this machine.
        BadModel: the preset is not valid.
    """
    source = preset_source(name)
    model = load_preset(name, preset_folder(name))
    traced, classes = trace(model), model.output_shape[-1]
    known = classes == _CLASSES_OF_IMAGENET and _is_of_imagenet(name)
    return make_bundle(
        name=name,
        source=source,
        graph=traced.graph,
        input_tensor=traced.input_tensor,
        output_tensor=traced.output_tensor,
        image=image_of_preset(name, model),
        labels=imagenet_labels() if known else (),
        layers=traced.layers,
    )


def load_preset(name: str, folder: Path) -> keras.Model:
    """Let KerasHub build the classifier in a folder, after checking its files.

    Raises:
        WeightsMissing: a package is not installed.
        BadModel: a file is not valid.
    """
    import_keras_hub(name)
    from keras_hub.models import ImageClassifier

    check_descriptions(name, folder)
    for file in preset_files(name):
        if file.endswith(".h5"):
            with open_regular(folder / file) as opened:
                check_h5_weights(Path(name, file), opened)
    keras.backend.clear_session()  # so that layers have the same names every time
    try:
        return ImageClassifier.from_preset(str(folder))
    except MemoryError as error:
        raise BadModel(
            f"{name} does not fit into memory. Use a machine with more memory."
        ) from error
    except Exception as error:  # KerasHub raises anything for contradictory files
        raise BadModel(
            f"{name} cannot be loaded by KerasHub {hub_version()} ({first_line(error)}). Delete "
            f"{preset_folder(name)} if it exists and fetch the model again, or choose another one."
        ) from error


def image_of_preset(name: str, model: keras.Model) -> ImageSpec:
    """Return the format of the images of a classifier of KerasHub, measured on its preprocessor.

    Raises:
        BadModel: the preprocessor does more than to resize and scale each channel.
    """
    converter = getattr(model.preprocessor, "image_converter", None)
    height, width, channels = image_shape(model)
    height, width = getattr(converter, "image_size", None) or (height, width)
    if converter is None or height is None or width is None:
        raise BadModel(f"{name} does not say how images are prepared. Choose another model.")
    if not (1 <= height <= _LARGEST_SIDE_PX and 1 <= width <= _LARGEST_SIDE_PX):
        raise BadModel(
            f"{name} has images of an unusual size: expected 1 to {_LARGEST_SIDE_PX} pixels, found "
            f"{height} x {width}. Choose another model."
        )
    noise = np.random.default_rng(0).integers(0, 256, (1, height, width, channels))
    black, white = np.zeros_like(noise), np.full_like(noise, 255)
    try:
        low, high, mixed = (
            np.asarray(converter(images.astype(np.float32)), np.float64)
            for images in (black, white, noise)
        )
    except Exception as error:  # KerasHub raises anything for contradictory numbers
        raise BadModel(
            f"{name} cannot prepare images ({first_line(error)}). Choose another model."
        ) from error
    if not np.allclose(low + (high - low) * noise / 255, mixed, rtol=1e-3, atol=1e-4):
        raise BadModel(
            f"{name} does not prepare images by scaling each channel. Choose another model."
        )
    lows, highs = low[0, 0, 0].tolist(), high[0, 0, 0].tolist()
    return image_of(Scaling(tuple(zip(lows, highs, strict=True))), height, width, channels)


def import_keras_hub(name: str) -> None:
    """Import KerasHub, for a preset.

    Raises:
        WeightsMissing: a package is not installed, or cannot be imported.
    """
    require_hub_packages(name)
    try:
        importlib.import_module("keras_hub")
    except Exception as error:  # of any package that it needs
        raise WeightsMissing(
            f"{name} needs the package keras-hub, which cannot be imported ({first_line(error)}). "
            "Run `pip install 'diamond-cutter[hub]'`."
        ) from error


def check_descriptions(name: str, folder: Path) -> None:
    """Check that the JSON files of a preset describe an image classifier, and name no other class.

    Raises:
        BadModel: a file is unreadable, or describes something else.
    """
    for file in preset_files(name):
        if not file.endswith(".json"):
            continue
        shown = Path(name, file)
        try:
            text = read_regular(folder / file, _LARGEST_DESCRIPTION_BYTES)
        except OSError as error:
            raise BadModel(
                f"{shown} is unreadable ({first_line(error)}). Run `diamond-cutter models fetch "
                f"{name}` again."
            ) from error
        if name.startswith("timm/"):
            _check_timm_description(name, shown, text)
            continue
        described = parse_description(shown, text)
        if file == "task.json" and not str(described["class_name"]).endswith("ImageClassifier"):
            raise no_classifier(name, str(described["class_name"])[:80])
        check_layers(shown, described)


def _check_timm_description(name: str, shown: Path, text: bytes) -> None:
    """Check that KerasHub will take a description for one of timm, which names no classes."""
    try:
        described: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModel(
            f"{shown} is unreadable ({first_line(error)}). Choose another model."
        ) from error
    fields = set(described) if isinstance(described, dict) else set()
    # With one of the others, KerasHub would take it for a preset, or for one of transformers.
    if "architecture" not in fields or fields & {"registered_name", "model_type"}:
        raise BadModel(f"{shown} is not a description of timm. Choose another model.")
    if not described.get("num_classes"):
        raise no_classifier(name, "a network without classes")


def no_classifier(name: str, found: str) -> BadModel:
    """Return the error for a preset that is no image classifier."""
    return BadModel(
        f"{name} is not an image classifier: expected a preset of KerasHub's ImageClassifier, "
        f"found {found}. Choose another model."
    )


def _is_of_imagenet(name: str) -> bool:
    """Tell whether KerasHub or timm says that a network was trained on ImageNet."""
    from keras_hub.models import ImageClassifier

    preset = ImageClassifier.presets.get(name.partition("/")[2], {})
    described = preset.get("metadata", {}).get("description", "")
    return _IMAGENET.search(f"{name} {described}") is not None


def hub_version() -> str:
    """Return the version of KerasHub."""
    return version("keras-hub")
