"""Estimates the value range of a model's input from the scaling of images inside the model."""

import math

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.graph.graph_def import (
    in_forward_order,
    node_name,
    output_index,
    run_inside,
    subgraph,
)
from diamond_cutter.model_inventory.graph.operation_sets import WEIGHTED


def guess_value_range(
    graph: tf.compat.v1.GraphDef, input_tensor: str, shape: tuple[int, int, int]
) -> tuple[float, float] | None:
    """Return the likely values of black and white, or None if the model does not scale its images.

    The likely range is one that arrives at the first weights about as wide as in training. Black,
    grey and white images are run up to there.

    Args:
        graph: a frozen graph.
        input_tensor: its placeholder.
        shape: height, width and channels of its images.
    """
    entrance = _first_weighted_input(graph, node_name(input_tensor))
    if entrance is None or entrance == input_tensor:
        return None
    before = subgraph(graph, [input_tensor, entrance])
    images = np.ones([3, *shape], np.float32) * np.array([0, 0.5, 1], np.float32).reshape(
        3, 1, 1, 1
    )
    values = tf.function(
        lambda: run_inside(before, input_tensor, tf.constant(images), [entrance])[0],
        autograph=False,
    )().numpy()
    if values.ndim != 4 or len(values) != 3:
        return None
    black, grey, white = values[:, values.shape[1] // 2, values.shape[2] // 2]
    slope = white - black
    affine = np.allclose(black + slope / 2, grey, rtol=1e-3, atol=1e-3)
    if not affine or (np.allclose(black, 0, atol=1e-6) and np.allclose(slope, 1, atol=1e-6)):
        return None
    for high in (255.0, 1.0):
        width = float(np.median(np.abs(slope))) * high
        zero_at = float(np.median(-black / np.where(slope == 0, math.inf, slope))) / high
        # Scaled to about one or, as in networks of Caffe, only shifted to around zero.
        if -0.05 <= zero_at <= 1.05 and (0.4 < width < 12 or (0.05 < zero_at and width < 400)):
            return 0.0, high
    return None


def _first_weighted_input(graph: tf.compat.v1.GraphDef, image: str) -> str | None:
    """Return the tensor of the scaled image at the first weights, or None."""
    from_image = {image}
    for node in in_forward_order(graph):
        source = next(
            (reference for reference in node.input if node_name(reference) in from_image), None
        )
        if source is not None:
            # Before a dilated convolution TensorFlow splits an image into parts.
            if node.op in WEIGHTED or node.op == "SpaceToBatchND":
                return f"{node_name(source)}:{output_index(source)}"
            from_image.add(node.name)
    return None
