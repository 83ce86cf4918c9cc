"""Adds operations behind the scores of a graph that make one vector of logits from them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.attached import free_scope
from diamond_cutter.model_inventory.graph.graph_def import constant_node, node_name

# From one score s to the logits of two classes. Their softmax is the sigmoid of s, and the second
# minus the first is s.
_TWO_CLASSES = ((-0.5, 0.5),)


class LogitTensors(NamedTuple):
    """The tensors of logits that are not a graph's output without its softmax.

    logits: float32 `[batch, class]`.
    output: the logits, or what a softmax or sigmoid makes of them.
    """

    logits: str
    output: str


def add_logits(
    graph: tf.compat.v1.GraphDef,
    scores: str,
    shape: Sequence[int | None],
    *,
    two_classes: bool,
    activation: str | None,
) -> tuple[tf.compat.v1.GraphDef, LogitTensors]:
    """Return a copy of a graph with more nodes, and the tensors of its logits.

    Scores at several positions are averaged.

    Args:
        graph: constants, operations and a placeholder.
        scores: the tensor of the scores, float32 `[batch, ..., score]`.
        shape: of the scores of one image.
        two_classes: make logits of two classes from one score.
        activation: `Softmax` or `Sigmoid`, which the output applies to the logits, or None.
    """
    added = _Added(graph, scores)
    if len(shape) > 1 and set(shape[:-1]) == {1}:
        sides = added.constant("vector/shape", np.array([-1, shape[-1]], np.int32))
        added.node("Reshape", "vector", [sides], Tshape=tf.int32)
    elif len(shape) > 1:
        axes = added.constant("mean/axes", np.arange(1, len(shape), dtype=np.int32))
        added.node("Mean", "mean", [axes], Tidx=tf.int32)
    if two_classes:
        weights = added.constant("logits/weights", np.array(_TWO_CLASSES, np.float32))
        added.node("MatMul", "logits", [weights])
    logits = added.last
    if activation is not None:
        added.node(activation, "probabilities", [])
    tensors = LogitTensors(f"{node_name(logits)}:0", f"{node_name(added.last)}:0")
    return added.graph, tensors


class _Added:
    """A copy of a graph that grows behind one tensor."""

    def __init__(self, graph: tf.compat.v1.GraphDef, tensor: str) -> None:
        self.graph = tf.compat.v1.GraphDef()
        self.graph.CopyFrom(graph)
        self.last = tensor.removesuffix(":0")
        self._scope = free_scope([node.name for node in graph.node], "scores")

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant, and return its name."""
        node = constant_node(f"{self._scope}/{name}", value)
        self.graph.node.append(node)
        return node.name

    def node(self, op: str, name: str, inputs: Sequence[str], **types: tf.DType) -> None:
        """Add an operation on the last value and others, and make its result the last value."""
        node = self.graph.node.add(name=f"{self._scope}/{name}", op=op, input=[self.last, *inputs])
        node.attr["T"].type = tf.float32.as_datatype_enum
        for attribute, dtype in types.items():
            node.attr[attribute].type = dtype.as_datatype_enum
        if op == "Mean":
            node.attr["keep_dims"].b = False
        if op == "MatMul":
            node.attr["transpose_a"].b = node.attr["transpose_b"].b = False
        self.last = node.name
