"""Cuts a graph at a layer: what is behind it, as a function of the layer's activations.

In a residual network a layer is no bottleneck: what is behind it also reads what went around it.
That stays as the image made it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import in_forward_order, node_name, tensor_name


@dataclass(frozen=True)
class Tail:
    """What is behind a layer.

    graph: its nodes and the constants that they read.
    layer: the tensor of the layer's activations.
    around: the tensors that it reads beside them, which depend on the image but not on the layer.
    outputs: the tensors that it ends in.
    """

    graph: tf.compat.v1.GraphDef
    layer: str
    around: tuple[str, ...]
    outputs: tuple[str, ...]

    def run(self, activations: tf.Tensor, around: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Add its operations to the graph being traced and return the outputs' values.

        Args:
            activations: in place of the layer's.
            around: the values of the tensors around it.
        """
        values = dict(zip((self.layer, *self.around), (activations, *around), strict=True))
        # An output that does not depend on the layer has been computed already.
        wanted = [tensor for tensor in self.outputs if tensor not in values]
        read = {tensor_name(reference) for node in self.graph.node for reference in node.input}
        # Copies are of the graph being traced, even where that is the body of a loop and the values
        # are from around it.
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
    """Return what is behind a layer's tensor, up to some outputs.

    Args:
        graph: a frozen graph.
        input_tensor: the placeholder for images.
        layer: a tensor, such as `block_3/add:0`.
        outputs: where to end.
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
    # What the layer's own node would be is given.
    needed.discard(node_name(layer))
    part = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    part.node.extend(node for node in graph.node if node.name in needed)
    return Tail(part, layer, tuple(sorted(around)), tuple(map(tensor_name, outputs)))


def _that_depend_on(nodes: Sequence[tf.compat.v1.NodeDef], tensor: str) -> set[str]:
    """Return the names of the nodes that a tensor's value reaches, its own left out."""
    found: set[str] = set()
    for node in nodes:
        if any(
            tensor_name(reference) == tensor or node_name(reference) in found
            for reference in node.input
        ):
            found.add(node.name)
    return found
