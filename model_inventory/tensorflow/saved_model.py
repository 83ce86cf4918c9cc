"""Reads a SavedModel, written by TensorFlow or by `model.export` of Keras, as one frozen graph.

Nothing of it runs. TensorFlow's loaders run the initialisers of a folder, which can write files
under any name. So the graph, its functions and its checkpoint are read here as data.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel, Quantised, shape_in_words
from diamond_cutter.model_inventory.graph.allowed_operations import refuse_operations
from diamond_cutter.model_inventory.graph.graph_def import make_identity, node_name, subgraph
from diamond_cutter.model_inventory.graph.operation_sets import SAME_VALUES, VARIABLES
from diamond_cutter.model_inventory.graph.plain_graph import (
    plain_graph,
    refuse_what_is_not_plain,
    with_constants,
)
from diamond_cutter.model_inventory.graph.precision import HALF, in_float32
from diamond_cutter.model_inventory.heads import (
    ACTIVATION_NAMES,
    Activation,
    Output,
    choose_output,
)
from diamond_cutter.model_inventory.tensorflow.function_inlining import inlined
from diamond_cutter.model_inventory.tensorflow.graph_checks import refuse_circles
from diamond_cutter.model_inventory.tensorflow.saved_variables import variable_values
from diamond_cutter.model_inventory.tensorflow.whole_number_images import (
    WHOLE_NUMBERS,
    take_floats,
)
from diamond_cutter.regular_files import open_regular

_MAX_BYTES = 2**31 - 1
# Operations that do not change values. They are removed before anything runs.
_TAKEN_OUT = VARIABLES | {
    "ReadVariableOp",
    "CheckNumerics",
    "Assert",
    "Print",
    "PrintV2",
    "StringFormat",
}
_CALL = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")


@dataclass(frozen=True)
class _Signature:
    """A signature of a SavedModel: its input and output tensors by name."""

    name: str
    inputs: Mapping[str, meta_graph_pb2.TensorInfo]
    outputs: Mapping[str, meta_graph_pb2.TensorInfo]

    def takes_an_image(self) -> bool:
        """Tell whether the only input is a tensor for `[batch, height, width, channel]`."""
        return len(self.inputs) == 1 and all(_is_image(info) for info in self.inputs.values())

    def takes_floats(self) -> bool:
        """Tell whether all inputs are float32."""
        return all(info.dtype == tf.float32.as_datatype_enum for info in self.inputs.values())


def read_saved_model(
    folder: Path, output_name: str | None = None
) -> tuple[tf.compat.v1.GraphDef, str, str]:
    """Return the graph of a SavedModel with constants for variables, and its input and output.

    The folder is read as data: none of its operations run, not even to restore variables. Of
    several signatures the first that takes one image is read: floats before whole numbers, and
    `serving_default` before others.

    Args:
        folder: of the SavedModel.
        output_name: one of `saved_model_outputs`; the first vector if omitted.

    Raises:
        BadModel: the folder is not a SavedModel, is damaged, has operations that are not allowed,
            or does not take exactly one image.
    """
    part = _served_part(folder)
    signature = _signature(folder, part)
    (image,) = (info.name for info in signature.inputs.values())
    name = output_name or choose_output(saved_model_outputs(folder)).name
    try:
        graph, output = _with_values(folder, part, image, signature.outputs[name].name)
        traced = tf.Graph()
        with traced.as_default():
            tf.graph_util.import_graph_def(graph, name="")
        plain, (kept,) = plain_graph(traced, node_name(image), [output])
    except Quantised as error:
        raise BadModel(f"{folder} {error}") from error
    except BadModel as error:
        if str(error).startswith(str(folder)):
            raise
        raise BadModel(
            f"{folder} cannot be rendered: {error}. Export it without that part."
        ) from error
    except Exception as error:  # TensorFlow raises anything for contradictory graphs
        raise BadModel(
            f"{folder} cannot be loaded ({first_line(error)}). Export it again."
        ) from error
    return _with_short_names(plain, [image, kept])


def saved_model_outputs(folder: Path) -> tuple[Output, ...]:
    """Return the outputs of floats of the signature that `read_saved_model` reads.

    Raises:
        BadModel: the folder is not a SavedModel, is damaged, does not take one image, or returns no
            floats.
    """
    part = _served_part(folder)
    floats = {
        name: info
        for name, info in sorted(_signature(folder, part).outputs.items())
        if tf.as_dtype(info.dtype).is_floating
    }
    if not floats:
        raise BadModel(
            f"{folder} returns no numbers: expected a tensor of floats. Export it with a signature "
            "that returns one."
        )
    return tuple(
        Output(
            name=name,
            shape=_sides(info)[1:],
            activation=_activation(part, info.name) if len(floats) > 1 else None,
        )
        for name, info in floats.items()
    )


def _activation(part: meta_graph_pb2.MetaGraphDef, tensor: str) -> Activation | None:
    """Return the last operation of an output, or None if the graph does not show it."""
    try:
        graph, (tensor,) = inlined(part.graph_def, [tensor])
    except BadModel:  # it may be that of an output that is not chosen
        return None
    nodes = {node.name: node for node in graph.node}
    node = nodes[node_name(tensor)]
    while node.op in SAME_VALUES and node.input:
        node = nodes[node_name(node.input[0])]
    return ACTIVATION_NAMES.get(node.op, "none")


def _served_part(folder: Path) -> meta_graph_pb2.MetaGraphDef:
    saved = _parse(folder)
    return next(
        (graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags),
        saved.meta_graphs[0],
    )


def _with_values(
    folder: Path, part: meta_graph_pb2.MetaGraphDef, image: str, output: str
) -> tuple[tf.compat.v1.GraphDef, str]:
    """Return the path from image to output, after checking it, with constants for variables."""
    whole, (output,) = inlined(part.graph_def, [output])
    if node_name(image) not in {node.name for node in whole.node}:
        raise BadModel(
            f"{folder} has a signature that does not fit its graph: expected {output} to depend "
            f"on {image}. Export it again."
        )
    graph = subgraph(whole, [image, output])
    refuse_circles(graph, folder)
    take_floats(graph, node_name(image))
    in_float32(graph)
    refuse_what_is_not_plain(graph, {node_name(image), *_variables(graph)})
    refuse_operations(whole.node, f"{folder}", also=_TAKEN_OUT)
    restore = part.saver_def.restore_op_name
    restoring, _ = (
        inlined(part.graph_def, [], [restore]) if restore else (tf.compat.v1.GraphDef(), [])
    )
    values = variable_values(folder, restoring, _variables(graph))
    graph = with_constants(
        graph, {name: functools.partial(np.asarray, value) for name, value in values.items()}
    )
    for node in graph.node:
        if node.op == "ReadVariableOp":
            make_identity(node, node.attr["dtype"].type)
    return graph, output


def _variables(graph: tf.compat.v1.GraphDef) -> list[str]:
    return [node.name for node in graph.node if node.op in VARIABLES]


def _parse(folder: Path) -> saved_model_pb2.SavedModel:
    file = folder / "saved_model.pb"
    if not folder.is_dir():
        raise BadModel(f"folder {folder} does not exist. Give the folder of a SavedModel.")
    if not file.is_file():
        text = (folder / "saved_model.pbtxt").is_file()
        found = ", found saved_model.pbtxt, a SavedModel as text" if text else ""
        raise BadModel(
            f"{folder} is not a SavedModel: expected saved_model.pb{found}. Give the folder that "
            "model.export or tf.saved_model.save wrote."
        )
    if file.stat().st_size > _MAX_BYTES:
        raise BadModel(
            f"{file} is too large: expected at most {_MAX_BYTES} bytes, found "
            f"{file.stat().st_size}. Export the model again."
        )
    saved = saved_model_pb2.SavedModel()
    try:
        with open_regular(file) as opened:
            saved.ParseFromString(opened.read())
    except OSError as error:
        raise BadModel(
            f"{file} cannot be read ({error.strerror or error}). Give a readable regular file."
        ) from error
    except Exception as error:  # protobuf's own, whose package is Google's
        raise BadModel(
            f"{file} is truncated or not a SavedModel. Export or download it again."
        ) from error
    if not any(graph.graph_def.node for graph in saved.meta_graphs):
        raise BadModel(f"{file} has no graph. Export or download it again.")
    return saved


def _signature(folder: Path, part: meta_graph_pb2.MetaGraphDef) -> _Signature:
    signatures = [
        _Signature(name, dict(signature.inputs), dict(signature.outputs))
        for name, signature in sorted(
            part.signature_def.items(), key=lambda item: (item[0] != "serving_default", item[0])
        )
        if not name.startswith("__")
    ]
    if not signatures:
        raise BadModel(
            f"{folder} has no signature. Export it with model.export, or pass signatures= to "
            "tf.saved_model.save."
        )
    fitting = [signature for signature in signatures if signature.takes_an_image()]
    if fitting:
        return next((each for each in fitting if each.takes_floats()), fitting[0])
    first = signatures[0]
    takes = (
        ", ".join(f"{name} {_in_words(info)}" for name, info in sorted(first.inputs.items()))
        or "no input"
    )
    raise BadModel(
        f"{folder} does not take one image: expected float32 or uint8 [batch, "
        f"height, width, channels], found {takes}. Export it with a signature that takes an image."
    )


def _with_short_names(
    graph: tf.compat.v1.GraphDef, tensors: list[str]
) -> tuple[tf.compat.v1.GraphDef, str, str]:
    """Drop the names of calls from the names of nodes if the rest is unique."""
    names = [node.name for node in graph.node]
    short = {name: _CALL.sub("", name) for name in names}
    if len(set(short.values())) == len(names):
        for node in graph.node:
            node.name = short[node.name]
            node.input[:] = [
                short[node_name(reference)] + reference[len(node_name(reference)) :]
                for reference in node.input
            ]
        tensors = [
            short[node_name(tensor)] + tensor[len(node_name(tensor)) :] for tensor in tensors
        ]
    image, output = tensors
    return graph, image, output


def _is_image(info: meta_graph_pb2.TensorInfo) -> bool:
    shape = info.tensor_shape
    numbers = info.dtype in {tf.float32.as_datatype_enum, *HALF, *WHOLE_NUMBERS}
    return numbers and (shape.unknown_rank or len(shape.dim) == 4)


def _sides(info: meta_graph_pb2.TensorInfo) -> tuple[int | None, ...]:
    return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)


def _in_words(info: meta_graph_pb2.TensorInfo) -> str:
    any_shape = info.tensor_shape.unknown_rank
    shape = "of any shape" if any_shape else shape_in_words(_sides(info))
    return f"{tf.as_dtype(info.dtype).name} {shape}"
