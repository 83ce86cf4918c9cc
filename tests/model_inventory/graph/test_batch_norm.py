"""Folding keeps every value, takes away every node that it can, and leaves alone what it must."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, parse_graph
from diamond_cutter.model_inventory.graph.batch_norm import fold_batch_norms
from diamond_cutter.model_inventory.graph.graph_def import subgraph

GraphDef = tf.compat.v1.GraphDef
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(0, 1, (2, 9, 7, 3)).astype(np.float32)
VECTORS = RNG.normal(0, 1, (4, 6)).astype(np.float32)


def numbers(*shape: int) -> np.ndarray:
    # Away from zero, so that dividing by them is sound.
    return (RNG.uniform(0.5, 1.5, shape) * RNG.choice([-1, 1], shape)).astype(np.float32)


def graph_of(
    build: Callable[[tf.Tensor], tf.Tensor], shape: tuple[int | None, ...] = (None, None, None, 3)
) -> GraphDef:
    graph = tf.Graph()
    with graph.as_default():
        tf.identity(build(tf.compat.v1.placeholder(tf.float32, shape, name="input")), name="out")
    return graph.as_graph_def()


def session_that_runs_a_graph_as_it_is() -> tf.compat.v1.Session:
    # TensorFlow's own optimiser folds too; besides, it dies (2.21) of a division by a constant
    # behind a convolution.
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.compat.v1.Session(config=config)


def value_of(graph: GraphDef, tensor: str, fed: np.ndarray) -> np.ndarray:
    with tf.Graph().as_default(), session_that_runs_a_graph_as_it_is() as session:
        (value,) = tf.graph_util.import_graph_def(graph, return_elements=[tensor], name="")
        return session.run(value, {"input:0": fed})


def operations(graph: GraphDef) -> list[str]:
    """Return what a graph does, beside constants and names for things, in order of the alphabet."""
    return sorted(
        node.op
        for node in graph.node
        if node.op not in ("Const", "Placeholder", "Identity", "NoOp")
    )


def assert_folds(graph: GraphDef, fed: np.ndarray, into: list[str]) -> None:
    before = graph.SerializeToString(deterministic=True)
    folded = fold_batch_norms(graph, keep=["out:0"])
    assert graph.SerializeToString(deterministic=True) == before
    assert operations(folded) == into
    assert_close(value_of(folded, "out:0", fed), value_of(graph, "out:0", fed))


def assert_stays(graph: GraphDef, keep: str = "out:0") -> None:
    assert list(fold_batch_norms(graph, keep=[keep]).node) == list(graph.node)


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert np.abs(wanted).max() > 0


def convolution(x: tf.Tensor, channels: int = 5) -> tf.Tensor:
    return tf.nn.conv2d(x, numbers(3, 3, 3, channels), 1, "SAME", name="convolution")


def batch_norm(x: tf.Tensor, channels: int = 5, **options: object) -> tf.Tensor:
    parameters = [
        numbers(channels),
        numbers(channels),
        numbers(channels),
        np.abs(numbers(channels)),
    ]
    if options.get("is_training"):
        parameters[2:] = []
    return tf.compat.v1.nn.fused_batch_norm(
        x, *parameters, **({"is_training": False, "epsilon": 1e-3} | options)
    )[0]


def test_a_batch_norm_folds_into_its_convolution() -> None:
    assert_folds(graph_of(lambda x: batch_norm(convolution(x))), IMAGES, ["BiasAdd", "Conv2D"])


@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_batch_norm_folds_into_a_depthwise_convolution(multiplier: int) -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        return batch_norm(
            tf.nn.depthwise_conv2d(x, numbers(3, 3, 3, multiplier), [1, 2, 2, 1], "SAME"),
            3 * multiplier,
        )

    assert_folds(graph_of(build), IMAGES, ["BiasAdd", "DepthwiseConv2dNative"])


def test_offset_scale_and_offset_fold_into_a_matrix_product() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.linalg.matmul(x, numbers(6, 4)), numbers(4)) * numbers(
            4
        ) + numbers(4)

    assert_folds(graph_of(build, (None, 6)), VECTORS, ["BiasAdd", "MatMul"])


def test_a_batch_norm_in_parts_folds() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        scaled = (convolution(x) - numbers(5)) / numbers(1, 1, 1, 5)
        return numbers(5) + numbers(5) * scaled

    graph = graph_of(build)
    assert {"Sub", "RealDiv", "Mul", "AddV2"} < set(operations(graph))
    assert_folds(graph, IMAGES, ["BiasAdd", "Conv2D"])


@pytest.mark.parametrize("shape", [(5,), (1, 1, 1, 5), (1,), ()], ids=str)
@pytest.mark.parametrize(
    "affine",
    [
        lambda x, c: x * c,
        lambda x, c: c * x,
        lambda x, c: x + c,
        lambda x, c: c + x,
        lambda x, c: x - c,
        lambda x, c: c - x,
        lambda x, c: x / c,
        lambda x, c: tf.raw_ops.Add(x=c, y=x),
    ],
    ids=["x*c", "c*x", "x+c", "c+x", "x-c", "c-x", "x/c", "Add"],
)
def test_every_spelling_of_scale_and_offset_folds(
    affine: Callable[..., tf.Tensor], shape: tuple[int, ...]
) -> None:
    # Twice, as one offset alone is not worth a new node.
    graph = graph_of(
        lambda x: affine(
            affine(convolution(x), tf.constant(numbers(*shape))), tf.constant(numbers(*shape))
        )
    )
    assert_folds(graph, IMAGES, ["BiasAdd", "Conv2D"])


def test_a_constant_over_x_is_not_folded() -> None:
    assert_stays(graph_of(lambda x: numbers(5) / convolution(x)))


@pytest.mark.parametrize("shape", [(9, 7, 1), (9, 7, 5), (2, 1, 1, 1), (1, 1, 1, 1, 5)], ids=str)
def test_a_constant_that_differs_by_position_is_not_folded(shape: tuple[int, ...]) -> None:
    assert_stays(graph_of(lambda x: convolution(x) * numbers(*shape) * numbers(*shape)))


def test_a_vector_that_makes_many_channels_of_one_is_not_folded() -> None:
    assert_stays(graph_of(lambda x: convolution(x, channels=1) * numbers(5)))


def test_a_constant_that_makes_images_of_vectors_is_not_folded() -> None:
    assert_stays(
        graph_of(lambda x: tf.linalg.matmul(x, numbers(6, 4)) * numbers(1, 1, 1, 4), (None, 6))
    )


def test_a_chain_folds_through_identities() -> None:
    graph = graph_of(lambda x: tf.identity(batch_norm(tf.identity(convolution(x)))) * numbers(5))
    assert_folds(graph, IMAGES, ["BiasAdd", "Conv2D"])


def test_weights_behind_an_identity_fold() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        return batch_norm(tf.nn.conv2d(x, tf.identity(numbers(3, 3, 3, 5)), 1, "SAME"))

    assert_folds(graph_of(build), IMAGES, ["BiasAdd", "Conv2D"])


def test_a_branch_is_not_folded() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        forked = convolution(x)
        return batch_norm(forked) + tf.nn.relu(forked)

    assert_stays(graph_of(build))


def test_a_chain_folds_up_to_the_branch() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        forked = batch_norm(convolution(x))
        return forked * numbers(5) + tf.nn.relu(forked)

    assert_folds(graph_of(build), IMAGES, ["AddV2", "BiasAdd", "Conv2D", "Mul", "Relu"])


@pytest.mark.parametrize("kept", ["convolution:0", "scaled:0"])
def test_a_kept_tensor_keeps_its_name_and_value(kept: str) -> None:
    graph = graph_of(lambda x: batch_norm(tf.multiply(convolution(x), numbers(5), name="scaled")))
    folded = fold_batch_norms(graph, keep=[kept, "out:0"])
    for tensor in (kept, "out:0"):
        assert_close(value_of(folded, tensor, IMAGES), value_of(graph, tensor, IMAGES))
    assert ("Mul" in operations(folded)) == (kept == "convolution:0")


def test_a_batch_norm_whose_statistics_are_read_stays() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        parameters = [numbers(5), numbers(5), numbers(5), np.abs(numbers(5))]
        normalised, mean, _ = tf.compat.v1.nn.fused_batch_norm(
            convolution(x), *parameters, is_training=False
        )
        return tf.nn.relu(normalised) + mean

    assert_stays(graph_of(build))


def test_a_batch_norm_without_a_convolution_before_it_stays() -> None:
    assert_stays(graph_of(lambda x: batch_norm(tf.nn.relu(x), 3)))


def test_a_convolution_with_computed_weights_stays() -> None:
    assert_stays(
        graph_of(
            lambda x: batch_norm(
                tf.nn.conv2d(
                    x, tf.reshape(tf.reduce_mean(x) * numbers(135), [3, 3, 3, 5]), 1, "SAME"
                )
            )
        )
    )


def test_channels_first_is_not_folded() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        return batch_norm(
            tf.nn.conv2d(x, numbers(3, 3, 3, 5), 1, "SAME", data_format="NCHW"), data_format="NCHW"
        )

    assert_stays(graph_of(build, (None, 3, None, None)))


def test_an_offset_of_the_first_axis_of_an_image_is_not_folded() -> None:
    offset = numbers(5)
    assert_stays(
        graph_of(lambda x: batch_norm(tf.nn.bias_add(convolution(x), offset, data_format="NCHW")))
    )


def test_a_batch_norm_in_training_is_not_folded() -> None:
    assert_stays(graph_of(lambda x: batch_norm(convolution(x), is_training=True)))


def test_transposed_weights_are_not_folded() -> None:
    assert_stays(
        graph_of(
            lambda x: tf.linalg.matmul(x, numbers(4, 6), transpose_b=True) * numbers(4), (None, 6)
        )
    )


def test_an_offset_alone_is_left_as_it_is() -> None:
    assert_stays(graph_of(lambda x: tf.nn.bias_add(convolution(x), numbers(5))))


def test_a_folded_graph_has_nothing_left_to_fold() -> None:
    folded = fold_batch_norms(graph_of(lambda x: batch_norm(convolution(x))), keep=["out:0"])
    assert_stays(folded)


def test_two_convolutions_that_share_weights_fold_each_with_its_own_scale() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        shared = tf.constant(numbers(3, 3, 3, 5))
        one, other = (batch_norm(tf.nn.conv2d(x, shared, 1, "SAME")) for _ in range(2))
        return tf.nn.relu(one) - tf.nn.relu(other)

    assert_folds(
        graph_of(build), IMAGES, ["BiasAdd", "BiasAdd", "Conv2D", "Conv2D", "Relu", "Relu", "Sub"]
    )


def test_no_node_of_a_folded_graph_has_an_empty_attribute_and_no_constant_is_left_over() -> None:
    folded = fold_batch_norms(
        graph_of(lambda x: batch_norm(convolution(x) * numbers(5))), keep=["out:0"]
    )
    read = {reference.partition(":")[0] for node in folded.node for reference in node.input}
    for node in folded.node:
        assert all(value.WhichOneof("value") for value in node.attr.values()), node.name
        assert node.op != "Const" or node.name in read


@pytest.fixture(scope="module")
def lite0_outputs(lite0: Bundle) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return random images, and what the graph makes of them as it was frozen, at its main layers
    and logits.
    """
    images = RNG.uniform(-1, 1, (2, 96, 96, 3)).astype(np.float32)
    tensors = {
        layer.name: layer.tensor
        for layer in lite0.card.layers
        if layer.main or layer.name == "logits"
    }
    with tf.Graph().as_default(), session_that_runs_a_graph_as_it_is() as session:
        tf.graph_util.import_graph_def(parse_graph(lite0), name="")
        return images, session.run(tensors, {"input:0": images})


@pytest.mark.parametrize(
    "layer", ["stem", "block_0", "block_2", "block_6", "block_10", "block_15", "head", "logits"]
)
def test_a_real_network_folds_whole_and_stays_equal(
    lite0: Bundle, lite0_outputs: tuple, layer: str
) -> None:
    images, outputs = lite0_outputs
    folded, (tensor,) = layer_graph(lite0, [layer])
    assert_close(value_of(folded, tensor, images), outputs[layer])
    unfolded = [node.op for node in subgraph(parse_graph(lite0), [tensor]).node]
    left = [node.op for node in folded.node]
    assert "FusedBatchNormV3" in unfolded and not any(
        op.startswith("FusedBatchNorm") for op in left
    )
    assert left.count("BiasAdd") == unfolded.count("FusedBatchNormV3") + unfolded.count("BiasAdd")


def test_a_constant_that_makes_a_matrix_of_each_vector_is_not_folded() -> None:
    assert_stays(
        graph_of(lambda x: tf.linalg.matmul(x, numbers(6, 4)) * numbers(1, 1, 4), (None, 6))
    )
