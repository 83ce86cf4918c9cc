"""Builds the graph of an ONNX file from TensorFlow's operations, with the channels last.

The graph is built twice: for images of the file's own size, where every shape is known, and for
images of any size, with the shapes of the first.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.card import NamedLayer
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.graph.plain_graph import plain_graph, with_constants
from diamond_cutter.model_inventory.heads import Choose, Output
from diamond_cutter.model_inventory.onnx.conversion import Conversion
from diamond_cutter.model_inventory.onnx.layer_names import named_layers, node_names
from diamond_cutter.model_inventory.onnx.outputs import named_outputs
from diamond_cutter.model_inventory.onnx.reading import OnnxGraph, read_onnx_file

_UNKNOWN_SIDE_PX = 224
_WHOLE_NUMBERS = (0.0, 255.0)
_REMEDY = "Export it without that part, or only up to the layer before it."


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX file as a frozen graph.

    Attributes:
        graph: constants and one placeholder, with nothing folded.
        input_tensor: the placeholder, float32 `[batch, height, width, channel]`.
        output_tensor: the chosen output.
        layers: in forward order.
        image_shape: height, width and channels; a side is None if it is arbitrary.
        files: those beside the model that hold weights.
        outputs: all outputs of floats.
        output: the chosen one.
        value_range: values at the input for 0 and 1 in an image, if the file says so.
        class_names: that the file holds, in order.
    """

    graph: tf.compat.v1.GraphDef
    input_tensor: str
    output_tensor: str
    layers: tuple[NamedLayer, ...]
    image_shape: tuple[int | None, int | None, int]
    files: tuple[Path, ...]
    outputs: tuple[Output, ...]
    output: Output
    value_range: tuple[float, float] | None = None
    class_names: tuple[str, ...] = ()


def read_onnx_model(path: Path, choose: Choose, side_px: int | None = None) -> OnnxModel:
    """Return the model in an ONNX file.

    Args:
        path: of the file.
        choose: chooses one of the outputs.
        side_px: side of the training images, if the file takes images of any size.

    Raises:
        BadModel: the file is damaged or not safe, has an operator that is not known, or does not
            take one image.
    """
    source = read_onnx_file(path)
    try:
        built = _built(path, source, side_px)
        model = _model(source, built, choose)
        _refuse_mixed_images(model, built.own)
        return model
    except BadModel as error:
        if str(error).startswith(str(path)):
            raise
        raise BadModel(f"{path} cannot be imported: {error}. {_REMEDY}") from error


def _built(path: Path, source: OnnxGraph, side_px: int | None) -> Conversion:
    image = source.image
    own = (image.height or side_px or _UNKNOWN_SIDE_PX, image.width or side_px or _UNKNOWN_SIDE_PX)
    fixed = Conversion(path, source, own, {})
    fixed.convert((image.batch or 1, *own))
    for sides in ((None, None, None), (None, *own)):
        free = Conversion(path, source, own, fixed.shapes)
        try:
            free.convert(sides)
            return free
        except BadModel:
            continue
    raise BadModel("it takes only batches of one size")


def _refuse_mixed_images(model: OnnxModel, own: tuple[int, int]) -> None:
    """Compare the output for two images with that for one.

    A file that was exported for one image can join the axis of the images with others.
    """
    images = np.random.default_rng(0).random((2, *own, model.image_shape[2]), np.float32)
    images *= model.value_range[1] if model.value_range else 1
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = True  # longer than two runs
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session(config=options) as session:
            batch = tf.compat.v1.placeholder(tf.float32, [None, *images.shape[1:]])
            (output,) = run_inside(model.graph, model.input_tensor, batch, [model.output_tensor])
            both, one = (session.run(output, {batch: part}) for part in (images, images[1:]))
    except (tf.errors.OpError, ValueError) as error:
        raise BadModel(f"it does not run on two images ({first_line(error)})") from error
    if not np.isfinite(one).all():
        return  # weights that are not finite are refused elsewhere
    scale = float(np.abs(one).max(initial=1e-6))
    if both.shape[0] != 2 or not np.allclose(both[1:], one, atol=1e-3 * scale, equal_nan=True):
        raise BadModel("it mixes the images of a batch: expected a dynamic batch size")


def _model(source: OnnxGraph, built: Conversion, choose: Choose) -> OnnxModel:
    """Return the graph with constants for its weights."""
    kinds = {output: node.op_type for node in source.nodes for output in node.output}
    with built.graph.as_default():
        outputs = named_outputs(source.outputs, built.values, kinds)
        chosen = choose(tuple(outputs))
        output = tf.identity(outputs[chosen].data)
    layers = list(built.layers.values())
    tensors = [output, *(tensor for _name, tensor in layers)]
    arrays = built.weights.arrays
    hollow, kept = plain_graph(built.graph, "input", [tensor.name for tensor in tensors], arrays)
    graph = with_constants(
        hollow,
        {name: partial(np.ascontiguousarray, array) for name, array in arrays.items()},
    )
    names = dict(zip(kept[1:], (name for name, _tensor in layers), strict=True))
    image = source.image
    return OnnxModel(
        graph,
        "input:0",
        kept[0],
        named_layers(graph, kept[0], names, _operators(source)),
        (image.height, image.width, image.channels),
        tuple(source.files),
        tuple(outputs),
        chosen,
        _WHOLE_NUMBERS if image.whole else None,
        source.class_names,
    )


def _operators(source: OnnxGraph) -> dict[str, str]:
    """Return the operator of each node, by its unique name."""
    names = node_names(source.nodes)
    return {name: node.op_type for node, name in zip(source.nodes, names, strict=True)}
