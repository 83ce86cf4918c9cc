"""One node of an ONNX graph, with the values of its inputs."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.onnx.values import Array, Value

# Weights of more numbers are placeholders while the graph is built, because TensorFlow copies it.
_SMALL = 1


@dataclass
class Weights:
    """The constants of a graph under construction, by the name of their placeholder."""

    arrays: dict[str, Array] = field(default_factory=dict)

    def tensor(self, array: Array, name: str) -> tf.Tensor:
        """Return a tensor for an array, in the graph that is being built."""
        if tf.executing_eagerly() or array.size <= _SMALL or array.dtype != np.float32:
            return tf.constant(array)
        placeholder = tf.compat.v1.placeholder(tf.float32, array.shape, name=f"weights/{name}")
        self.arrays[placeholder.op.name] = array
        return placeholder


@dataclass(frozen=True)
class Step:
    """A node of the file while it is converted.

    Attributes:
        op: the operator.
        name: of the node.
        version: of the operator set of the file.
        attributes: numbers, strings (as bytes), arrays, or lists of them.
        inputs: None for optional ones that are absent.
        outputs: the number of outputs.
        weights: where constants become tensors.
    """

    op: str
    name: str
    version: int
    attributes: Mapping[str, Any]
    inputs: Sequence[Value | None]
    outputs: int
    weights: Weights

    def value(self, index: int = 0) -> Value:
        """Return an input.

        Raises:
            BadModel: it is absent.
        """
        value = self.optional(index)
        if value is None:
            raise BadModel(f"its input {index + 1} is missing")
        return value

    def optional(self, index: int) -> Value | None:
        """Return an input, None if it is absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    def number(self, name: str, default: float) -> float:
        """Return a number from the attributes."""
        return float(self.attributes.get(name, default))

    def whole(self, name: str, default: int) -> int:
        """Return a whole number from the attributes."""
        return int(self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Return a text from the attributes."""
        found = self.attributes.get(name, default)
        return found.decode(errors="replace") if isinstance(found, bytes) else str(found)

    def parameter(self, name: str, index: int) -> Array | None:
        """Return a constant that is an attribute in old operator sets and an input in newer ones.

        Raises:
            BadModel: the input depends on the image.
        """
        if name in self.attributes:
            return np.asarray(self.attributes[name])
        value = self.optional(index)
        return None if value is None else self.fixed(value, name)

    def whole_numbers(self, name: str, index: int = 99) -> list[int] | None:
        """Return whole numbers that are an attribute or an input, None if both are absent."""
        found = self.parameter(name, index)
        return None if found is None else [int(each) for each in found.reshape(-1)]

    def fixed(self, value: Value, name: str) -> Array:
        """Return the array of a constant.

        Raises:
            BadModel: the value depends on the image.
        """
        if not value.is_constant:
            raise BadModel(f"its {name} depends on the image: expected a constant")
        array: Array = value.data
        return array

    def tensor(self, data: Any, part: str = "value") -> tf.Tensor:
        """Return data as a tensor; constants become weights of this node."""
        if not isinstance(data, np.ndarray):
            return data
        return self.weights.tensor(data, f"{legal_name(self.name)}/{part}")


Operator = Callable[[Step], Value | list[Value]]


def legal_name(name: str) -> str:
    """Return a name that TensorFlow accepts for a node."""
    legal = re.sub(r"[^A-Za-z0-9_./-]", "_", name).strip("/")[:200]
    legal = re.sub(r"/+", "/", legal)
    return legal if re.match(r"[A-Za-z0-9.]", legal) else f"node{legal}"
