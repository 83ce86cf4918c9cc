"""Constants of a graph are given back as weights, trained by gradients, and written back."""

import numpy as np
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, parse_graph
from diamond_cutter.model_inventory.graph.graph_def import run_inside, tensor_hashes
from diamond_cutter.model_inventory.graph.unfreezing import (
    run_with_weights,
    trainable_weights,
    with_weights,
)
from tests.built_bundle import bundle_of


def names_of(bundle: Bundle, frozen: list[str], last: str = "logits") -> dict[str, tuple[int, ...]]:
    card = bundle.card
    tensors = [card.layer(layer).tensor for layer in frozen]
    found = trainable_weights(
        parse_graph(bundle), card.input_tensor, tensors, [card.layer(last).tensor]
    )
    return {name: value.shape for name, value in found.items()}


def test_kernels_scales_and_offsets_are_weights_and_statistics_are_not(toy: Bundle) -> None:
    every = sorted(names_of(toy, []).values())
    # A kernel, a scale and an offset of three convolutions; a kernel and a bias of the head.
    assert every == sorted(
        [(3, 3, 3, 8), (3, 3, 8, 1), (1, 1, 8, 6), (6, 5), (5,), *([(8,)] * 4), *([(6,)] * 2)]
    )
    assert sorted(names_of(toy, ["first", "second"]).values()) == sorted(
        [(1, 1, 8, 6), (6,), (6,), (6, 5), (5,)]
    )
    assert names_of(toy, ["third"], "third") == {}


def in_single_operations(image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a network that prepares images by a vector, with a BatchNorm of single operations."""
    prepared = (image - tf.constant([0.4, 0.5, 0.6], name="mean")) * tf.constant(
        [4.0, 4.0, 5.0], name="factor"
    )
    kernel = tf.constant(np.random.default_rng(0).normal(0, 1, (3, 3, 3, 4)), tf.float32)
    x = tf.nn.conv2d(prepared, kernel, 1, "SAME")
    variance = tf.constant([1.0, 2.0, 3.0, 4.0], name="variance")
    scale = tf.math.rsqrt(variance + 1e-3) * tf.constant([1.0, 2.0, 1.0, 2.0], name="gamma")
    x = tf.nn.relu(x * scale + tf.constant([0.1, 0.2, 0.3, 0.4], name="beta"), name="block")
    logits = tf.linalg.matmul(
        tf.reduce_mean(x, (1, 2)), tf.ones([4, 2], name="head"), name="logits"
    )
    return {"block": x, "logits": logits}


def test_what_prepares_images_and_variances_are_no_weights() -> None:
    names = set(names_of(bundle_of(in_single_operations), []))
    assert {"gamma", "beta", "head"} <= names
    assert not names & {"mean", "factor", "variance"} and len(names) == 4


def test_gradients_reach_all_weights_and_what_is_written_back_computes_the_same(
    toy: Bundle,
) -> None:
    graph, card = parse_graph(toy), toy.card
    tensors = [card.layer("logits").tensor]
    values = trainable_weights(graph, card.input_tensor, [card.layer("first").tensor], tensors)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)

    @tf.function(autograph=False)
    def gradients(reads: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        (logits,) = run_with_weights(graph, card.input_tensor, tf.constant(images), reads, tensors)
        return [logits, *tf.gradients(tf.reduce_sum(logits**2), list(reads.values()))]

    moved = {name: value + np.float32(0.01) for name, value in values.items()}
    logits, *found = gradients({name: tf.constant(value) for name, value in moved.items()})
    assert all(np.abs(each).max() > 0 for each in found) and len(found) == len(values)
    written = with_weights(graph, moved)

    @tf.function(autograph=False)
    def again() -> tf.Tensor:
        return run_inside(written, card.input_tensor, tf.constant(images), tensors)[0]

    np.testing.assert_allclose(again(), logits, rtol=1e-5, atol=1e-6)
    before, after = tensor_hashes(graph), tensor_hashes(written)
    assert before["first"] == after["first"] and before["second"] != after["second"]
