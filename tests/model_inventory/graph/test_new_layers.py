"""New layers are the same in training and as nodes of a graph, and leave other nodes alone."""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.attached import Attached, free_scope, layer_names
from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, parse_graph
from diamond_cutter.model_inventory.graph.graph_def import run_inside, tensor_hashes
from diamond_cutter.model_inventory.graph.new_layers import (
    attach_layers,
    folded,
    initial_weights,
    new_logits,
    standardising,
)

CHANNELS = {"first": 8, "second": 8, "third": 6}


@pytest.mark.parametrize(
    ("at", "convolutions"),
    [(("third",), ()), (("first", "second"), ()), (("first", "third"), (7,))],
)
def test_the_graph_computes_what_was_trained(
    toy: Bundle, at: tuple[str, ...], convolutions: tuple[int, ...]
) -> None:
    attached = Attached(model="toy", at=at, convolutions=convolutions)
    channels, random = [CHANNELS[layer] for layer in at], np.random.default_rng(0)
    weights = {
        name: np.abs(value + random.normal(0, 0.3, value.shape)).astype(np.float32)
        for name, value in initial_weights(attached, channels, 3, seed=0).items()
    }
    features = weights[f"{attached.head}/kernel"].shape[0]
    deviation = random.uniform(0.5, 2, features)
    deviation[0] = np.inf  # a feature that does not vary
    weights |= standardising(attached, random.normal(0, 1, features), deviation)
    pixels = random.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    tensors = [toy.card.layer(layer).tensor for layer in at]
    graph = attach_layers(parse_graph(toy), tensors, attached, channels, folded(attached, weights))

    @tf.function(autograph=False)
    def both() -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.constant(pixels)
        cut, names = layer_graph(toy, at)
        found = run_inside(cut, toy.card.input_tensor, images, names)
        held = {name: tf.constant(value) for name, value in weights.items()}
        trained = new_logits(attached, found, held, training=False).logits
        written = run_inside(graph, toy.card.input_tensor, images, [attached.logits_tensor])
        return trained, written[0]

    trained, written = both()
    np.testing.assert_allclose(written, trained, rtol=1e-4, atol=1e-4)
    before, after = tensor_hashes(parse_graph(toy)), tensor_hashes(graph)
    assert all(
        after[name.removesuffix(":0")] == before[name.removesuffix(":0")] for name in tensors
    )


def test_a_batch_normalises_itself_in_training_and_tells_its_statistics() -> None:
    attached = Attached(model="toy", at=("first",), convolutions=(5,))
    weights = initial_weights(attached, [4], 3, seed=0)
    layer = tf.constant(np.random.default_rng(0).normal(3, 2, (6, 8, 8, 4)), tf.float32)
    held = {name: tf.constant(value) for name, value in weights.items()}
    found = new_logits(attached, [layer], held, training=True)
    assert set(found.statistics) == {"attached/conv_1/mean", "attached/conv_1/variance"}
    x = tf.nn.conv2d(layer, weights["attached/conv_1/kernel"], 1, "SAME").numpy()
    mean, _ = found.statistics.values()
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-4)
    normed = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3)
    pooled = np.maximum(normed, 0).mean((1, 2))
    np.testing.assert_allclose(found.pooled, pooled, rtol=1e-3, atol=1e-4)
    assert new_logits(attached, [layer], held, training=False).statistics == {}


def test_names_that_are_taken_are_left_to_others() -> None:
    assert free_scope(["input", "block/conv"]) == "attached"
    assert free_scope(["attached/logits", "attached_2/x"]) == "attached_3"
    assert layer_names(2, ["first"]) == ("added_conv_1", "added_conv_2")
    assert layer_names(2, ["added_conv_1", "x"]) == ("added_conv_2", "added_conv_3")
