"""Reads a SavedModel, a folder that TensorFlow 1 or 2 or `model.export` of Keras wrote, as one frozen graph.

Nothing is loaded before its operations are looked through: those of a SavedModel can run Python or write files.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from model_inventory.errors import BadModel
from model_inventory.graph import node_name
from model_inventory.plain_graph import plain_graph

_MAX_BYTES = 2**31 - 1
_VARIABLES = {"VarHandleOp", "VariableV2", "Variable"}
_RUNS_OR_WRITES = {
    "PyFunc", "PyFuncStateless", "EagerPyFunc", "WriteFile", "ReadFile", "MatchingFiles", "PrintV2", "RemoteCall", "RpcCall",
    "ImmutableConst", "WholeFileReader", "WholeFileReaderV2", "SaveSlices", "DebugIdentityV2", "LoadLibrary",
}  # fmt: skip
# Keep a function a function: Keras has its convolutions in groups compiled by XLA.
_MARKS, _PLAIN = ("_XlaMustCompile", "_noinline"), "_in_place"
_CALL = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")


@dataclass(frozen=True)
class _Signature:
    """What a SavedModel offers to be called: the tensors that go in and come out, by their names in the signature."""

    name: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    def takes_an_image(self) -> bool:
        """Tell whether all that goes in is one float32 tensor that can be `[batch, height, width, channel]`."""
        return len(self.inputs) == 1 and all(_is_image(info) for info in self.inputs.values())


def read_saved_model(folder: Path) -> tuple[tf.compat.v1.GraphDef, str, str]:
    """Return a SavedModel's graph with constants for its variables, the tensor that images go into, and what comes out.

    Of several signatures the first that takes one image is read, `serving_default` before others; of several outputs the first vector.

    Raises:
        BadModel: it is no SavedModel, damaged, has operations that are unknown or would run code, or takes no single image.
    """
    saved = _parse(folder)
    part = next((graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags), saved.meta_graphs[0])
    _refuse_operations(folder, saved)
    _refuse_missing_variables(folder, part)
    signature = _signature(folder, part)
    load = _frozen_2 if part.object_graph_def.nodes else _frozen_1
    try:
        graph, image, output = load(folder, list(part.meta_info_def.tags), signature)
    except BadModel:
        raise
    except Exception as error:  # TensorFlow raises anything on a folder that does not fit itself
        raise BadModel(f"{folder} cannot be loaded ({_first_line(error)}); export it anew") from error
    try:
        plain, (kept,) = plain_graph(graph, node_name(image), [output])
    except BadModel as error:
        raise BadModel(f"{folder} cannot be rendered: {error}; export it without that part") from error
    return _with_short_names(plain, [image, kept])


def _parse(folder: Path) -> saved_model_pb2.SavedModel:
    file = folder / "saved_model.pb"
    if not folder.is_dir():
        raise BadModel(f"there is no folder {folder}; give the folder of a SavedModel")
    if not file.is_file():
        text = " but saved_model.pbtxt, a SavedModel as text" if (folder / "saved_model.pbtxt").is_file() else ""
        raise BadModel(f"{folder} holds no saved_model.pb{text}; give the folder that model.export or tf.saved_model.save wrote")
    if file.stat().st_size > _MAX_BYTES:
        raise BadModel(f"{file} has {file.stat().st_size} bytes, and it cannot have more than {_MAX_BYTES}; export the model anew")
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
    except Exception as error:  # protobuf's own, whose package is Google's
        raise BadModel(f"{file} is cut short or no SavedModel; export or fetch it anew") from error
    if not any(graph.graph_def.node for graph in saved.meta_graphs):
        raise BadModel(f"{file} holds no graph; export or fetch it anew")
    return saved


def _refuse_operations(folder: Path, saved: saved_model_pb2.SavedModel) -> None:
    """Refuse operations that TensorFlow does not know, or that reach beyond the graph, wherever in the folder's graphs they are."""
    found: dict[str, str] = {}
    functions: set[str] = set()
    for part in saved.meta_graphs:
        functions.update(function.signature.name for function in part.graph_def.library.function)
        found.update((node.op, node.name) for node in part.graph_def.node)
        found.update((node.op, node.name) for function in part.graph_def.library.function for node in function.node_def)
    dangerous = sorted(found.keys() & _RUNS_OR_WRITES)
    if dangerous:
        where = found[dangerous[0]]
        raise BadModel(
            f"{folder} holds operations that run code or reach for files ({_some(dangerous)} in {where}); export it without them"
        )
    unknown = sorted(op for op in found if op not in functions and op_def_registry.get(op) is None)
    if unknown:
        raise BadModel(
            f"{folder} has operations that TensorFlow {tf.__version__} does not know ({_some(unknown)}); give a model without them"
        )


def _refuse_missing_variables(folder: Path, part: Any) -> None:
    nodes = [*part.graph_def.node, *(node for function in part.graph_def.library.function for node in function.node_def)]
    variables = folder / "variables"
    complete = (variables / "variables.index").is_file() and any(variables.glob("variables.data-*"))
    if any(node.op in _VARIABLES for node in nodes) and not complete:
        raise BadModel(
            f"{folder} lacks its weights, the files variables/variables.index and variables.data-...; copy the folder as a whole"
        )


def _signature(folder: Path, part: Any) -> _Signature:
    signatures = [
        _Signature(name, dict(signature.inputs), dict(signature.outputs))
        for name, signature in sorted(part.signature_def.items(), key=lambda item: (item[0] != "serving_default", item[0]))
        if not name.startswith("__")
    ]
    if not signatures:
        raise BadModel(f"{folder} has no signature to call; export it with model.export, or save it with signatures=")
    fitting = [signature for signature in signatures if signature.takes_an_image()]
    if fitting:
        return fitting[0]
    first = signatures[0]
    takes = ", ".join(f"{name} {_words(info)}" for name, info in sorted(first.inputs.items())) or "nothing"
    raise BadModel(
        f"{folder} takes {len(first.inputs)} inputs ({takes}), and one image is expected, float32 [batch, height, width, channels]; "
        "export it with a signature that takes that"
    )


def _frozen_2(folder: Path, tags: Collection[str], signature: _Signature) -> tuple[tf.Graph, str, str]:
    loaded = tf.saved_model.load(str(folder), tags=tags)
    function = convert_variables_to_constants_v2(loaded.signatures[signature.name], lower_control_flow=False)
    if any(operation.type.endswith("PartitionedCall") for operation in function.graph.get_operations()):
        function = convert_variables_to_constants_v2(_without_marks(function), lower_control_flow=False)
    (image,) = function.inputs
    outputs = dict(zip(sorted(signature.outputs), function.outputs, strict=True))
    return function.graph, image.name, _main_output(folder, list(outputs.values())).name


def _without_marks(function: Any) -> Any:
    """Return a function whose calls can all be replaced by what they call."""
    graph = function.graph.as_graph_def()
    for node in (*graph.node, *(node for body in graph.library.function for node in body.node_def)):
        for mark in _MARKS:
            node.attr.pop(mark, None)
        for value in node.attr.values():
            if value.HasField("func"):
                value.func.name += _PLAIN
    for body in graph.library.function:
        body.signature.name += _PLAIN  # TensorFlow knows the other under its name
        for mark in _MARKS:
            body.attr.pop(mark, None)
    image, outputs = function.inputs[0], [tensor.name for tensor in function.outputs]

    def call(fed: tf.Tensor) -> list[tf.Tensor]:
        kept = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
        kept.node.extend(node for node in graph.node if node.name != node_name(image.name))
        return tf.graph_util.import_graph_def(kept, {image.name: fed}, outputs, name="")

    return tf.compat.v1.wrap_function(call, [tf.TensorSpec(image.shape, image.dtype, name=node_name(image.name))])


def _frozen_1(folder: Path, tags: Collection[str], signature: _Signature) -> tuple[tf.Graph, str, str]:
    (image,) = (info.name for info in signature.inputs.values())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, tags, str(folder))
        tensors = [session.graph.get_tensor_by_name(info.name) for _name, info in sorted(signature.outputs.items())]
        output = _main_output(folder, tensors).name
        frozen = tf.compat.v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), [node_name(output)])
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(frozen, name="")
    if node_name(image) not in {node.name for node in frozen.node}:
        raise BadModel(f"{folder} computes {output} from something else than {image}; export it with a signature of what it computes")
    return graph, image, output


def _main_output(folder: Path, tensors: Collection[tf.Tensor]) -> tf.Tensor:
    """Return what a model is for: of several outputs the first vector, or else the first tensor."""
    floats = [tensor for tensor in tensors if tensor.dtype.is_floating]
    if not floats:
        raise BadModel(f"{folder} returns no numbers; export it with a signature that returns a tensor")
    return next((tensor for tensor in floats if tensor.shape.rank == 2), floats[0])


def _with_short_names(graph: tf.compat.v1.GraphDef, tensors: list[str]) -> tuple[tf.compat.v1.GraphDef, str, str]:
    """Drop the names of calls from the names of the operations that were in the functions called, where the rest still tells them apart."""
    names = [node.name for node in graph.node]
    short = {name: _CALL.sub("", name) for name in names}
    if len(set(short.values())) == len(names):
        for node in graph.node:
            node.name = short[node.name]
            node.input[:] = [short[node_name(reference)] + reference[len(node_name(reference)) :] for reference in node.input]
        tensors = [short[node_name(tensor)] + tensor[len(node_name(tensor)) :] for tensor in tensors]
    image, output = tensors
    return graph, image, output


def _is_image(info: Any) -> bool:
    shape = info.tensor_shape
    return info.dtype == tf.float32.as_datatype_enum and (shape.unknown_rank or len(shape.dim) == 4)


def _words(info: Any) -> str:
    shape = info.tensor_shape
    sides = "of any shape" if shape.unknown_rank else "[" + ", ".join("any" if dim.size < 0 else str(dim.size) for dim in shape.dim) + "]"
    return f"{tf.as_dtype(info.dtype).name} {sides}"


def _some(names: Collection[str]) -> str:
    first = list(names)[:3]
    return ", ".join(first) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
