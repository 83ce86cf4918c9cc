"""Attributions are what they are called: gradients by finite differences, sums that add up, and the
same in any company.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.errors import BadModel, UnknownLayer
from diamond_cutter.tasks.attribution.attribution import BatchAttribution, attribution_function
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.score import NONE, ChosenClasses, score_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec, Negative, Positive
from tests.built_bundle import bundle_of
from tests.small_networks import SIDE, built, convolved, dense, images
from tests.tasks.attribution.running import cut_at, every_layer, values_of, whole
from tests.toy_network import IMAGE_SIZE, toy_bundle

# Of integrated gradients, which take longer: some of which nothing, or much, goes around, and one
# that leads nowhere.
INTEGRATED = {
    "toy": ("first", "third"),
    "residual": ("stem", "aside", "branch"),
    "gated": ("gate", "head"),
    "with image": ("first",),
    "linear": ("bent", "second"),
}
SCORES: list[tuple[Positive, Negative]] = [
    (2, "none"),
    ("auto", "auto"),
    ("all", "none"),
    ("all", 1),
]


@cache
def bundle(name: str) -> Bundle:
    return toy_bundle() if name == "toy" else built(name)


def pictures(name: str, count: int) -> np.ndarray:
    # Drawn so that differences do not meet a kink just there.
    return images(count, IMAGE_SIZE, seed=3) if name == "toy" else images(count, SIDE, seed=5)


def layers_of(name: str, method: str) -> tuple[str, ...]:
    return INTEGRATED[name] if method == "integrated" else tuple(every_layer(bundle(name)))


@cache
def function(
    name: str, positive: Positive, negative: Negative, method: str = "gradient", steps: int = 1
) -> Callable[[np.ndarray], BatchAttribution]:
    layers = layers_of(name, method)
    spec = AttributionSpec(
        layers=layers,
        positive=positive,
        negative=negative,
        method=method,
        steps=steps,
        sprites="none",
    )
    return attribution_function(network_of(bundle(name), spec.layers), spec)


def scores(logits: np.ndarray, chosen: ChosenClasses) -> np.ndarray:
    """Return the scores of images, float64 `[image, ...]`, of logits `[image, ..., class]`."""
    each = logits.shape[1:-1]
    repeated = ChosenClasses(
        *(tf.constant(np.repeat(part.numpy(), int(np.prod(each)))) for part in chosen)
    )
    return (
        score_of(tf.constant(logits.reshape(-1, logits.shape[-1])), repeated)
        .numpy()
        .astype(np.float64)
        .reshape(-1, *each)
    )


# The shortest crosses the fewest kinks of a network, the longest loses the fewest digits.
STEPS = np.array([2e-2, 8e-3, 4e-3, 2e-3, 1e-3])


@cache
def perturbed(name: str, layer: str) -> np.ndarray:
    """Return the logits with each channel of a layer a little higher and lower, `[image, channel,
    step, higher or lower, class]`.
    """
    cut = cut_at(whole(bundle(name)), layer, pictures(name, 2))
    count, channels = len(cut.activations), cut.activations.shape[-1]
    factors = 1 + np.multiply.outer(
        np.eye(channels), np.multiply.outer(STEPS, [1, -1])
    )  # [channel, which, step, sign]
    factors = (
        np.moveaxis(factors, 1, -1)
        .reshape(-1, *[1] * (cut.activations.ndim - 2), channels)
        .astype(np.float32)
    )
    places = np.repeat(np.arange(count), len(factors))
    logits = cut.logits_of(
        cut.activations[places] * np.tile(factors, (count, *[1] * (cut.activations.ndim - 1))),
        places,
    )
    return logits.reshape(count, channels, len(STEPS), 2, -1)


@pytest.mark.parametrize(("positive", "negative"), SCORES)
@pytest.mark.parametrize("name", ["toy", "residual", "gated", "with image"])
def test_gradient_times_activation_is_what_the_score_gains_with_a_channel(
    name: str, positive: Positive, negative: Negative
) -> None:
    found = function(name, positive, negative)(pictures(name, 2))
    for layer, attributed in zip(every_layer(bundle(name)), found.layers, strict=True):
        ends = scores(perturbed(name, layer), found.chosen)
        wanted = (ends[..., 0] - ends[..., 1]) / (2 * STEPS)  # [image, channel, step]
        error = np.linalg.norm(attributed.channels.numpy()[..., None] - wanted, axis=1)
        length = np.linalg.norm(wanted, axis=1)
        if layer == "aside":  # the logits do not depend on it
            assert not attributed.channels.numpy().any() and not attributed.positions.numpy().any()
        else:
            assert length.min() > 0.01 and (error / length).min(axis=1).max() < 1e-3, layer


@pytest.mark.parametrize("method", ["gradient", "integrated"])
@pytest.mark.parametrize("name", ["toy", "residual", "gated"])
def test_channels_and_positions_are_sums_over_the_same_and_the_highest_is_where_it_is_said(
    name: str, method: str
) -> None:
    seen = pictures(name, 3)
    found, network = (
        function(name, "auto", "auto", method, 4)(seen),
        network_of(bundle(name), layers_of(name, method)),
    )
    values = values_of(network, seen, network.tensors)
    for layer, attributed, activations in zip(network.layers, found.layers, values, strict=True):
        card = bundle(name).card.layer(layer)
        assert attributed.channels.shape == (3, card.channels)
        assert attributed.positions.shape == (3, (card.height or 1) * (card.width or 1))
        np.testing.assert_allclose(
            tf.reduce_sum(attributed.channels, 1),
            tf.reduce_sum(attributed.positions, 1),
            rtol=1e-3,
            atol=1e-5,
        )
        flat = activations.reshape(3, -1, card.channels)
        np.testing.assert_allclose(attributed.highest, flat.max(axis=1), rtol=1e-5, atol=1e-6)
        there = np.take_along_axis(flat, attributed.where.numpy()[:, None], 1)[:, 0]
        np.testing.assert_allclose(there, flat.max(axis=1), rtol=1e-5, atol=1e-6)
        assert attributed.where.dtype == tf.int32


def gains(name: str, layer: str, seen: np.ndarray, chosen: ChosenClasses) -> np.ndarray:
    """Return what the score of each image gains from the silent layer on."""
    cut = cut_at(whole(bundle(name)), layer, seen)
    return scores(cut.logits, chosen) - scores(
        cut.logits_of(np.zeros_like(cut.activations)), chosen
    )


@pytest.mark.parametrize("method", ["gradient", "integrated"])
@pytest.mark.parametrize(("positive", "negative"), [(3, "none"), ("auto", "auto"), (0, 4)])
def test_behind_which_all_is_linear_attributions_add_up(
    positive: Positive, negative: Negative, method: str
) -> None:
    seen = pictures("linear", 3)
    found = function("linear", positive, negative, method, 3)(seen)
    for layer, attributed in zip(layers_of("linear", method), found.layers, strict=True):
        wanted = gains("linear", layer, seen, found.chosen)
        assert np.abs(wanted).max() > 0.1
        np.testing.assert_allclose(
            attributed.channels.numpy().sum(axis=1), wanted, rtol=1e-3, atol=1e-5
        )


@pytest.mark.parametrize(
    ("name", "positive", "negative"),
    [
        ("toy", "auto", "auto"),
        ("residual", 1, "none"),
        ("gated", "all", 1),
        ("with image", "auto", "none"),
    ],
)
def test_integrated_gradients_add_up_the_better_with_many_steps(
    name: str, positive: Positive, negative: Negative
) -> None:
    seen = pictures(name, 6)
    errors = []
    for steps in (2, 64):
        found = function(name, positive, negative, "integrated", steps)(seen)
        wanted = np.array(
            [gains(name, layer, seen, found.chosen) for layer in layers_of(name, "integrated")]
        )
        got = [attributed.channels.numpy().sum(axis=1) for attributed in found.layers]
        error = np.abs(got - wanted).sum(axis=1) / np.maximum(np.abs(wanted).sum(axis=1), 1e-6)
        errors.append(error.max())
    few, many = errors
    assert few > 1e-3 and many < min(few / 8, 1e-2)


@pytest.mark.parametrize("method", ["gradient", "integrated"])
@pytest.mark.parametrize("name", ["toy", "residual", "gated"])
def test_an_image_is_the_same_in_any_batch(name: str, method: str) -> None:
    attribute = function(name, "auto", "auto", method, 4)
    seen = pictures(name, 16)
    alone, among_many, last = attribute(seen[4:5]), attribute(seen), attribute(seen[:5])
    for other, place in ((among_many, 4), (last, 4)):
        np.testing.assert_allclose(other.logits[place], alone.logits[0], rtol=1e-5, atol=1e-5)
        assert [int(part[place]) for part in other.chosen] == [
            int(part[0]) for part in alone.chosen
        ]
        for one, same in zip(alone.layers, other.layers, strict=True):
            for what in ("channels", "positions", "highest"):
                np.testing.assert_allclose(
                    getattr(same, what)[place], getattr(one, what)[0], rtol=1e-5, atol=1e-5
                )


def one_class(x: tf.Tensor) -> dict[str, tf.Tensor]:
    first = tf.nn.relu(convolved(x, 41, 5, stride=2))
    return {"first": first, "logits": dense(tf.reduce_mean(first, [1, 2]), 42, 1)}


@pytest.mark.parametrize(("positive", "negative"), [("auto", "auto"), (0, "none"), ("all", "none")])
def test_a_single_class_is_explained_by_its_logit(positive: Positive, negative: Negative) -> None:
    single = bundle_of(one_class, side=SIDE)
    spec = AttributionSpec(layers=("first",), positive=positive, negative=negative, sprites="none")
    found = attribution_function(network_of(single, spec.layers), spec)(images(2))
    silent = cut_at(whole(single), "first", images(2))
    wanted = silent.logits - silent.logits_of(np.zeros_like(silent.activations))
    np.testing.assert_allclose(
        found.layers[0].channels.numpy().sum(axis=1), wanted[:, 0], rtol=1e-4, atol=1e-5
    )
    assert found.chosen.negative.numpy().tolist() == [NONE] * 2


def test_a_model_without_classes_is_refused() -> None:
    without = bundle_of(lambda x: {"first": tf.nn.relu(convolved(x, 51, 5, stride=2))}, side=SIDE)
    with pytest.raises(BadModel, match="has no logits"):
        network_of(without, ["first"])


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownLayer, match="did you mean 'stem'"):
        network_of(bundle("residual"), ["stm"])


def test_a_layer_whose_sides_tensorflow_does_not_know_is_measured() -> None:
    def resized(x: tf.Tensor) -> dict[str, tf.Tensor]:
        first = convolved(x, 61, 5, stride=2)
        sides = tf.shape(first)[1:3] * tf.constant([2, 2])
        second = tf.nn.relu(convolved(tf.image.resize(first, sides), 62, 6))
        return {"second": second, "logits": dense(tf.reduce_mean(second, [1, 2]), 63)}

    spec = AttributionSpec(layers=("second",), method="gradient", sprites="none")
    network = network_of(bundle_of(resized, side=SIDE), spec.layers)
    (layer,) = attribution_function(network, spec)(images(2, SIDE)).layers
    assert layer.positions.shape == (2, SIDE * SIDE)
    np.testing.assert_allclose(
        tf.reduce_sum(layer.positions, 1), tf.reduce_sum(layer.channels, 1), rtol=1e-4
    )
