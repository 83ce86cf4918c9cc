"""The checks measure what they say: what attributions lack, and what the score loses without some
channels.
"""

from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.tasks.attribution.attribution import attribution_function
from diamond_cutter.tasks.attribution.checks import RANDOM_DRAWS, LayerChecks
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec, ablated_channels
from tests.built_bundle import bundle_of
from tests.small_networks import SIDE, built, convolved, dense, images
from tests.tasks.attribution.running import checking, cut_at

pytestmark = pytest.mark.slow

CLASS = 2


# Nothing goes around the first and the last; the logits do not depend on the second; the stem goes
# around the third.
LAYERS = ("stem", "aside", "branch", "vector")


def spec_of(layers: Sequence[str], method: str = "gradient") -> AttributionSpec:
    return AttributionSpec(
        layers=tuple(layers),
        positive=CLASS,
        negative="none",
        method=method,
        steps=4,
        sprites="none",
    )


def wide(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build a layer of so many channels that 2 are silenced at once; what is behind it is
    linear.
    """
    first = tf.nn.relu(convolved(x, 61, 40, stride=2))
    return {"first": first, "logits": dense(tf.reduce_mean(first, [1, 2]), 62)}


@pytest.fixture(scope="module")
def checked() -> dict[str, LayerChecks]:
    network = network_of(built("residual"), LAYERS)
    found = checking(network, spec_of(LAYERS))(images(3), range(3))
    return dict(zip(network.layers, found, strict=True))


def test_what_attributions_lack_and_what_the_score_loses_are_measured_with_channels_silenced(
    checked: dict[str, LayerChecks],
) -> None:
    network = network_of(built("residual"), LAYERS)
    attributed = attribution_function(network, spec_of(LAYERS))(images(3)).layers
    for layer in ("stem", "branch", "vector"):
        cut, channels = (
            cut_at(network, layer, images(3)),
            attributed[network.layers.index(layer)].channels.numpy(),
        )
        kept = np.concatenate(
            [np.zeros((1, channels.shape[1])), 1 - np.eye(channels.shape[1])]
        ).astype(np.float32)
        kept = kept.reshape(-1, *[1] * (cut.activations.ndim - 2), channels.shape[1])
        lost = cut.logits[:, CLASS] - np.stack(
            [cut.logits_of(cut.activations * which)[:, CLASS] for which in kept]
        )
        gain, drops, found = (
            lost[0],
            lost[1:],
            LayerChecks(*(values.numpy() for values in checked[layer])),
        )
        assert np.abs(gain).min() > 1e-3
        np.testing.assert_allclose(
            found.completeness_error,
            np.abs(channels.sum(axis=1) - gain) / np.abs(gain),
            rtol=1e-3,
            atol=1e-4,
        )
        # One channel is silenced: that of the highest attribution.
        np.testing.assert_allclose(
            found.drop_of_top, drops[channels.argmax(axis=1), range(3)], rtol=1e-4, atol=1e-5
        )
        # At random it is a mean of as many of all channels' drops as are drawn.
        assert (found.drop_of_random < drops.max(axis=0)).all() and (
            found.drop_of_random > drops.min(axis=0)
        ).all()


def test_nothing_is_lost_with_a_layer_that_the_logits_do_not_depend_on(
    checked: dict[str, LayerChecks],
) -> None:
    assert np.stack(checked["aside"]).tolist() == np.zeros((3, 3)).tolist()


def test_where_all_is_linear_nothing_lacks_and_the_top_takes_what_it_adds() -> None:
    bundle = bundle_of(wide, side=SIDE)
    (found,) = checking(network_of(bundle, ["first"]), spec_of(["first"]))(images(4), range(4))
    np.testing.assert_allclose(found.completeness_error, np.zeros(4), atol=1e-3)
    cut = cut_at(network_of(bundle, ["first"]), "first", images(4))
    weights = np.stack(
        [
            cut.logits_of(cut.activations * which)[:, CLASS]
            for which in np.eye(40, dtype=np.float32)
        ],
        axis=1,
    )
    added = weights - cut.logits_of(np.zeros_like(cut.activations))[:, [CLASS]]
    assert ablated_channels(40) == 2
    np.testing.assert_allclose(
        found.drop_of_top, np.sort(added, axis=1)[:, -2:].sum(axis=1), rtol=1e-3, atol=1e-5
    )
    # In the mean, two of forty at random take a twentieth of all.
    (many,) = checking(network_of(bundle, ["first"]), spec_of(["first"]))(
        np.repeat(images(1), 400, axis=0), range(400)
    )
    spread = added[0].std() * np.sqrt(2 / (400 * RANDOM_DRAWS))
    assert np.mean(many.drop_of_random) == pytest.approx(added[0].mean() * 2, abs=4 * spread)
    assert np.ptp(many.drop_of_random) > spread  # they are not all the same


@pytest.mark.parametrize("method", ["gradient", "integrated"])
def test_an_image_is_silenced_alike_in_any_batch(method: str) -> None:
    bundle = built("residual")
    check = checking(network_of(bundle, ["stem", "branch"]), spec_of(["stem", "branch"], method))
    seen, seeds = images(16), np.arange(100, 116, dtype=np.int32)
    alone, among_many, last = (
        check(seen[4:5], seeds[4:5]),
        check(seen, seeds),
        check(seen[:5], seeds[:5]),
    )
    for one, *others in zip(alone, among_many, last, strict=True):
        for other in others:
            np.testing.assert_allclose(
                np.stack(other)[1:, 4], np.stack(one)[1:, 0], rtol=1e-5, atol=1e-5
            )
            np.testing.assert_allclose(
                other.completeness_error[4], one.completeness_error[0], rtol=1e-3, atol=1e-5
            )
    (same, _), (differs, _) = check(seen[4:5], seeds[4:5]), check(seen[4:5], seeds[5:6])
    assert (
        same.drop_of_random.numpy()
        == alone[0].drop_of_random.numpy()
        != differs.drop_of_random.numpy()
    )
