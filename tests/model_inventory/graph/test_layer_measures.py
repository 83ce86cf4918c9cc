"""What a layer costs, how far it sees, and whether it takes images of any size: compared with what
is known or can be computed.
"""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.model_inventory.errors import BadModel
from tests.built_bundle import bundle_of, flattened, weights


def chain(x: tf.Tensor) -> dict[str, tf.Tensor]:
    one = tf.nn.relu(tf.nn.conv2d(x, weights(3, 3, 3, 8), 2, "SAME"))
    deep = tf.nn.depthwise_conv2d(one, weights(5, 5, 8, 1), [1, 1, 1, 1], "SAME")
    pooled = tf.nn.max_pool2d(deep, 2, 2, "SAME")
    wide = tf.nn.conv2d(pooled, weights(3, 3, 8, 4), 1, "SAME", dilations=2)
    return {
        "one": one,
        "deep": deep,
        "pooled": pooled,
        "wide": wide,
        "scores": tf.matmul(tf.reduce_mean(wide, [1, 2]), weights(4, 5)),
    }


def by_name(bundle: Bundle) -> dict[str, LayerCard]:
    return {layer.name: layer for layer in bundle.card.layers}


def test_multiplications_are_counted_up_to_each_layer() -> None:
    counts = [layer.macs for layer in bundle_of(chain).card.layers]
    one = 16 * 16 * 8 * 27
    deep = one + 16 * 16 * 8 * 25
    wide = deep + 8 * 8 * 4 * 72
    # The scores once by their name, and once as the logits that they are.
    assert counts == [one, deep, deep, wide, wide + 20, wide + 20]


def test_a_real_network_costs_what_its_authors_say(lite0: Bundle) -> None:
    # 407 million by
    # https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, which counts
    # more than products.
    assert 380e6 < lite0.card.layer("logits").macs < 407e6


def test_receptive_fields_follow_from_windows_and_strides() -> None:
    layers = by_name(bundle_of(chain))
    assert [
        layers[name].receptive_field for name in ("one", "deep", "pooled", "wide", "scores")
    ] == [3, 11, 13, 29, None]


@pytest.mark.parametrize("layer", ["one", "deep", "pooled", "wide"])
def test_a_position_sees_its_receptive_field_and_nothing_else(layer: str) -> None:
    bundle = bundle_of(chain, side=96)
    look, image = (
        activation_function(bundle, layer),
        tf.Variable(np.random.default_rng(0).random((1, 96, 96, 3), np.float32)),
    )
    with tf.GradientTape() as tape:
        values = look(image)
        middle = tf.reduce_sum(values[:, values.shape[1] // 2, values.shape[2] // 2])
    seen = np.abs(tape.gradient(middle, image).numpy()[0]).sum(axis=(1, 2)).nonzero()[0]
    # A pool passes on one of its values only, a ReLU not all.
    assert (
        bundle.card.layer(layer).receptive_field - 4
        <= seen[-1] - seen[0] + 1
        <= bundle.card.layer(layer).receptive_field
    )


def test_a_gate_that_looks_at_the_whole_image_makes_all_behind_it_see_it() -> None:
    def gated(x: tf.Tensor) -> dict[str, tf.Tensor]:
        one = tf.nn.conv2d(x, weights(3, 3, 3, 4), 1, "SAME")
        gate = tf.sigmoid(
            tf.nn.conv2d(tf.reduce_mean(one, [1, 2], keepdims=True), weights(1, 1, 4, 4), 1, "SAME")
        )
        return {"one": one, "gated": one * gate}

    assert [layer.receptive_field for layer in bundle_of(gated).card.layers] == [3, None]


def test_what_a_flattened_map_leads_to_takes_images_of_one_size_only() -> None:
    assert {layer.name: layer.any_size for layer in bundle_of(flattened).card.layers} == {
        "one": True
    } | dict.fromkeys(("hidden", "scores", "logits"), False)
    assert all(layer.any_size for layer in bundle_of(chain).card.layers)


def transposed(x: tf.Tensor) -> dict[str, tf.Tensor]:
    one = tf.nn.relu(tf.nn.conv2d(x, weights(3, 3, 3, 8), 2, "SAME"))
    shape = [tf.shape(x)[0], 32, 32, 6]
    return {"one": one, "up": tf.nn.conv2d_transpose(one, weights(2, 2, 6, 8), shape, 2)}


def transposed_to_any_size(x: tf.Tensor) -> dict[str, tf.Tensor]:
    one = tf.nn.relu(tf.nn.conv2d(x, weights(3, 3, 3, 8), 2, "SAME"))
    sides = [tf.shape(one)[0], tf.shape(one)[1] * 2, tf.shape(one)[2] * 2, 6]
    return {"one": one, "up": tf.nn.conv2d_transpose(one, weights(2, 2, 6, 8), sides, 2)}


@pytest.mark.slow
def test_a_layer_is_of_any_size_only_if_its_gradient_is() -> None:
    # The transposed convolution runs on images of other sizes, but its gradient does not.
    found = {layer.name: layer.any_size for layer in bundle_of(transposed).card.layers}
    assert found == {"one": True, "up": False}
    assert all(layer.any_size for layer in bundle_of(transposed_to_any_size).card.layers)


def test_an_image_that_the_graph_does_not_run_on_is_one_sentence() -> None:
    with pytest.raises(
        BadModel,
        match=r"built does not run on an image of 48 x 48 pixels with 3 channels \(.+\). Give",
    ) as error:
        bundle_of(flattened, side=48)
    assert "\n" not in str(error.value)


def test_a_graph_without_rows_and_columns_is_refused() -> None:
    with pytest.raises(BadModel, match="no layer with rows and columns"):
        bundle_of(lambda x: {"scores": tf.matmul(tf.reduce_mean(x, [1, 2]), weights(3, 5))})
