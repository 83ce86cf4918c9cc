"""Loads the Keras models that bundles were imported from."""

from pathlib import Path

import keras

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import BadModel, NoKerasModel, WeightsMissing
from diamond_cutter.model_inventory.file_kinds import model_format
from diamond_cutter.model_inventory.keras.applications import build, load_weights
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS
from diamond_cutter.model_inventory.keras.files import load_in_keras_3
from diamond_cutter.model_inventory.keras.hub_catalogue import (
    is_hub_name,
    preset_folder,
    preset_source,
)
from diamond_cutter.model_inventory.keras.hub_presets import load_preset
from diamond_cutter.model_inventory.packed_models import model_inside
from diamond_cutter.model_inventory.tensorflow.serving import last_layer
from diamond_cutter.model_inventory.user_models import content_hash, is_keras_file


def source_model(card: ModelCard, file: Path | None) -> keras.Model:
    """Return the Keras model that a bundle was imported from.

    Args:
        card: of the bundle.
        file: the user's Keras file, or for a network of keras.applications the file of its
            weights. None looks for the weights on this machine, where those of presets have to be.

    Raises:
        NoKerasModel: the model does not come from Keras, or its file is missing.
        BadModel: the file is not the one that the bundle was imported from.
    """
    if card.name in KERAS_APPLICATIONS:
        return _application(card, file)
    if is_hub_name(card.name):
        return _preset(card)
    if not is_keras_file(card.source):
        raise NoKerasModel(f"{card.name} does not come from a Keras model")
    if file is None:
        raise NoKerasModel(
            f"the bucket does not hold the Keras file of {card.name}. Give the file again with "
            f"--source; it was {card.source.origin}."
        )
    _check_source(card, file)
    with model_inside(file) as found:
        return load_in_keras_3(found)


def _application(card: ModelCard, given: Path | None) -> keras.Model:
    weights = given or KERAS_APPLICATIONS[card.name].weights_file
    if weights is None:
        raise NoKerasModel(
            f"the weights of {card.name} are not on this machine. Run `diamond-cutter models fetch "
            f"{card.name}` to download them."
        )
    if given is not None:
        _check_source(card, given)
    elif content_hash(weights) != card.source.weights_sha256:
        raise NoKerasModel(
            f"the weights of {card.name} on this machine are not those in the bucket. Give the "
            f"file with the sha256 {card.source.weights_sha256} with --source."
        )
    model = build(card.name, card.image.height, last_layer(card).channels)
    load_weights(model, weights, card.name)
    return model


def _preset(card: ModelCard) -> keras.Model:
    try:
        if preset_source(card.name).weights_sha256 != card.source.weights_sha256:
            raise NoKerasModel(
                f"the weights of {card.name} on this machine are not those in the bucket"
            )
        return load_preset(card.name, preset_folder(card.name))
    except WeightsMissing as error:
        raise NoKerasModel(str(error)) from error


def _check_source(card: ModelCard, file: Path) -> None:
    if file.is_dir():
        raise BadModel(f"{file} is a folder: expected a .keras or .h5 file. Give that file.")
    model_format(file)  # missing and unreadable files
    found = content_hash(file)
    if found != card.source.weights_sha256:
        raise BadModel(
            f"{file} is not the file that {card.name} was imported from: expected sha256 "
            f"{card.source.weights_sha256}, found {found}. Give {card.source.origin} with --source."
        )
