"""A bundle is the same each time, runs up to any layer, and is refused when it is not whole."""

import hashlib
import json
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import (
    Bundle,
    activation_function,
    layer_graph,
    load_bundle,
    parse_graph,
    to_model_input,
)
from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.model_inventory.errors import BadModel, UnknownLayer
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from tests.toy_network import CHANNELS, LAYERS, toy_bundle, toy_weights


def card_json(bundle: Bundle) -> bytes:
    return bundle.card.model_dump_json().encode()


def whole_graph(bundle: Bundle, layer: str, images: np.ndarray) -> np.ndarray:
    """Run the graph as it was frozen, whole, on what it expects."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(parse_graph(bundle), name="")
        ((low, high),) = bundle.card.image.value_range
        return session.run(
            bundle.card.layer(layer).tensor, {bundle.card.input_tensor: images * (high - low) + low}
        )


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def sentence(text: str) -> bool:
    return "\n" not in text and len(text) < 400


def test_importing_twice_gives_the_same_bytes(lite0: Bundle) -> None:
    again = import_model("efficientnet-lite0")
    assert again.graph_bytes == lite0.graph_bytes
    assert again.card == lite0.card
    assert lite0.card.graph_sha256 == hashlib.sha256(lite0.graph_bytes).hexdigest()


def test_a_toy_bundle_is_the_same_each_time(toy: Bundle) -> None:
    assert toy_bundle() == toy


@pytest.mark.parametrize(
    "layer", ["stem", "block_3.expand", "block_3.depthwise", "block_10", "logits"]
)
def test_a_truncated_layer_equals_the_whole_graph(lite0: Bundle, layer: str) -> None:
    images = np.random.default_rng(1).random((2, 64, 64, 3), np.float32)
    assert_close(
        activation_function(lite0, layer)(images).numpy(), whole_graph(lite0, layer, images)
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_any_kind_equals_the_whole_graph(toy: Bundle, layer: str) -> None:
    images = np.random.default_rng(1).random((3, 20, 28, 3), np.float32)
    found = activation_function(toy, layer)(images).numpy()
    assert_close(found, whole_graph(toy, layer, images))
    assert found.shape == ((3, 10, 14, CHANNELS[layer]) if layer != "logits" else (3, 5))


def test_images_of_any_size_go_in(lite0: Bundle) -> None:
    block = activation_function(lite0, "block_2")
    assert [
        block(np.zeros((1, height, width, 3), np.float32)).shape[1:3]
        for height, width in ((97, 131), (33, 224))
    ] == [
        [25, 33],
        [9, 56],
    ]


def test_a_layer_is_cut_off_from_what_comes_after_it(lite0: Bundle) -> None:
    names = {node.name for node in layer_graph(lite0, ["block_2"])[0].node}
    assert "block_2/add" in names
    assert not any(name.startswith(("block_3", "head", "logits")) for name in names)


def test_an_unknown_layer_cannot_be_run(toy: Bundle) -> None:
    for ask in (
        lambda: activation_function(toy, "thrid"),
        lambda: layer_graph(toy, ["first", "thrid"]),
    ):
        with pytest.raises(UnknownLayer, match="did you mean 'third'"):
            ask()


def values_of(
    graph: tf.compat.v1.GraphDef, tensors: list[str], fed: np.ndarray
) -> list[np.ndarray]:
    run = tf.function(lambda images: run_inside(graph, "input:0", images, tensors), autograph=False)
    return [value.numpy() for value in run(tf.constant(fed, tf.float32))]


def test_several_layers_come_out_of_one_graph(toy: Bundle) -> None:
    images = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
    graph, tensors = layer_graph(toy, ["third", "first", "logits"])
    assert tensors == [toy.card.layer(layer).tensor for layer in ("third", "first", "logits")]
    for layer, found in zip(
        ("third", "first", "logits"), values_of(graph, tensors, images * 2 - 1), strict=True
    ):
        assert_close(found, whole_graph(toy, layer, images))


def test_before_the_activation_function_values_go_on_below_zero(toy: Bundle) -> None:
    images = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
    layers = ["first", "third", "logits"]
    first, third, logits = values_of(*layer_graph(toy, layers, pre_activation=True), images * 2 - 1)
    assert first.min() < -0.5 and third.min() < -0.5 and first.max() > 6
    assert_close(np.clip(first, 0, 6), whole_graph(toy, "first", images))
    assert_close(np.maximum(third, 0), whole_graph(toy, "third", images))
    # It has none.
    assert_close(logits, whole_graph(toy, "logits", images))


@pytest.mark.parametrize("pre_activation", [False, True])
def test_batch_norms_are_folded_whichever_side_of_the_activation_function_is_looked_at(
    lite0: Bundle, pre_activation: bool
) -> None:
    graph, _ = layer_graph(lite0, ["block_3.depthwise", "block_4"], pre_activation=pre_activation)
    assert not any(node.op.startswith("FusedBatchNorm") for node in graph.node)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"value_range": ((-2.0, 6.0),)}, [-2.0, 2.0, 6.0]),
        ({"value_range": ((-2.0, 6.0),), "channel_order": "bgr"}, [6.0, 2.0, -2.0]),
        ({"value_range": ((0.0, 1.0), (-1.0, 1.0), (-5.0, 0.0))}, [0.0, 0.0, 0.0]),
        (
            {"value_range": ((0.0, 1.0), (-1.0, 1.0), (-5.0, 0.0)), "channel_order": "bgr"},
            [1.0, 0.0, -5.0],
        ),
    ],
    ids=["one range", "bgr", "a range for each channel", "a range for each, in the graph's order"],
)
def test_images_become_what_the_model_expects(
    toy: Bundle, given: dict[str, object], wanted: list[float]
) -> None:
    image = ImageSpec.model_validate({"height": 32, "width": 32, **given})
    card = toy.card.model_copy(update={"image": image})
    assert to_model_input(tf.constant([[[[0.0, 0.5, 1.0]]]]), card).numpy().tolist() == [[[wanted]]]


def test_lite_sees_values_as_it_was_trained(lite0: Bundle) -> None:
    levels = tf.constant([0.0, 127 / 255, 1.0])
    np.testing.assert_allclose(
        to_model_input(levels[None, None, :, None], lite0.card)[0, 0, :, 0],
        [-127 / 128, 0.0, 1.0],
        atol=1e-6,
    )


def test_a_stored_bundle_is_loaded_as_it_was(toy: Bundle) -> None:
    assert load_bundle(card_json(toy), toy.graph_bytes) == toy


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: b"",
    ],
)
def test_a_changed_graph_is_refused(toy: Bundle, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(
        BadModel, match=f"the graph of {toy.card.key} differs from its card"
    ) as caught:
        load_bundle(card_json(toy), spoil(toy.graph_bytes))
    assert sentence(str(caught.value))


def with_graph(bundle: Bundle, change: Callable[[tf.compat.v1.GraphDef], None]) -> Bundle:
    """Load a bundle whose graph somebody has changed, with the hash of that on its card."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(bundle.graph_bytes)
    change(graph)
    return stored(bundle, graph.SerializeToString())


def stored(bundle: Bundle, graph: bytes) -> Bundle:
    """Load a bundle with other bytes for its graph, whose hash is on its card."""
    card = bundle.card.model_copy(update={"graph_sha256": hashlib.sha256(graph).hexdigest()})
    return load_bundle(card.model_dump_json().encode(), graph)


def test_a_stored_graph_that_does_more_than_compute_is_refused(toy: Bundle) -> None:
    def write(graph: tf.compat.v1.GraphDef) -> None:
        next(node for node in graph.node if node.op == "Relu6").op = "DebugIdentity"

    with pytest.raises(
        BadModel,
        match=r"in the bucket has forbidden operations: expected .*, found DebugIdentity "
        r"in first",
    ):
        with_graph(toy, write)
    with pytest.raises(BadModel, match=r"the graph of toy@.* cannot be read"):
        stored(toy, b"\xff" * 9)


def test_functions_devices_and_private_attributes_of_a_stored_graph_are_dropped(
    toy: Bundle,
) -> None:
    def add(graph: tf.compat.v1.GraphDef) -> None:
        graph.library.function.add().node_def.add(name="write", op="WriteFile")
        graph.node[-1].device = "/job:elsewhere/task:0"
        graph.node[-1].attr["_gradient_op_type"].s = b"Anything"

    assert parse_graph(with_graph(toy, add)) == parse_graph(toy)


@pytest.mark.parametrize(
    "broken",
    [b"", b"\xff\xfe", b"{}", b'{"name": "toy"', b"[]"],
    ids=["empty", "bytes", "without fields", "cut short", "list"],
)
def test_a_broken_card_is_refused(toy: Bundle, broken: bytes) -> None:
    with pytest.raises(BadModel, match=r"the model card is not valid \(\d+ errors\)") as caught:
        load_bundle(broken, toy.graph_bytes)
    assert sentence(str(caught.value))


def test_a_card_with_an_unknown_field_is_refused(toy: Bundle) -> None:
    with pytest.raises(BadModel, match="is not valid"):
        load_bundle(
            json.dumps(json.loads(card_json(toy)) | {"flavour": "sweet"}).encode(), toy.graph_bytes
        )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("weight", ["first/kernel", "third/variance", "logits/bias"])
def test_weights_that_are_no_numbers_are_refused(value: float, weight: str) -> None:
    weights = toy_weights()
    weights[weight].flat[-1] = value
    with pytest.raises(
        BadModel, match=r"^toy has weights that are not finite numbers \(first in \S+\), so it"
    ) as caught:
        toy_bundle(weights)
    assert sentence(str(caught.value))


def hashes(bundle: Bundle) -> list[str]:
    return [layer.sha256 for layer in bundle.card.layers]


def test_models_that_share_their_first_layers_share_the_hashes() -> None:
    other = toy_weights()
    other["third/beta"][0] += 1
    ours, theirs = hashes(toy_bundle()), hashes(toy_bundle(other, name="other"))
    assert ours[:2] == theirs[:2]
    assert ours[2] != theirs[2] and ours[3] != theirs[3]


@pytest.mark.parametrize("weight", ["first/kernel", "first/gamma", "first/variance"])
def test_a_changed_weight_changes_the_hash_of_all_that_follows(toy: Bundle, weight: str) -> None:
    other = toy_weights()
    other[weight].flat[0] += 0.001
    assert not set(hashes(toy)) & set(hashes(toy_bundle(other)))


def test_names_of_nodes_are_no_part_of_a_hash(toy: Bundle) -> None:
    scoped = toy_bundle(scope="tower")
    assert scoped.card.layers[0].tensor != toy.card.layers[0].tensor
    assert scoped.card.graph_sha256 != toy.card.graph_sha256
    assert hashes(scoped) == hashes(toy)


def test_each_layer_has_its_own_hash(lite0: Bundle) -> None:
    assert len(set(hashes(lite0))) == 50
