"""Reads the files of users' models, each by the reader of its format."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diamond_cutter.model_inventory.card import NamedLayer
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.file_kinds import Format
from diamond_cutter.model_inventory.heads import Choose, Output

if TYPE_CHECKING:
    import tensorflow as tf

_UNKNOWN_SIDE_PX = 64


@dataclass(frozen=True)
class ModelContent:
    """The content of a file.

    Attributes:
        graph: frozen.
        input_tensor: of the images, float32 `[batch, height, width, channel]`.
        output_tensor: the chosen output.
        image_shape: height, width and channels; sides are None if arbitrary or unknown, channels
            if unknown.
        outputs: all outputs.
        output: the chosen one.
        layers: in forward order; none if the file names none.
        value_range: values at the input for 0 and 1 in an image, estimated from the scaling inside
            the model; None if it does not scale.
        other_files: those beside the model that hold weights.
        class_names: that the file holds, in order.
    """

    graph: "tf.compat.v1.GraphDef"
    input_tensor: str
    output_tensor: str
    image_shape: tuple[int | None, int | None, int | None]
    outputs: tuple[Output, ...]
    output: Output
    layers: tuple[NamedLayer, ...] = ()
    value_range: tuple[float, float] | None = None
    other_files: tuple[Path, ...] = ()
    class_names: tuple[str, ...] = ()


def read_model(path: Path, kind: Format, choose: Choose, image_size: int | None) -> ModelContent:
    """Read a model.

    Args:
        path: of the file or folder.
        kind: its format.
        choose: chooses one of the outputs.
        image_size: side of the training images in pixels, if known.

    Raises:
        BadModel: the file is damaged, not safe, or no model of images.
    """
    if kind == "keras":
        try:
            return _keras_content(path, choose)
        except BadModel as error:
            # The network itself does not know its file.
            raise error if path.name in str(error) else BadModel(f"{path}: {error}") from error
    if kind == "onnx":
        return _onnx_content(path, choose, image_size)
    return _graph_content(path, kind, choose)


def _graph_content(path: Path, kind: Format, choose: Choose) -> ModelContent:
    from diamond_cutter.model_inventory.graph.graph_def import placeholder_shape

    if kind == "saved model":
        from diamond_cutter.model_inventory.tensorflow import saved_model

        outputs = saved_model.saved_model_outputs(path)
        output = choose(outputs)
        graph, input_tensor, output_tensor = saved_model.read_saved_model(path, output.name)
    else:
        from diamond_cutter.model_inventory.tensorflow import frozen_graph

        graph = frozen_graph.read_frozen_graph(path)
        input_tensor, outputs = frozen_graph.image_input(graph), frozen_graph.outputs(graph)
        output = choose(outputs)
        output_tensor = f"{output.name}:0"
    shape = placeholder_shape(graph, input_tensor)
    return ModelContent(
        graph=graph,
        input_tensor=input_tensor,
        output_tensor=output_tensor,
        image_shape=shape,
        outputs=outputs,
        output=output,
        value_range=_guessed_range(graph, input_tensor, shape),
    )


def _keras_content(path: Path, choose: Choose) -> ModelContent:
    from diamond_cutter.model_inventory.keras.files import load_keras_model
    from diamond_cutter.model_inventory.keras.tracing import trace

    traced = trace(load_keras_model(path), choose)
    return ModelContent(
        graph=traced.graph,
        input_tensor=traced.input_tensor,
        output_tensor=traced.output_tensor,
        image_shape=traced.image_shape,
        outputs=traced.outputs,
        output=traced.output,
        layers=traced.layers,
        value_range=traced.value_range,
    )


def _onnx_content(path: Path, choose: Choose, image_size: int | None) -> ModelContent:
    from diamond_cutter.model_inventory.onnx.importing import read_onnx_model

    model = read_onnx_model(path, choose, image_size)
    return ModelContent(
        graph=model.graph,
        input_tensor=model.input_tensor,
        output_tensor=model.output_tensor,
        image_shape=model.image_shape,
        outputs=model.outputs,
        output=model.output,
        layers=model.layers,
        value_range=model.value_range
        or _guessed_range(model.graph, model.input_tensor, model.image_shape),
        other_files=model.files,
        class_names=model.class_names,
    )


def _guessed_range(
    graph: "tf.compat.v1.GraphDef",
    input_tensor: str,
    shape: tuple[int | None, int | None, int | None],
) -> tuple[float, float] | None:
    from diamond_cutter.model_inventory.value_range import guess_value_range

    height, width, channels = shape
    sides = (height or _UNKNOWN_SIDE_PX, width or _UNKNOWN_SIDE_PX, channels or 3)
    return guess_value_range(graph, input_tensor, sides)
