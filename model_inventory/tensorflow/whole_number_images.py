"""Lets a graph that takes images of whole numbers, 0 to 255, take floats, which have gradients."""

import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import in_forward_order, node_name

WHOLE_NUMBERS = {tf.uint8.as_datatype_enum}


def take_floats(graph: tf.compat.v1.GraphDef, image: str) -> None:
    """Change the type of an image in a graph to float32, up to where the graph converts it.

    Args:
        graph: with all functions inlined; it is changed.
        image: the node of the placeholder, uint8 `[batch, height, width, channel]`.
    """
    whole = {image}
    for node in in_forward_order(graph):
        sources = {node_name(reference) for reference in node.input}
        if node.name != image and not sources & whole:
            continue
        for name, value in node.attr.items():
            # A conversion to whole numbers rounds, and stays one.
            if value.type in WHOLE_NUMBERS and (node.op, name) != ("Cast", "DstT"):
                value.type = tf.float32.as_datatype_enum
                whole.add(node.name)
        if node.op == "Cast" or node.op.startswith("Resize"):
            whole.discard(node.name)
