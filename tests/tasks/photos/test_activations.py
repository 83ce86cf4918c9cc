"""How high photos drive channels: what the network says of each photo, and the highest of it."""

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.errors import UnknownLayer
from diamond_cutter.tasks.photos.activations import highest_activations
from tests.toy_network import CHANNELS, IMAGE_SIZE, LAYERS


def photos(count: int) -> np.ndarray:
    return (
        np.random.default_rng(7)
        .uniform(0, 1, (count, IMAGE_SIZE, IMAGE_SIZE, 3))
        .astype(np.float32)
    )


@pytest.mark.parametrize("count", [1, 16, 37])
def test_the_highest_is_over_all_photos_and_positions(count: int, toy: Bundle) -> None:
    seen = photos(count)
    found = highest_activations(toy, LAYERS, iter(seen))
    for layer, highest in zip(LAYERS, found, strict=True):
        activations = activation_function(toy, layer)(seen).numpy()
        assert highest.shape == (CHANNELS[layer],)
        np.testing.assert_allclose(
            highest, activations.reshape(-1, CHANNELS[layer]).max(axis=0), rtol=1e-5, atol=1e-6
        )


def test_the_last_batch_is_filled_up_with_nothing_new(toy: Bundle) -> None:
    (whole,), (first,) = (
        highest_activations(toy, ["first"], photos(17)[:count]) for count in (17, 16)
    )
    (last,) = highest_activations(toy, ["first"], photos(17)[16:])
    np.testing.assert_allclose(whole, np.maximum(first, last), rtol=1e-5)


def test_what_goes_into_the_activation_function_can_be_below_zero(toy: Bundle) -> None:
    black = np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.float32)
    (before,) = highest_activations(toy, ["first"], black, pre_activation=True)
    (after,) = highest_activations(toy, ["first"], black)
    np.testing.assert_allclose(after, np.clip(before, 0, 6), rtol=1e-5, atol=1e-6)
    assert before.min() < 0 or before.max() > 6


def test_a_layer_that_is_not_there_is_refused(toy: Bundle) -> None:
    with pytest.raises(UnknownLayer, match="did you mean 'first'"):
        highest_activations(toy, ["frist"], photos(1))
