"""The named preprocessings are those of Keras and torchvision, and a card says which one it has."""

import keras
import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import to_model_input
from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.preprocessing import (
    SCALINGS,
    Preprocessing,
    Scaling,
    image_of,
    known_preprocessing,
    preprocessing_in_words,
    requested_scaling,
    scaling_of,
)
from tests.toy_network import toy_bundle

IMAGES = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def prepared(image: ImageSpec, images: np.ndarray = IMAGES) -> np.ndarray:
    card = toy_bundle().card.model_copy(update={"image": image})
    return np.asarray(to_model_input(images, card))


@pytest.mark.parametrize("name", ["caffe", "torch", "tf"])
def test_a_named_preprocessing_is_that_of_keras(name: Preprocessing) -> None:
    theirs = keras.applications.imagenet_utils.preprocess_input(255 * IMAGES, mode=name)
    image = image_of(SCALINGS[name], 4, 4, 3)
    np.testing.assert_allclose(prepared(image), theirs, rtol=1e-4, atol=1e-4)
    assert known_preprocessing(image) == name
    assert preprocessing_in_words(image).startswith(f"like {name}: ")


def test_mean_and_deviation_are_those_of_torchvision_in_any_order_of_the_colours() -> None:
    scaling = requested_scaling(None, (), MEAN, STD)
    assert scaling is not None
    expected = (IMAGES - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(prepared(image_of(scaling, 4, 4, 3)), expected, atol=1e-5)
    swapped = image_of(scaling, 4, 4, 3, "bgr")
    np.testing.assert_allclose(prepared(swapped), expected[..., ::-1], atol=1e-5)
    assert known_preprocessing(swapped) == "torch"
    assert image_of(scaling_of(swapped), 4, 4, 3) == swapped


def test_a_range_for_each_channel_is_kept_and_equal_ranges_are_one() -> None:
    four = requested_scaling(None, (0, 1, 0, 2, -1, 1, 0, 1), None, None)
    assert four is not None
    image = image_of(four, 4, 4, 4)
    assert image.value_range == ((0, 1), (0, 2), (-1, 1), (0, 1))
    assert preprocessing_in_words(image) == (
        "0 to 1, 0 to 2, -1 to 1, 0 to 1, in the order of the channels"
    )
    assert image_of(Scaling(((-1, 1),) * 3), 4, 4, 3).value_range == ((-1, 1),)
    ranges = image_of(Scaling(((0, 1), (0, 2), (0, 3))), 4, 4, 3, "bgr")
    assert ranges.value_range == ((0, 3), (0, 2), (0, 1))
    assert preprocessing_in_words(ranges) == "0 to 1 of red, 0 to 2 of green, 0 to 3 of blue"
    assert requested_scaling(None, (), (), ()) is None


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (("tf", (0.0, 1.0), (), ()), "given twice"),
        ((None, (0.0, 1.0), MEAN, STD), "given twice"),
        ((None, (0.0, 1.0, 2.0), (), ()), "found 3 numbers"),
        ((None, (), MEAN, ()), "found 3 and 0"),
        ((None, (), MEAN, (1.0, 0.0, 1.0)), "numbers above 0, found 0"),
        ((None, (), MEAN, (1.0, float("nan"), 1.0)), "numbers above 0, found nan"),
        ((None, (), (float("inf"), 0.0, 0.0), STD), "finite numbers, found inf"),
    ],
)
def test_a_preprocessing_that_makes_no_sense_is_refused(request_: tuple, problem: str) -> None:
    with pytest.raises(BadModel, match=problem):
        requested_scaling(*request_)


@pytest.mark.parametrize(
    ("scaling", "channels", "problem"),
    [
        (SCALINGS["caffe"], 1, "expected values for 1, found 3"),
        (Scaling(((1.0, 0.0),)), 3, "black lower than white, found 1 to 0"),
        (Scaling(((0.0, float("inf")),)), 3, "found 0 to inf"),
    ],
)
def test_a_scaling_that_does_not_fit_a_model_is_refused(
    scaling: Scaling, channels: int, problem: str
) -> None:
    with pytest.raises(BadModel, match=problem):
        image_of(scaling, 4, 4, channels)


def test_a_range_of_all_channels_is_said_once() -> None:
    assert preprocessing_in_words(image_of(Scaling(((0, 2),)), 4, 4, 3)) == "0 to 2"
