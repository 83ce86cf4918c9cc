"""Measures layers: shapes, multiplications, receptive fields, and use with images of any size."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.graph.graph_def import (
    attribute,
    constant_behind,
    node_name,
    run_inside,
    subgraph,
)
from diamond_cutter.model_inventory.graph.operation_sets import PRODUCTS

Shapes = Mapping[str, tuple[int, ...]]

_WINDOWS = {"Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"}
# From here on, weights are worth leaving out of a graph that is only measured.
_LARGE_BYTES = 4096
_ANY_WEIGHT = 0.01
# Unusual sides. A layer that accepts both accepts any.
_OTHER_SIDES_PX = (140, 133)
# Operations whose receptive field is the whole image.
_GLOBAL = {"Mean", "Max", "Sum", "MatMul", "Einsum", "BatchMatMulV2"}


@dataclass(frozen=True)
class _View:
    """The receptive field of one position: its side and the distance to the next in pixels."""

    side: float = 1.0
    stride: float = 1.0


@dataclass(frozen=True)
class Measured:
    """Measurements of a graph.

    Attributes:
        shapes: by nodes, of values at the model's own size without the batch, and of weights.
        of_any_size: the tensors that accept images of any size.
    """

    shapes: Shapes
    of_any_size: frozenset[str]

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of a measured tensor without the batch."""
        return self.shapes[node_name(tensor)]


def measure(
    graph: tf.compat.v1.GraphDef,
    input_tensor: str,
    image: ImageSpec,
    tensors: Sequence[str],
    name: str,
) -> Measured:
    """Run a graph on grey images of its own size and of other sizes.

    Args:
        graph: a frozen graph.
        input_tensor: its placeholder.
        image: the format of its images.
        tensors: in forward order.
        name: of the model.

    Raises:
        BadModel: the graph does not run on such images.
    """
    graph = _with_equal_weights(graph)
    products = {node.name: f"{node.name}:0" for node in graph.node if node.op in PRODUCTS}
    wanted = {**products, **{node_name(tensor): tensor for tensor in tensors}}
    try:
        found = _shapes(graph, input_tensor, image.shape, list(wanted.values()))
    except (tf.errors.OpError, ValueError) as error:
        height, width, channels = image.shape
        raise BadModel(
            f"{name} does not run on an image of {height} x {width} pixels with {channels} "
            f"channels ({first_line(error)}). Give the size of its training images."
        ) from error
    shapes = _weight_shapes(graph, products) | {
        node: shape[1:] for node, shape in zip(wanted, found, strict=True)
    }
    return Measured(
        shapes, frozenset(_of_any_size(graph, input_tensor, image, list(dict.fromkeys(tensors))))
    )


def _with_equal_weights(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Return the graph with large weights that are all one number.

    No shape depends on the values of weights, and each run would copy them several times.
    """
    light = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    for node in graph.node:
        weights = node.attr["value"].tensor if node.op == "Const" else None
        if (
            weights is None
            or weights.dtype != tf.float32.as_datatype_enum
            or len(weights.tensor_content) < _LARGE_BYTES
        ):
            light.node.add().CopyFrom(node)
        else:
            equal = light.node.add(name=node.name, op="Const").attr
            equal["dtype"].type = weights.dtype
            equal["value"].tensor.dtype = weights.dtype
            equal["value"].tensor.tensor_shape.CopyFrom(weights.tensor_shape)
            equal["value"].tensor.float_val.append(_ANY_WEIGHT)
    return light


def _weight_shapes(
    graph: tf.compat.v1.GraphDef, products: Iterable[str]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the products' weights, by the names that the products read them by."""
    nodes = {node.name: node for node in graph.node}
    weights = {
        node_name(nodes[name].input[1]): constant_behind(nodes[name].input[1], nodes)
        for name in products
    }
    return {
        name: tuple(side.size for side in constant.attr["value"].tensor.tensor_shape.dim)
        for name, constant in weights.items()
        if constant is not None
    }


def _shapes(
    graph: tf.compat.v1.GraphDef,
    input_tensor: str,
    shape: tuple[int, int, int],
    tensors: Sequence[str],
) -> list[tuple[int, ...]]:
    """Return the tensors' shapes for one grey image, batch and all."""
    part = subgraph(graph, tensors)  # what lies behind them might not take such an image
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = (
        True  # takes longer than one run can gain
    )
    with tf.Graph().as_default(), tf.compat.v1.Session(config=options) as session:
        values = run_inside(part, input_tensor, tf.zeros([1, *shape]), tensors)
        found = session.run([tf.shape(value) for value in values])
    return [tuple(int(side) for side in sides) for sides in found]


def _check_gradient(
    graph: tf.compat.v1.GraphDef,
    input_tensor: str,
    shape: tuple[int, int, int],
    tensors: Sequence[str],
) -> None:
    """Compute the gradient of tensors at a grey image, if it can fail where the tensors do not.

    A transposed convolution with a constant size of its output computes something for any image.
    Its gradient then has another shape than its input.

    Raises:
        tf.errors.OpError: the gradient cannot be computed.
    """
    part = subgraph(graph, tensors)
    if not any(node.op == "Conv2DBackpropInput" for node in part.node):
        return
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        grey = tf.zeros([1, *shape])
        values = run_inside(part, input_tensor, grey, tensors)
        session.run(tf.gradients([value for value in values if value.dtype.is_floating], grey))


def _of_any_size(
    graph: tf.compat.v1.GraphDef, input_tensor: str, image: ImageSpec, tensors: Sequence[str]
) -> Sequence[str]:
    """Return the tensors before the first that depends on the model's own size.

    An example is a dense layer of a flattened map.
    """

    def runs(count: int) -> bool:
        try:
            for side in _OTHER_SIDES_PX:
                shape = (side, side, image.channels)
                _shapes(graph, input_tensor, shape, tensors[:count])
                _check_gradient(graph, input_tensor, shape, tensors[:count])
        except (tf.errors.OpError, ValueError):
            return False
        return True

    return tensors[: _most(len(tensors), runs)]


def _most(count: int, holds: Callable[[int], bool]) -> int:
    """Return the highest number up to `count` for which a monotonic condition holds, at least 0."""
    if holds(count):
        return count
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def macs(path: Iterable[tf.compat.v1.NodeDef], shapes: Shapes) -> int:
    """Return the number of multiplications with weights on a forward path for one image.

    Args:
        path: nodes in forward order.
        shapes: by nodes, of the values of products without the batch, and of their weights.
    """
    return sum(_macs(node, shapes) for node in path if node.op in PRODUCTS)


def _macs(node: tf.compat.v1.NodeDef, shapes: Shapes) -> int:
    weights = shapes.get(node_name(node.input[1]))
    if node.name not in shapes or weights is None:
        return 0
    made = math.prod(shapes[node.name])
    if node.op == "Conv2D":
        return made * math.prod(weights[:3])
    if node.op == "DepthwiseConv2dNative":
        return made * math.prod(weights[:2])
    return made * weights[1 if attribute(node, "transpose_b").b else 0]


def receptive_fields(
    path: Iterable[tf.compat.v1.NodeDef], inputs: Callable[[str], list[str]], shapes: Shapes
) -> dict[str, int | None]:
    """Return the side in pixels of the receptive field of each node, None for the whole image.

    After Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks"
    (https://distill.pub/2019/computing-receptive-fields), with the largest of a node's branches.

    Args:
        path: nodes in forward order.
        inputs: returns the inputs of a node that depend on the image.
        shapes: as for `macs`.
    """
    views: dict[str, _View] = {}
    for node in path:
        before = [views[source] for source in inputs(node.name) if source in views]
        view = (
            _View(max(v.side for v in before), max(v.stride for v in before)) if before else _View()
        )
        views[node.name] = _through(node, view, shapes)
    return {
        name: int(view.side) if math.isfinite(view.side) else None for name, view in views.items()
    }


def _through(node: tf.compat.v1.NodeDef, view: _View, shapes: Shapes) -> _View:
    if node.op in _GLOBAL:
        return _View(math.inf, view.stride)
    if node.op not in _WINDOWS:
        return view
    strides = list(attribute(node, "strides").list.i)
    if node.op in ("MaxPool", "AvgPool"):
        window = max(attribute(node, "ksize").list.i[1:3])
    else:
        dilation = max([1, *list(attribute(node, "dilations").list.i)[1:3]])
        weights = shapes.get(node_name(node.input[1]))
        window = (max(weights[:2]) - 1) * dilation + 1 if weights else 1
    return _View(view.side + (window - 1) * view.stride, view.stride * max(strides[1:3]))
