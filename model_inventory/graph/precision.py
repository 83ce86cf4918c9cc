"""Converts graphs of float16 or bfloat16 to float32, and refuses quantised graphs."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from diamond_cutter.model_inventory.errors import Quantised
from diamond_cutter.model_inventory.graph.graph_def import attribute, constant_node, constant_value

# Types of half the width: their values are those of float32 as well, only fewer.
HALF = {tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum}
_WHOLE = {dtype.as_datatype_enum: dtype.name for dtype in (tf.int8, tf.qint8, tf.quint8)}
_LARGEST_CONSTANT = 2**30


def in_float32(graph: tf.compat.v1.GraphDef) -> None:
    """Let all nodes of a graph compute in float32, with the same weights."""
    for node in graph.node:
        if node.op == "Const" and attribute(node, "dtype").type in HALF:
            shape = attribute(node, "value").tensor.tensor_shape
            # A larger constant is refused later, and must not be made before.
            if math.prod(side.size for side in shape.dim) <= _LARGEST_CONSTANT:
                node.CopyFrom(constant_node(node.name, widened(constant_value(node))))
            continue
        for value in node.attr.values():
            if value.type in HALF:
                value.type = tf.float32.as_datatype_enum
            for place, dtype in enumerate(value.list.type):
                if dtype in HALF:
                    value.list.type[place] = tf.float32.as_datatype_enum


def widened(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of float16 or bfloat16 as float32, and others as they are."""
    half = tf.as_dtype(value.dtype).as_datatype_enum in HALF
    return value.astype(np.float32) if half else value


def refuse_quantised(nodes: Iterable[tf.compat.v1.NodeDef]) -> None:
    """Refuse nodes that compute with whole numbers of 8 bits, through which no gradient flows.

    Raises:
        Quantised: names the type and a node.
    """
    for node in nodes:
        for value in node.attr.values():
            if value.type in _WHOLE:
                raise quantised(_WHOLE[value.type], node.op, node.name)


def quantised(dtype: str, operation: str, node: str) -> Quantised:
    """Return the error about a model that computes with a type of whole numbers."""
    return Quantised(
        f"is quantised: expected weights in float32 or float16, found {dtype} ({operation} in "
        f"{node}). Give the model from before it was quantised."
    )
