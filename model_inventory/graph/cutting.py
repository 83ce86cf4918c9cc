"""Cuts a graph at a layer: the rest of the network as a function of the layer's activations.

In a residual network a layer is not a bottleneck: the rest also reads values that bypass it. These
keep their values for the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import in_forward_order, node_name, tensor_name


@dataclass(frozen=True)
class Tail:
    """The part of a graph behind a layer.

    Attributes:
        graph: its nodes and constants.
        layer: the tensor of the layer's activations.
        around: the tensors that bypass the layer: they depend on the image but not on the layer.
        outputs: the tensors in which it ends.
    """

    graph: tf.compat.v1.GraphDef
    layer: str
    around: tuple[str, ...]
    outputs: tuple[str, ...]

    def run(self, activations: tf.Tensor, around: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Add the part to the graph being traced and return the values of its outputs.

        Args:
            activations: values for the layer.
            around: values of the tensors that bypass the layer.
        """
        values = dict(zip((self.layer, *self.around), (activations, *around), strict=True))
        # Outputs that do not depend on the layer are known already.
        wanted = [tensor for tensor in self.outputs if tensor not in values]
        read = {tensor_name(reference) for node in self.graph.node for reference in node.input}
        # The copies belong to the graph being traced, even if it is the body of a loop and the
        # values are from outside.
        fed = {tensor: tf.identity(value) for tensor, value in values.items() if tensor in read}
        values |= zip(
            wanted,
            tf.graph_util.import_graph_def(
                self.graph, input_map=fed, return_elements=wanted, name="tail"
            ),
            strict=True,
        )
        return [values[tensor] for tensor in self.outputs]


def behind(
    graph: tf.compat.v1.GraphDef, input_tensor: str, layer: str, outputs: Sequence[str]
) -> Tail:
    """Return the part of a graph between a tensor and some outputs.

    Args:
        graph: a frozen graph.
        input_tensor: the placeholder for images.
        layer: a tensor, such as `block_3/add:0`.
        outputs: the tensors in which the part ends.
    """
    nodes = in_forward_order(graph)
    of_image = {node_name(input_tensor)} | _that_depend_on(nodes, f"{node_name(input_tensor)}:0")
    of_layer = _that_depend_on(nodes, layer)
    needed = {node_name(output) for output in outputs if node_name(output) in of_layer}
    around = {
        tensor_name(output)
        for output in outputs
        if node_name(output) not in of_layer and tensor_name(output) != layer
    }
    for node in reversed(nodes):
        if node.name not in needed:
            continue
        for reference in node.input:
            tensor, name = tensor_name(reference), node_name(reference)
            if tensor == layer:
                continue
            if name in of_image and name not in of_layer:
                around.add(tensor)
            else:
                needed.add(name)
    # The values of the layer itself are given.
    needed.discard(node_name(layer))
    part = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    part.node.extend(node for node in graph.node if node.name in needed)
    return Tail(part, layer, tuple(sorted(around)), tuple(map(tensor_name, outputs)))


def _that_depend_on(nodes: Sequence[tf.compat.v1.NodeDef], tensor: str) -> set[str]:
    """Return the names of the nodes that depend on a tensor, without its own."""
    found: set[str] = set()
    for node in nodes:
        if any(
            tensor_name(reference) == tensor or node_name(reference) in found
            for reference in node.input
        ):
            found.add(node.name)
    return found
