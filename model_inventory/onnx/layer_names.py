"""Chooses and names the layers of an ONNX graph.

PyTorch names nodes by modules: `/layer1/layer1.0/conv1/Conv` in its older exporter, a list of
scopes in the metadata in the newer one. Both become the name of the module, `layer1.0.conv1`. Other
names stay as they are.
"""

import ast
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from diamond_cutter.model_inventory.card import NamedLayer
from diamond_cutter.model_inventory.graph.graph_def import in_forward_order, node_name
from diamond_cutter.model_inventory.graph.layer_discovery import Structure
from diamond_cutter.model_inventory.graph.operation_sets import WEIGHTED

if TYPE_CHECKING:
    from onnx import NodeProto

_SCOPES = "pkg.torch.onnx.name_scopes"
_LONGEST, _LONGEST_METADATA = 120, 4000


# Operators whose values are layers, beside the last values of units.
_LAYERS = frozenset(
    (
        "BatchNormalization Clip Concat Conv ConvTranspose Gemm HardSwish InstanceNormalization "
        "LayerNormalization LeakyRelu MatMul PRelu Relu"
    ).split()
)


def node_names(nodes: Sequence["NodeProto"]) -> list[str]:
    """Return a name for each node, unique among them."""
    times: Counter[str] = Counter()
    names = []
    for number, node in enumerate(nodes):
        wanted = _shortened(_scope_name(node) or _path_name(node) or f"{node.op_type}_{number}")
        name = wanted
        while times[name]:
            times[wanted] += 1
            name = f"{wanted}_{times[wanted] - 1}"
        times[name] += 1
        names.append(name)
    return names


def _path_name(node: "NodeProto") -> str:
    """Return the module of a node of PyTorch's older exporter, or its own name."""
    own = node.name or next((output for output in node.output if output), "")
    if not own.startswith("/"):
        return own
    *modules, last = [part for part in own.split("/") if part] or [own]
    operator = last.rpartition("_")[0] if last.rpartition("_")[2].isdigit() else last
    if operator != node.op_type or not modules:
        return own.strip("/")
    return _with_operator(node, _module(modules), last)


def _module(parts: Sequence[str]) -> str:
    """Return `layer1.0.conv1` for `layer1`, `layer1.0`, `conv1`."""
    kept: list[str] = []
    for part in parts:
        if kept and part.startswith(f"{kept[-1]}."):
            kept.pop()
        kept.append(part)
    return ".".join(kept)


def _scope_name(node: "NodeProto") -> str:
    """Return the module of a node of PyTorch's newer exporter, or nothing."""
    text = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
    if not text or len(text) > _LONGEST_METADATA:
        return ""
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ""
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        return ""
    modules = [scope for scope in scopes[:-1] if scope]
    return _with_operator(node, modules[-1], node.op_type) if modules else ""


def _with_operator(node: "NodeProto", module: str, operator: str) -> str:
    """Return the module, with the operator if it joins the values of other modules."""
    joins = len(node.input) > 1 and node.op_type in ("Add", "Concat", "Mul", "Sub", "Sum")
    return f"{module}.{operator.lower()}" if joins else module


def _shortened(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def named_layers(
    graph: tf.compat.v1.GraphDef,
    output: str,
    names: Mapping[str, str],
    operators: Mapping[str, str],
) -> tuple[NamedLayer, ...]:
    """Return the layers that depend on weights: values of some operators, and ends of units."""
    ends = {layer.tensor for layer in Structure(graph, "input:0", output).layers()}
    weighted: set[str] = set()
    order: dict[str, int] = {}
    for place, node in enumerate(in_forward_order(graph)):
        order[node.name] = place
        if node.op in WEIGHTED or any(node_name(each) in weighted for each in node.input):
            weighted.add(node.name)
    chosen = [
        (tensor, name)
        for tensor, name in names.items()
        if node_name(tensor) in weighted and (tensor in ends or operators[name] in _LAYERS)
    ]
    chosen.sort(key=lambda each: order[node_name(each[0])])
    return tuple(NamedLayer(name, tensor) for tensor, name in chosen)
