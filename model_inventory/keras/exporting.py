"""Converts bundles back into the Keras models that they came from, with preprocessing inside."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.attached import EPSILON, Attached
from diamond_cutter.model_inventory.bundle import Bundle, parse_graph
from diamond_cutter.model_inventory.card import ImageSpec, ModelCard
from diamond_cutter.model_inventory.errors import NoKerasModel
from diamond_cutter.model_inventory.graph.graph_def import activation_behind, constant_value
from diamond_cutter.model_inventory.graph.operation_sets import PROBABILITIES
from diamond_cutter.model_inventory.keras.calls import in_float32
from diamond_cutter.model_inventory.keras.model_cutting import (
    head_output,
    outputs_of_layers,
    without_probabilities,
)
from diamond_cutter.model_inventory.keras.signature import input_shapes
from diamond_cutter.model_inventory.keras.tracing import weight_placeholders
from diamond_cutter.model_inventory.tensorflow.serving import served_values

# Far above the rounding of float32, far below the difference of other weights.
_TOLERANCE = 1e-3


def write_keras_model(
    bundle: Bundle, cards: Sequence[ModelCard], source: keras.Model, file: Path
) -> None:
    """Write a bundle as a `.keras` file of the model that `keras_model_of` returns.

    Raises:
        NoKerasModel: Keras cannot express the model, or computes other values than the bundle.
        OSError: the disk is full, or the file cannot be written.
    """
    with in_float32(source):
        try:
            model = keras_model_of(bundle, cards, source)
            agrees = _agrees(model, bundle)
        except (
            ValueError,
            TypeError,
            AttributeError,
            LookupError,
        ) as error:  # of Keras, for unusual layers
            raise NoKerasModel(
                f"Keras cannot express {bundle.card.name} ({first_line(error)})"
            ) from error
        if not agrees:
            raise NoKerasModel(
                f"the Keras model of {bundle.card.name} computes other values than its bundle"
            )
        model.save(file)


def keras_model_of(bundle: Bundle, cards: Sequence[ModelCard], source: keras.Model) -> keras.Model:
    """Return the Keras model of a bundle, with the weights of the bundle.

    It takes float32 `[batch, height, width, channel]` with values in 0..255, in the order RGB if
    they have colours, and returns the logits, float32 `[batch, class]`. A model without logits
    returns its output.

    Args:
        bundle: of the model.
        cards: of the models that new layers were attached to, in the order in which that was
            done: first the card of `source`, last the bundle's own. Only the bundle's card if it
            has no new layers.
        source: the Keras model that the first card was imported from. It is changed.

    Raises:
        NoKerasModel: the source cannot be cut at a layer, or its weights do not fit.
    """
    variables = _variables(source)
    network = source
    for card in cards[1:]:
        if card.attached is not None:
            network = _with_new_layers(network, card, card.attached, variables)
    _assign(variables, bundle)
    card = bundle.card
    if len(cards) == 1 and card.logits_tensor and _has_probabilities(bundle):
        network = without_probabilities(network, card.head)
    return _with_preprocessing(network, card)


def _variables(source: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables of a model by the names of their constants in its bundle."""
    with tf.Graph().as_default():
        return {tensor.op.name: each for each, tensor in weight_placeholders(source)}


def _with_new_layers(
    network: keras.Model,
    card: ModelCard,
    attached: Attached,
    variables: dict[str, keras.Variable],
) -> keras.Model:
    """Return a network cut at layers, with new layers; add their variables to `variables`."""
    image = keras.Input(input_shapes(network)[0][1:])
    x = outputs_of_layers(network, image, attached.at)
    if attached.convolutions:
        x = [_joined(x)]
    names = {layer.tensor: layer.name for layer in card.layers}
    for number, tensor in enumerate(attached.convolution_tensors, start=1):
        x = [_convolved(x[0], number, names[tensor], attached, variables)]
    pooled = [keras.layers.GlobalAveragePooling2D()(each) for each in x]
    head = keras.layers.Dense(card.check_logits().channels, name="logits")
    logits = head(_joined(pooled))
    variables[f"{attached.head}/kernel"] = head.kernel
    variables[f"{attached.head}/bias"] = head.bias
    return keras.Model(image, logits, name=_keras_name(card))


def _convolved(
    x: keras.KerasTensor,
    number: int,
    name: str,
    attached: Attached,
    variables: dict[str, keras.Variable],
) -> keras.KerasTensor:
    """Call a new convolution with BatchNorm and ReLU, and add its variables to `variables`."""
    width, constants = attached.convolutions[number - 1], attached.convolution(number)
    convolution = keras.layers.Conv2D(
        width, 3, padding="same", use_bias=False, name=f"{name}_convolution"
    )
    norm = keras.layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_normalization")
    x = keras.layers.ReLU(name=name)(norm(convolution(x)))
    variables |= {
        f"{constants}/kernel": convolution.kernel,
        f"{constants}/gamma": norm.gamma,
        f"{constants}/beta": norm.beta,
        f"{constants}/mean": norm.moving_mean,
        f"{constants}/variance": norm.moving_variance,
    }
    return x


def _joined(tensors: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    return keras.layers.Concatenate()(tensors) if len(tensors) > 1 else tensors[0]


def _assign(variables: Mapping[str, keras.Variable], bundle: Bundle) -> None:
    """Set the variables to the constants of the bundle; those that it does not need stay."""
    for node in parse_graph(bundle).node:
        if node.op == "Const" and node.name in variables:
            value, variable = constant_value(node), variables[node.name]
            if value.shape != tuple(variable.shape):
                raise NoKerasModel(
                    f"the weights {node.name} do not fit the Keras model: expected shape "
                    f"{tuple(variable.shape)}, found {value.shape}"
                )
            variable.assign(value)


def _has_probabilities(bundle: Bundle) -> bool:
    tensor = bundle.card.logits_tensor
    return tensor is not None and activation_behind(parse_graph(bundle), tensor) in PROBABILITIES


def _with_preprocessing(network: keras.Model, card: ModelCard) -> keras.Model:
    """Return a model that converts images with values in 0..255 for a network, and calls it."""
    image, taken = card.image, input_shapes(network)[0]
    images = keras.Input((*taken[1:3], image.channels), name="images")
    x = keras.ops.flip(images, axis=-1) if image.channel_order == "bgr" else images
    x = keras.layers.Rescaling(*_scale_and_offset(image), name="preprocessing")(x)
    if len(taken) == 3:  # grey images without an axis for their one channel
        x = keras.ops.squeeze(x, axis=-1)
    output = head_output(network(x), card.head)
    return keras.Model(images, _as_logits(output, card), name=_keras_name(card))


def _as_logits(scores: keras.KerasTensor, card: ModelCard) -> keras.KerasTensor:
    """Return the logits of a card, made of the scores as in its graph (`graph/logit_nodes.py`)."""
    if card.logits_tensor is None:
        return scores
    if len(scores.shape) > 2:
        scores = keras.ops.mean(scores, axis=tuple(range(1, len(scores.shape) - 1)))
    if card.head_kind == "two classes":
        return keras.layers.Concatenate()([-scores / 2, scores / 2])
    return scores


def _scale_and_offset(image: ImageSpec) -> tuple[Any, Any]:
    """Return the factor and the summand for values in 0..255: one number, or a list by channel."""
    scales = [(high - low) / 255 for low, high in image.value_range]
    offsets = [low for low, _high in image.value_range]
    return (scales[0], offsets[0]) if len(scales) == 1 else (scales, offsets)


def _keras_name(card: ModelCard) -> str:
    return card.name.replace("/", ".")  # Keras allows no slash


def _agrees(model: keras.Model, bundle: Bundle) -> bool:
    """Tell whether a model computes the same as a bundle, for noise images."""
    image = bundle.card.image
    noise = np.random.default_rng(0).uniform(0, 255, (2, *image.shape)).astype(np.float32)
    images = tf.constant(noise)
    expected = tf.function(lambda: served_values(bundle, images), autograph=False)().numpy()
    found: npt.NDArray[np.float32] = np.asarray(model(images, training=False))
    largest = float(np.abs(expected).max())
    return found.shape == expected.shape and bool(
        np.abs(found - expected).max() <= _TOLERANCE * largest + 1e-6
    )
