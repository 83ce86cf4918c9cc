"""Features are the pooled activations of the network itself."""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.tasks.features.costs import milliseconds, parameters
from diamond_cutter.tasks.features.extraction import BATCH, feature_function, features_of, pool
from diamond_cutter.tasks.features.spec import Pooling, channel_of, feature_width
from tests.toy_network import CHANNELS, LAYERS, toy_weights


def pixels_of(images: int, size: int = 32) -> np.ndarray:
    stream = np.random.default_rng(0)
    return stream.integers(0, 256, (images, size, size, 3)).astype(np.uint8)


def ignore(done: int) -> None:
    """Take progress."""


@pytest.mark.parametrize("pooling", ["average", "average+deviation", "average+max"])
def test_features_of_all_layers_in_one_pass_are_those_of_each_alone(
    toy: Bundle, pooling: Pooling
) -> None:
    pixels = pixels_of(3)
    found = features_of(feature_function(toy, LAYERS, pooling), pixels, ignore)
    for layer, features in zip(LAYERS, found, strict=True):
        activations = activation_function(toy, layer)(tf.constant(pixels / 255.0, tf.float32))
        values = activations.numpy().reshape(3, -1, CHANNELS[layer])
        second = {"average+deviation": values.std(1), "average+max": values.max(1)}.get(pooling)
        expected = values.mean(1)
        expected = expected if second is None else np.concatenate([expected, second], axis=1)
        np.testing.assert_allclose(features, expected, rtol=2e-4, atol=2e-5)
        assert features.shape == (3, feature_width(pooling, CHANNELS[layer]))


def test_an_image_has_the_same_features_in_any_company(toy: Bundle) -> None:
    pixels = pixels_of(BATCH + 5)
    function = feature_function(toy, ["third"], "average")
    together = features_of(function, pixels, ignore)[0]
    for image in (0, BATCH - 1, BATCH, BATCH + 4):
        alone = features_of(function, pixels[image : image + 1], ignore)[0]
        assert (alone[0] == together[image]).all()


def test_progress_counts_each_image_once(toy: Bundle) -> None:
    done: list[int] = []
    features_of(feature_function(toy, ["first"], "average"), pixels_of(BATCH + 5), done.append)
    assert done == [BATCH, 5]


def test_a_vector_is_its_own_average_and_maximum_and_does_not_deviate() -> None:
    vector = tf.constant([[1.0, -2.0]])
    assert pool(vector, "average+max").numpy().tolist() == [[1, -2, 1, -2]]
    assert pool(vector, "average+deviation").numpy().tolist() == [[1, -2, 0, 0]]


def test_the_channel_of_a_feature_is_that_of_either_part() -> None:
    assert [channel_of(feature, 4) for feature in (0, 3, 4, 7)] == [0, 3, 0, 3]


def test_parameters_are_the_weights_up_to_a_layer(toy: Bundle) -> None:
    sizes = {name: value.size for name, value in toy_weights().items()}
    found = parameters(toy, LAYERS)
    for place, layer in enumerate(LAYERS):
        needed = [name for name in sizes if name.split("/")[0] in LAYERS[: place + 1]]
        assert found[layer] == sum(sizes[name] for name in needed)


def test_a_real_network_has_the_parameters_that_its_authors_count(lite0: Bundle) -> None:
    # 4.65 million weights, and twice the 21,000 channels of BatchNorm for its statistics.
    assert parameters(lite0, ["logits"])["logits"] == pytest.approx(4.69e6, rel=0.01)


def test_times_are_positive_for_each_layer(toy: Bundle) -> None:
    found = milliseconds(toy, ["first", "logits"])
    assert set(found) == {"first", "logits"} and min(found.values()) > 0
