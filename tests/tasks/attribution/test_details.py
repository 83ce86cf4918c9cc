"""What is shown of single images: maps that belong together, the channels that lead in each cell,
and images alike there.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.tasks.attribution.attribution import attribution_function
from diamond_cutter.tasks.attribution.details import (
    TOP_CHANNELS,
    BatchDetails,
    SamePlace,
    details_function,
)
from diamond_cutter.tasks.attribution.network import Network, network_of
from diamond_cutter.tasks.attribution.score import NONE
from diamond_cutter.tasks.attribution.spec import AttributionSpec, Method, Negative, Positive
from tests.built_bundle import bundle_of
from tests.small_networks import SIDE, built, convolved, dense, images
from tests.tasks.attribution.running import values_of

pytestmark = pytest.mark.slow

LAYERS = ("stem", "branch", "vector")
IMAGES = images(3)


@cache
def network() -> Network:
    return network_of(built("residual"), LAYERS)


def spec_of(
    positive: Positive,
    negative: Negative,
    method: Method = "gradient",
    layers: tuple[str, ...] = LAYERS,
) -> AttributionSpec:
    return AttributionSpec(
        layers=layers, positive=positive, negative=negative, method=method, steps=3, sprites="none"
    )


@cache
def details(positive: Positive, negative: Negative, method: Method = "gradient") -> BatchDetails:
    return details_function(network(), spec_of(positive, negative, method))(IMAGES)


def explained(found: BatchDetails) -> list[tuple[list[int], list[int]]]:
    return [
        (each.positive.numpy().tolist(), each.negative.numpy().tolist()) for each in found.explained
    ]


def order(place: int) -> list[int]:
    """Return the class of the highest logit of each image, or of the next, and so on."""
    (logits,) = values_of(network(), IMAGES, [network().logits])
    return np.argsort(-logits, axis=1)[:, place].tolist()


@pytest.mark.parametrize(
    ("method", "positive", "negative"),
    [("gradient", "auto", "auto"), ("gradient", 2, 4), ("integrated", "auto", "auto")],
)
def test_the_main_map_is_that_of_the_one_class_less_that_of_the_other(
    method: Method, positive: Positive, negative: Negative
) -> None:
    found = details(positive, negative, method)
    for layer in found.layers:
        main, one, other = (each.values.numpy() for each in layer.maps[:3])
        np.testing.assert_allclose(main, one - other, rtol=1e-4, atol=1e-5)
        assert np.abs(main).max() > 1e-3


@pytest.mark.parametrize(
    ("method", "positive", "negative"),
    [
        ("gradient", "auto", "auto"),
        ("gradient", 2, "none"),
        ("gradient", "all", 1),
        ("gradient", "all", "none"),
        ("integrated", "auto", "auto"),
    ],
)
def test_the_main_map_is_what_the_whole_report_explains(
    method: Method, positive: Positive, negative: Negative
) -> None:
    found = details(positive, negative, method)
    whole = attribution_function(network(), spec_of(positive, negative, method))(IMAGES)
    for shown, layer in zip(found.layers, whole.layers, strict=True):
        np.testing.assert_allclose(shown.maps[0].values, layer.positions, rtol=1e-3, atol=1e-5)
    first = found.explained[0]
    np.testing.assert_array_equal(first.positive, whole.chosen.positive)
    np.testing.assert_array_equal(first.negative, whole.chosen.negative)


def test_single_classes_follow_none_twice() -> None:
    nobody = [NONE] * 3
    first, second, third = order(0), order(1), order(2)
    assert explained(details("auto", "auto")) == [
        (first, second),
        (first, nobody),
        (second, nobody),
        (third, nobody),
    ]
    assert explained(details("auto", "none")) == [(first, nobody), (second, nobody)]
    assert explained(details("all", "none")) == [(nobody, nobody), (first, nobody)]
    assert explained(details("all", 1)) == [(nobody, [1] * 3)]
    rest = [
        next(each for each in ranks if each not in (2, 4))
        for ranks in zip(first, second, third, strict=True)
    ]
    assert explained(details(2, 4)) == [
        ([2] * 3, [4] * 3),
        ([2] * 3, nobody),
        ([4] * 3, nobody),
        (rest, nobody),
    ]
    # Where another class takes as long as all the rest, there is none.
    assert explained(details("auto", "auto", "integrated")) == [
        (first, second),
        (first, nobody),
        (second, nobody),
    ]


def test_a_map_of_a_single_class_is_that_of_a_report_on_it() -> None:
    found = details(2, 4)
    for place, number in ((1, 2), (2, 4)):
        alone = attribution_function(network(), spec_of(number, "none"))(IMAGES)
        for shown, layer in zip(found.layers, alone.layers, strict=True):
            np.testing.assert_allclose(
                shown.maps[place].values, layer.positions, rtol=1e-3, atol=1e-5
            )


def few_classes(count: int) -> Network:
    def build(x: tf.Tensor) -> dict[str, tf.Tensor]:
        first = tf.nn.relu(convolved(x, 41, 5, stride=2))
        return {"first": first, "logits": dense(tf.reduce_mean(first, [1, 2]), 42, count)}

    return network_of(bundle_of(build, side=SIDE), ["first"])


def test_a_single_class_is_explained_once_and_by_what_it_is() -> None:
    spec = spec_of("auto", "auto", layers=("first",))
    found = details_function(few_classes(1), spec)(IMAGES)
    assert explained(found) == [([0] * 3, [NONE] * 3)]
    whole = attribution_function(few_classes(1), spec)(IMAGES)
    np.testing.assert_allclose(
        found.layers[0].maps[0].values, whole.layers[0].positions, rtol=1e-3, atol=1e-5
    )
    assert np.abs(whole.layers[0].positions).max() > 1e-3
    assert found.classes.numpy().tolist() == [[0]] * 3
    np.testing.assert_allclose(
        found.probabilities, 1 / (1 + np.exp(-whole.logits.numpy())), rtol=1e-5
    )


@pytest.mark.parametrize(
    "end", [tf.sigmoid, lambda logits: tf.reshape(tf.sigmoid(tf.identity(logits)), [-1, 3])]
)
def test_where_an_image_may_be_of_several_classes_each_has_a_probability_of_its_own(
    end: Callable[[tf.Tensor], tf.Tensor],
) -> None:
    def build(x: tf.Tensor) -> dict[str, tf.Tensor]:
        first = tf.nn.relu(convolved(x, 41, 5, stride=2))
        logits = dense(tf.reduce_mean(first, [1, 2]), 42, 3)
        return {"first": first, "scores": logits, "tags": end(logits)}

    network, spec = (
        network_of(bundle_of(build, side=SIDE), ["first"]),
        spec_of("auto", "auto", layers=("first",)),
    )
    (logits,) = values_of(network, IMAGES, [network.logits])
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(
        attribution_function(network, spec)(IMAGES).probabilities, expected, rtol=1e-5
    )
    found = details_function(network, spec)(IMAGES)
    np.testing.assert_allclose(found.probabilities, -np.sort(-expected, axis=1), rtol=1e-5)


@pytest.mark.parametrize(("negative", "maps"), [("auto", 3), ("none", 2)])
def test_two_classes_are_explained_each_and_against_each_other(
    negative: Negative, maps: int
) -> None:
    found = details_function(few_classes(2), spec_of("auto", negative, layers=("first",)))(IMAGES)
    assert len(found.explained) == len(found.layers[0].maps) == maps
    singles = [
        each.positive.numpy() for each in found.explained if not (each.negative.numpy() >= 0).any()
    ]
    assert all({int(one), int(other)} == {0, 1} for one, other in zip(*singles, strict=True))


def test_classes_are_the_five_likeliest() -> None:
    found = details("auto", "auto")
    (logits,) = values_of(network(), IMAGES, [network().logits])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(found.classes, np.argsort(-logits, axis=1)[:, :5])
    np.testing.assert_allclose(
        found.probabilities, np.sort(shares, axis=1)[:, ::-1][:, :5], rtol=1e-4
    )


def test_cells_name_the_channels_that_lead_there() -> None:
    found = details(2, 4)
    for name, shown, activations in zip(
        LAYERS, found.layers, values_of(network(), IMAGES, network().tensors), strict=True
    ):
        flat = activations.reshape(
            3, -1, activations.shape[-1]
        )  # as many cells as positions, in a layer as small
        np.testing.assert_allclose(shown.highest, flat, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(shown.mean, flat, rtol=1e-4, atol=1e-5)
        check_leading(flat, shown.channels.numpy())
        attributed = flat * shown.gradients.numpy()
        np.testing.assert_allclose(
            attributed.sum(axis=2), shown.maps[0].values, rtol=1e-3, atol=1e-5, err_msg=name
        )
        check_leading(attributed, shown.maps[0].channels.numpy())


def check_leading(values: np.ndarray, channels: np.ndarray) -> None:
    """Check that channels are those of the highest values, in order; which of two that are as high
    does not matter.
    """
    wanted = -np.sort(-values, axis=2)[:, :, :TOP_CHANNELS]
    np.testing.assert_allclose(
        np.take_along_axis(values, channels.astype(int), 2), wanted, rtol=1e-4, atol=1e-5
    )
    assert all(len(set(cell)) == TOP_CHANNELS for image in channels.tolist() for cell in image)


def test_a_layer_of_few_channels_names_as_many() -> None:
    def build(x: tf.Tensor) -> dict[str, tf.Tensor]:
        first = tf.nn.relu(convolved(x, 41, 2, stride=2))
        return {"first": first, "logits": dense(tf.reduce_mean(first, [1, 2]), 42)}

    found = details_function(
        network_of(bundle_of(build, side=SIDE), ["first"]),
        spec_of("auto", "auto", layers=("first",)),
    )(IMAGES)
    assert found.layers[0].channels.shape == found.layers[0].maps[0].channels.shape == (3, 36, 2)


def test_larger_layers_are_put_together_in_cells() -> None:
    def build(x: tf.Tensor) -> dict[str, tf.Tensor]:
        first = tf.nn.relu(convolved(x, 41, 5))
        return {
            "first": first,
            "logits": dense(
                tf.reduce_mean(tf.nn.relu(convolved(first, 43, 6, stride=2)), [1, 2]), 42
            ),
        }

    large = network_of(bundle_of(build, side=24), ["first"])
    spec = spec_of("auto", "auto", layers=("first",))
    shown = details_function(large, spec)(images(2, 24)).layers[0]
    whole = attribution_function(large, spec)(images(2, 24)).layers[0]
    in_cells = whole.positions.numpy().reshape(2, 12, 2, 12, 2).sum(axis=(2, 4)).reshape(2, 144)
    np.testing.assert_allclose(shown.maps[0].values, in_cells, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        shown.maps[0].values.numpy().sum(axis=1),
        whole.channels.numpy().sum(axis=1),
        rtol=1e-3,
        atol=1e-5,
    )


def test_images_that_are_high_at_the_same_place_are_those_of_brute_force() -> None:
    stream = np.random.default_rng(0)
    numbers = [3, 4, 8, 9, 15, 20, 21]
    highest = np.round(np.maximum(stream.normal(0, 1, (7, 6, 5)), 0), 1).astype(
        np.float32
    )  # image, cell, channel: with ties and silence
    places = SamePlace(6, 5)
    for number, values in zip(numbers, highest, strict=True):
        places.add(number, values)
    for place, number in enumerate(numbers):
        channels = highest[place].argmax(axis=1)
        found = places.others(number, channels)
        for cell, channel in enumerate(channels):
            others = [
                other for other in range(7) if other != place and highest[other, cell, channel] > 0
            ]
            others.sort(
                key=lambda other, cell=cell, channel=channel: (
                    -highest[other, cell, channel],
                    other,
                )
            )
            assert found[cell] == tuple(numbers[other] for other in others[: SamePlace.KEPT - 1])


def test_an_image_is_never_like_itself_and_silence_is_nothing_in_common() -> None:
    places = SamePlace(1, 2)
    places.add(7, np.array([[5, 0]], np.float32))
    assert places.others(7, np.array([0])) == ((),)
    places.add(8, np.array([[4, 0]], np.float32))
    assert places.others(7, np.array([0])) == ((8,),)
    assert places.others(7, np.array([1])) == places.others(8, np.array([1])) == ((),)
