"""The method of a layer follows from counted work and from errors on a few images."""

import pytest
import tensorflow as tf

from diamond_cutter.tasks.attribution.method_choice import MOST_MULTIPLY_ADDS, Candidate, work
from diamond_cutter.tasks.attribution.multiply_adds import tail_multiply_adds
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec, LayerMethod
from tests.built_bundle import bundle_of
from tests.small_networks import convolved, dense


@pytest.mark.parametrize(
    ("error", "work", "tried"),
    [
        (0.2, 1.0, False),
        (0.21, 1.0, True),
        (0.21, MOST_MULTIPLY_ADDS, True),
        (9.0, 1.01 * MOST_MULTIPLY_ADDS, False),
        (None, 1.0, False),
    ],
)
def test_integrated_gradients_are_tried_if_needed_and_affordable(
    error: float | None, work: float, tried: bool
) -> None:
    assert Candidate("layer", error, work).is_worth_a_trial == tried


@pytest.mark.parametrize(
    ("error", "integrated", "method"),
    [(0.5, 0.1, "integrated"), (0.5, 0.6, "gradient"), (0.5, None, "gradient")],
)
def test_the_method_that_adds_up_better_is_chosen(
    error: float, integrated: float | None, method: LayerMethod
) -> None:
    assert Candidate("layer", error, 1.0).chosen(integrated).method == method


def test_work_grows_with_images_steps_and_maps() -> None:
    spec = AttributionSpec(layers=("a",), method="auto", steps=10, shown=5, sprites="none")
    assert work(spec, 4, 100.0) == 3 * 100 * 10 * (4 + 3 * 4)
    assert work(spec, 100, 100.0) == 3 * 100 * 10 * (100 + 3 * 5)


def network(x: tf.Tensor) -> dict[str, tf.Tensor]:
    first = tf.nn.relu(convolved(x, 1, 6, stride=2))
    second = tf.nn.relu(convolved(first, 2, 8))
    return {"first": first, "second": second, "logits": dense(tf.reduce_mean(second, [1, 2]), 3, 5)}


def test_multiply_adds_behind_a_layer_are_those_of_its_convolutions_and_products() -> None:
    bundle = bundle_of(network, side=16)
    found = tail_multiply_adds(network_of(bundle, ("first", "second")))
    assert found == [8 * 8 * 8 * 3 * 3 * 6 + 8 * 5, 8 * 5]
