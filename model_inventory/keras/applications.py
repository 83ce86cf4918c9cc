"""Import of the networks of keras.applications, with weights from Keras or from a file."""

import re
from pathlib import Path

import keras

from diamond_cutter.model_inventory.bundle import Bundle, make_bundle
from diamond_cutter.model_inventory.card import ModelSource
from diamond_cutter.model_inventory.errors import BadModel, WeightsMissing
from diamond_cutter.model_inventory.imagenet import imagenet_labels
from diamond_cutter.model_inventory.keras.catalogue import (
    KERAS_APPLICATIONS,
    image_spec,
    keras_source,
)
from diamond_cutter.model_inventory.keras.tracing import trace
from diamond_cutter.model_inventory.weights import keras_folder


def import_keras_application(name: str) -> Bundle:
    """Build the bundle of a network, such as `keras/resnet50`, trained on ImageNet.

    Raises:
        WeightsMissing: the weights are not on this machine.
        BadModel: the file does not hold the weights.
    """
    source, application = keras_source(name), KERAS_APPLICATIONS[name]
    model = build(name, application.image_size)
    load_weights(model, application.weights_file or application.own_file, name)
    return to_bundle(name, model, source, application.image_size)


def fetch_keras_weights(name: str) -> Path:
    """Let Keras download the weights of a network, and return the file.

    Raises:
        WeightsMissing: the download failed; the text says where to put which file.
    """
    application = KERAS_APPLICATIONS[name]
    # If the folder is missing, Keras silently uses another.
    keras_folder().mkdir(parents=True, exist_ok=True)
    try:
        _builder(name)(
            weights="imagenet", input_shape=(application.image_size, application.image_size, 3)
        )
    except Exception as error:  # Keras raises plain exceptions for network and file errors
        reason = re.sub(r"\s+", " ", str(error)).strip()[:300]
        url = re.search(r"https?://\S+", reason)
        place = url[0].rstrip(".,:") if url else f"the file {application.file}"
        raise WeightsMissing(
            f"the weights of {name} cannot be downloaded ({reason}). Check the network, or put "
            f"{place} at {application.own_file}."
        ) from error
    return keras_folder() / application.file


def build(name: str, image_size: int, classes: int = 1000) -> keras.Model:
    """Build a network with reproducible initial weights."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return _builder(name)(weights=None, input_shape=(image_size, image_size, 3), classes=classes)


def load_weights(model: keras.Model, file: Path, name: str) -> None:
    """Load the weights of a network.

    Raises:
        BadModel: the file does not hold the weights.
    """
    try:
        model.load_weights(file)
    except Exception as error:  # HDF5 and Keras raise anything for invalid files
        reason = re.sub(r"\s+", " ", str(error)).strip()[:200].rstrip(".")
        raise BadModel(
            f"{file} does not hold the weights of {name} ({reason}). Delete it and download it "
            "again."
        ) from error


def to_bundle(name: str, model: keras.Model, source: ModelSource, image_size: int) -> Bundle:
    """Return the bundle of a built network."""
    traced, classes = trace(model), model.output_shape[-1]
    return make_bundle(
        name=name,
        source=source,
        graph=traced.graph,
        input_tensor=traced.input_tensor,
        output_tensor=traced.output_tensor,
        image=image_spec(KERAS_APPLICATIONS[name].preprocessing, image_size),
        labels=imagenet_labels() if classes == 1000 else (),
        layers=traced.layers,
    )


def _builder(name: str) -> type[keras.Model]:
    return getattr(keras.applications, KERAS_APPLICATIONS[name].builder)
