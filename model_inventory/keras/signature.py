"""The images that a Keras model takes, and its outputs."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel, shape_in_words
from diamond_cutter.model_inventory.graph.operation_sets import SAME_VALUES
from diamond_cutter.model_inventory.heads import ACTIVATION_NAMES, Activation, Output


def image_shape(model: keras.Model) -> tuple[int | None, int | None, int]:
    """Return the height, width and channels of the images of a model; arbitrary sides are None.

    Raises:
        BadModel: the model has several inputs, or takes no images.
    """
    shapes = input_shapes(model)
    if len(shapes) > 1:
        raise BadModel(
            f"{model.name} takes several inputs: expected one image, found {len(shapes)} inputs. "
            "Give a model that takes only the image."
        )
    if not shapes:
        raise BadModel(
            f"{model.name} has no input shape. Call it on an image, or give its first layer an "
            "input shape. Then save it again."
        )
    shape = shapes[0][1:]
    if len(shape) == 2 and None not in shape:
        shape = (*shape, 1)  # grey images without an axis for their one channel
    if len(shape) != 3 or shape[2] is None:
        raise BadModel(
            f"{model.name} does not take images: expected [batch, height, width, channels], found "
            f"{shape_in_words(shapes[0])}. Give a network for images."
        )
    return shape[0], shape[1], int(shape[2])


def input_shapes(model: keras.Model) -> list[tuple[int | None, ...]]:
    """Return the shape of each input with the batch; empty if the model was never called."""
    inputs = getattr(model, "inputs", None)
    if inputs:
        return [tuple(tensor.shape) for tensor in inputs]
    built = model.get_build_config() or {}
    shapes = (
        list(built["shapes_dict"].values())
        if "shapes_dict" in built
        else [built.get("input_shape")]
    )
    if shapes[0] is not None and isinstance(shapes[0][0], list | tuple):
        shapes = list(shapes[0])
    return [tuple(shape) for shape in shapes if shape is not None]


def named_outputs(model: keras.Model, outputs: Any) -> list[tuple[Output, tf.Tensor]]:
    """Return the outputs of floats of a model, described, and their tensors.

    Raises:
        BadModel: no output is a tensor of floats.
    """
    flat = tf.nest.flatten(outputs)
    found = [
        (_described(name, tensor), tensor)
        for name, tensor in zip(_output_names(model, outputs, len(flat)), flat, strict=True)
        if tf.is_tensor(tensor) and tensor.dtype.is_floating
    ]
    if not found:
        raise BadModel(
            f"{model.name} returns no numbers: expected a tensor of floats. Give a model that "
            "returns one."
        )
    return found


def _output_names(model: keras.Model, outputs: Any, count: int) -> list[str]:
    """Return the keys of a dictionary, or the names of the layers that make the outputs."""
    if isinstance(outputs, Mapping) and len(outputs) == count:
        return [str(key) for key in sorted(outputs)]  # as tf.nest orders them
    names = getattr(model, "output_names", None) or ()
    return list(names) if len(names) == count else [f"output_{n}" for n in range(1, count + 1)]


def _described(name: str, tensor: tf.Tensor) -> Output:
    shape = tensor.shape.as_list()[1:] if tensor.shape.rank else ()
    return Output(name=name, shape=tuple(shape), activation=_activation(tensor))


def _activation(tensor: tf.Tensor) -> Activation:
    operation = tensor.op
    while operation.type in SAME_VALUES:
        operation = operation.inputs[0].op
    return ACTIVATION_NAMES.get(operation.type, "none")
