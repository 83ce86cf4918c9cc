"""The execution of the optimisation on a device: its precision, and whether XLA compiles it.

The optimisation climbs as well with 8 bits of mantissa as with 24, and processors with bfloat16
units climb faster. Scores are always computed in float32, on the unchanged graph.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

_FLOAT32, _BFLOAT16 = tf.float32.as_datatype_enum, tf.bfloat16.as_datatype_enum
# Their definitions allow bfloat16, but they also need or return float32, or have no kernel for it.
_FLOAT32_ONLY = {
    "FusedBatchNorm",
    "FusedBatchNormV2",
    "FusedBatchNormV3",
    "LRN",
    "ResizeBilinear",
    "ResizeBicubic",
    "ResizeArea",
}


@dataclass(frozen=True)
class Execution:
    """The precision of the optimisation, and whether XLA compiles it."""

    xla: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"

    @property
    def dtype(self) -> tf.DType:
        """Return the type of the network's weights and activations."""
        return tf.as_dtype(self.precision)

    @property
    def name(self) -> str:
        """Return the name that records have."""
        return self.precision + (", XLA" if self.xla else "")


@cache
def execution_here() -> Execution:
    """Return the fastest execution on this process's device.

    That is bfloat16 if the device has units for it, and XLA on a GPU only.
    """
    if tf.config.list_physical_devices("GPU"):
        return Execution(xla=True, precision="bfloat16")
    return Execution(precision="bfloat16" if _processor_multiplies_bfloat16() else "float32")


def _processor_multiplies_bfloat16() -> bool:
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def fitting(graph: tf.compat.v1.GraphDef, execution: Execution) -> Execution:
    """Return the execution, in float32 if some operation of the graph cannot run in bfloat16.

    Unfolded BatchNorm is one, because it takes its statistics in float32 only. Local response
    normalisation and resizing are others.
    """
    if execution.precision == "float32" or all(_takes_bfloat16(node) for node in graph.node):
        return execution
    return replace(execution, precision="float32")


def _takes_bfloat16(node: tf.compat.v1.NodeDef) -> bool:
    if node.op in _FLOAT32_ONLY:
        return False
    allowed = {
        attribute.name: attribute.allowed_values.list.type
        for attribute in op_def_registry.get(node.op).attr
    }
    return all(
        _BFLOAT16 in allowed[name]
        for name, value in node.attr.items()
        if value.type == _FLOAT32 and name in allowed and allowed[name]
    )


def in_precision(graph: tf.compat.v1.GraphDef, execution: Execution) -> tf.compat.v1.GraphDef:
    """Return a copy of a graph with weights and activations in the execution's precision."""
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph)
    if execution.precision == "float32":
        return copy
    for node in copy.node:
        if node.op == "Const" and node.attr["dtype"].type == _FLOAT32:
            value = tf.cast(tf.make_ndarray(node.attr["value"].tensor), tf.bfloat16).numpy()
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.bfloat16))
        for attribute in node.attr.values():
            if attribute.type == _FLOAT32:
                attribute.type = _BFLOAT16
            if attribute.list.type:
                attribute.list.type[:] = [
                    _BFLOAT16 if kind == _FLOAT32 else kind for kind in attribute.list.type
                ]
    return copy
