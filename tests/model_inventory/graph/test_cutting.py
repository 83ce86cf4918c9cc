"""What is behind a layer, given what the image made of the layer and of what goes around it, is
what the whole graph gives.
"""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, parse_graph
from diamond_cutter.model_inventory.graph.cutting import Tail, behind
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from tests.built_bundle import bundle_of, flattened
from tests.small_networks import BUILT, SIDE, built, drawn, images
from tests.toy_network import IMAGE_SIZE


def run(graph: tf.compat.v1.GraphDef, pixels: np.ndarray, tensors: list[str]) -> list[np.ndarray]:
    function = tf.function(lambda x: run_inside(graph, "input:0", x, tensors), autograph=False)
    return [value.numpy() for value in function(tf.constant(pixels))]


def run_tail(tail: Tail, activations: np.ndarray, around: list[np.ndarray]) -> list[np.ndarray]:
    function = tf.function(lambda layer, others: tail.run(layer, others), autograph=False)
    return [
        value.numpy()
        for value in function(tf.constant(activations), [tf.constant(value) for value in around])
    ]


def check_every_layer(bundle: Bundle, pixels: np.ndarray) -> dict[str, Tail]:
    """Check that what is behind each layer goes on as the whole graph does; return it."""
    graph, logits = parse_graph(bundle), str(bundle.card.logits_tensor)
    tails = {
        layer.name: behind(graph, bundle.card.input_tensor, layer.tensor, [logits])
        for layer in bundle.card.layers
    }
    names = sorted({name for tail in tails.values() for name in (tail.layer, *tail.around)})
    *found, wanted = run(graph, pixels, [*names, logits])
    values = dict(zip(names, found, strict=True))
    assert np.ptp(wanted, axis=0).max() > 1e-3  # otherwise anything would do
    for tail in tails.values():
        (got,) = run_tail(tail, values[tail.layer], [values[name] for name in tail.around])
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    return tails


def test_the_toy_goes_on_from_every_layer(toy: Bundle) -> None:
    tails = check_every_layer(toy, images(3, IMAGE_SIZE))
    assert {layer: tail.around for layer, tail in tails.items()} == dict.fromkeys(tails, ())
    # Nothing that is before the layer is computed again.
    assert {node.op for node in tails["third"].graph.node}.isdisjoint(
        {"Conv2D", "DepthwiseConv2dNative", "Placeholder"}
    )
    assert len(tails["logits"].graph.node) == 0


@pytest.mark.parametrize("name", BUILT)
def test_small_networks_go_on_from_every_layer(name: str) -> None:
    check_every_layer(built(name), images(3))


def test_what_goes_around_a_layer_is_all_that_is_read_beside_it_and_no_more() -> None:
    bundle = built("residual")
    tails = check_every_layer(bundle, images(2))
    tensors = {layer.tensor: layer.name for layer in bundle.card.layers}
    around = {
        name: [tensors.get(tensor, tensor) for tensor in tail.around]
        for name, tail in tails.items()
    }
    assert around["branch"] == ["stem"]
    assert (
        around["stem"]
        == around["block"]
        == around["pooled"]
        == around["joined"]
        == around["vector"]
        == around["logits"]
        == []
    )
    # The logits do not depend on it: they are what goes around.
    assert around["aside"] == ["logits"] and len(tails["aside"].graph.node) == 0


def test_the_image_itself_goes_around_a_layer() -> None:
    assert check_every_layer(built("with image"), images(2))["first"].around == ("input:0",)


def test_lite0_goes_on_inside_of_residual_blocks(lite0: Bundle) -> None:
    graph, card = parse_graph(lite0), lite0.card
    layers = ["block_2.depthwise", "block_10.expand", "block_10", "head"]
    tails = [
        behind(graph, card.input_tensor, card.layer(layer).tensor, [card.layer("logits").tensor])
        for layer in layers
    ]
    assert [len(tail.around) for tail in tails] == [1, 1, 0, 0]  # the shortcut, inside a block
    names = [name for tail in tails for name in (tail.layer, *tail.around)]
    *found, wanted = run(graph, images(2, 224) * 2 - 1, [*names, card.layer("logits").tensor])
    values = dict(zip(names, found, strict=True))
    for tail in tails:
        (got,) = run_tail(tail, values[tail.layer], [values[name] for name in tail.around])
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def without_branch(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a network of a stem, a branch and what they are together, and the same without the
    branch.
    """
    stem = tf.nn.softplus(tf.nn.conv2d(x, drawn(1, 3, 3, 3, 6), 2, "SAME"), name="stem")
    branch = tf.nn.relu(tf.nn.conv2d(stem, drawn(2, 3, 3, 6, 8), 1, "SAME"), name="branch")
    both = tf.nn.max_pool2d(
        stem + tf.nn.conv2d(branch, drawn(3, 1, 1, 8, 6), 1, "SAME"), 2, 2, "SAME"
    )
    alone = tf.nn.max_pool2d(stem, 2, 2, "SAME")
    ending = [
        tf.linalg.matmul(tf.reduce_mean(tf.nn.relu(part), [1, 2]), drawn(4, 6, 5))
        for part in (both, alone)
    ]
    return {
        "stem": stem,
        "branch": branch,
        "alone": tf.identity(ending[1], "alone"),
        "scores": tf.identity(ending[0], "scores"),
    }


def test_a_silent_layer_is_a_network_without_it() -> None:
    graph = parse_graph(bundle_of(without_branch, side=SIDE))
    tail = behind(graph, "input:0", "branch:0", ["scores:0"])
    branch, alone, scores, *around = run(
        graph, images(3), ["branch:0", "alone:0", "scores:0", *tail.around]
    )
    (silent,) = run_tail(tail, np.zeros_like(branch), around)
    np.testing.assert_allclose(silent, alone, rtol=1e-5, atol=1e-6)
    assert np.abs(alone - scores).max() > 0.01


def test_outputs_that_do_not_depend_on_the_layer_stay_as_the_image_made_them() -> None:
    graph = parse_graph(bundle_of(without_branch, side=SIDE))
    tail = behind(graph, "input:0", "branch:0", ["alone:0", "scores:0", "branch:0", "stem:0"])
    assert {"alone:0", "stem:0"} <= set(tail.around)
    names = ["branch:0", "alone:0", "scores:0", "stem:0", *tail.around]
    branch, alone, scores, stem, *around = run(graph, images(2), names)
    got = run_tail(tail, branch * 2, around)
    np.testing.assert_array_equal(got[0], alone)
    np.testing.assert_array_equal(got[2], branch * 2)
    np.testing.assert_array_equal(got[3], stem)
    assert np.abs(got[1] - scores).max() > 0.01


def test_an_inner_layer_is_an_output_as_well() -> None:
    bundle = built("residual")
    graph, card = parse_graph(bundle), bundle.card
    tail = behind(graph, "input:0", card.layer("stem").tensor, [card.layer("block").tensor])
    stem, block = run(graph, images(2), [tail.layer, card.layer("block").tensor])
    assert tail.around == ()
    np.testing.assert_allclose(run_tail(tail, stem, [])[0], block, rtol=1e-5, atol=1e-6)


def split_in_two(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a layer that is the second output of its node, the first of which goes around it."""
    left, right = tf.split(
        tf.nn.relu(tf.nn.conv2d(x, drawn(1, 3, 3, 3, 8), 2, "SAME")), 2, axis=3, name="parts"
    )
    head = tf.nn.relu(tf.nn.conv2d(right, drawn(2, 3, 3, 4, 4), 1, "SAME")) * left
    return {
        "right": right,
        "head": head,
        "scores": tf.linalg.matmul(tf.reduce_mean(head, [1, 2]), drawn(4, 4, 5)),
    }


def test_of_a_node_with_several_outputs_one_is_the_layer() -> None:
    bundle = bundle_of(split_in_two, side=SIDE)
    tails = check_every_layer(bundle, images(2))
    assert tails["right"].layer == "parts:1" and tails["right"].around == ("parts:0",)
    assert "parts" not in {node.name for node in tails["right"].graph.node}


def test_a_flattened_map_goes_on() -> None:
    check_every_layer(bundle_of(flattened), images(2, 32))
