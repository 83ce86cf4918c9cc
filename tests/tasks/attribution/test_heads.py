"""One score explains the class that it decides for; a value is explained as it is."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.head_logits import HeadRequest
from diamond_cutter.tasks.attribution.attribution import BatchAttribution, attribution_function
from diamond_cutter.tasks.attribution.details import details_function
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.score import NONE
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from tests.headed_bundle import convolved, dense, imported
from tests.tasks.attribution.running import checking

IMAGES = np.random.default_rng(1).random((6, 16, 16, 3), np.float32)


@cache
def offset() -> float:
    """Return the middle of the images' scores without an offset."""
    found = attributed(imported(lambda x: dense(x, 1))[0], positive=0, negative="none")
    return float(np.median(found.logits))


@cache
def one_score() -> Bundle:
    """Return a network whose score is above 0 for half of the images."""
    middle = offset()
    return imported(lambda x: tf.sigmoid(40 * (dense(x, 1) - middle)))[0]


def spec_of(bundle: Bundle, **options: object) -> AttributionSpec:
    layers = tuple(layer.name for layer in bundle.card.layers if layer.height)
    return AttributionSpec(layers=layers, sprites="none", **options)  # type: ignore[arg-type]


def attributed(bundle: Bundle, **options: object) -> BatchAttribution:
    spec = spec_of(bundle, **options)
    return attribution_function(network_of(bundle, spec.layers), spec)(IMAGES)


def test_the_class_that_the_score_decides_for_is_explained_with_its_sign() -> None:
    bundle = one_score()
    found, second = attributed(bundle), attributed(bundle, positive=1)
    decided = (found.probabilities[:, 1] > 0.5).numpy()
    assert 0 < decided.sum() < len(decided)
    np.testing.assert_array_equal(found.chosen.positive, decided)
    np.testing.assert_array_equal(found.chosen.negative, ~decided)
    sign = np.where(decided, 1, -1)[:, None]
    np.testing.assert_allclose(
        found.layers[0].channels, sign * second.layers[0].channels, rtol=1e-5
    )
    # The score is linear in the layer, so the attributions add up to it without its offset.
    score = second.logits[:, 1] - second.logits[:, 0] + 40 * offset()
    np.testing.assert_allclose(tf.reduce_sum(second.layers[0].channels, 1), score, rtol=1e-3)


@pytest.mark.parametrize("threshold", [0.2, 0.9])
def test_above_the_threshold_the_second_class_is_predicted(threshold: float) -> None:
    bundle = one_score()
    found = attributed(bundle, threshold=threshold)
    probabilities = found.probabilities.numpy()
    np.testing.assert_allclose(probabilities, attributed(bundle).probabilities, rtol=1e-6)
    above = probabilities[:, 1] > threshold
    np.testing.assert_array_equal(np.argmax(found.logits, 1), above)
    np.testing.assert_array_equal(found.chosen.positive, above)
    spec = spec_of(bundle, threshold=threshold)
    details = details_function(network_of(bundle, spec.layers), spec)(IMAGES)
    np.testing.assert_array_equal(details.classes[:, 0], above)
    np.testing.assert_allclose(
        details.probabilities, np.take_along_axis(probabilities, details.classes.numpy(), 1)
    )


def test_two_classes_by_one_score_have_one_map_because_all_are_alike() -> None:
    bundle = one_score()
    spec = spec_of(bundle)
    details = details_function(network_of(bundle, spec.layers), spec)(IMAGES)
    assert len(details.explained) == 1
    assert len(details.layers[0].maps) == 1


def test_the_value_of_a_regression_is_explained_and_is_no_probability() -> None:
    bundle = imported(lambda x: dense(x, 3), HeadRequest(regression=True))[0]
    found = attributed(bundle, positive=2, negative="none")
    np.testing.assert_allclose(found.probabilities, found.logits)
    np.testing.assert_array_equal(found.chosen.positive, 2)
    np.testing.assert_array_equal(found.chosen.negative, NONE)
    np.testing.assert_allclose(
        tf.reduce_sum(found.layers[0].channels, 1), found.logits[:, 2], rtol=1e-4
    )


def test_the_class_of_a_segmentation_is_explained_over_the_picture() -> None:
    bundle = imported(lambda x: tf.nn.softmax(convolved(x, 3)))[0]
    spec = spec_of(bundle)
    checked = checking(network_of(bundle, spec.layers), spec)(IMAGES, range(len(IMAGES)))
    assert np.max(checked[0].completeness_error) < 1e-3
