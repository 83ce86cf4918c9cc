"""What channels add to a class."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from diamond_cutter.model_inventory.bundle import activation_function
from diamond_cutter.tasks.comparing.class_means import IMAGES_OF_CLASS
from diamond_cutter.tasks.comparing.contributions import class_contributions
from diamond_cutter.tasks.features.locating import highest_positions
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import read_image
from tests.small_networks import images
from tests.tasks.comparing.permuted_network import SIDE, network


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, FoundImage]:
    place: Path = tmp_path_factory.mktemp("images")
    written = {}
    for number, pixels in enumerate(np.uint8(255 * images(60, SIDE))):
        path = place / f"{number}.png"
        Image.fromarray(pixels).save(path)
        written[number] = FoundImage(path.name, str(path))
    return written


def test_behind_pooling_and_a_dense_layer_they_add_up_to_the_logit(
    found: dict[int, FoundImage],
) -> None:
    bundle, chosen = network(), (3, 5, 8)
    # The images of a label may have classes of their own.
    labels = {"owl": ((3, 2), (5, 2), (8, 0)), "cat": ((3, 4),)}
    pixels = np.stack([read_image(found[number], (SIDE, SIDE, 3)) for number in chosen])
    logits = activation_function(bundle, "logits")(tf.constant(pixels)).numpy()
    got = class_contributions(bundle, "two", labels, found)
    assert got["owl"].images == 3 and got["owl"].mean.sum() == pytest.approx(
        (logits[0, 2] + logits[1, 2] + logits[2, 0]) / 3, rel=1e-4
    )
    assert (got["owl"].half > 0).any() and got["cat"].images == 1
    assert np.isnan(got["cat"].half).all()
    assert got["cat"].mean.sum() == pytest.approx(logits[0, 4], rel=1e-4)
    leading = got["owl"].leading(3)
    means = got["owl"].mean
    assert leading.channels[0] == means.argmax() and list(leading.means) == sorted(
        leading.means, reverse=True
    )
    assert len(leading.channels) <= min(3, (means > 0).sum()) and min(leading.means) > 0
    assert set(got["cat"].leading(6).halves) == {None}


def test_no_more_images_of_a_class_are_measured_than_matter(found: dict[int, FoundImage]) -> None:
    got = class_contributions(
        network(), "two", {"owl": tuple((number, 0) for number in range(60))}, found
    )
    assert got["owl"].images == IMAGES_OF_CLASS


def test_positions_are_those_of_the_highest_activations(found: dict[int, FoundImage]) -> None:
    bundle = network()
    wanted = [("one", 0, 4), ("one", 3, 4), ("two", 5, 7), ("logits", 1, 7)]
    gone = FoundImage("gone.png", "/nowhere/gone.png")
    got = highest_positions(bundle, [*wanted, ("one", 0, 99)], {**found, 99: gone})
    assert set(got) == set(wanted) and got["logits", 1, 7] == 0
    for layer, channel, number in wanted[:3]:
        pixels = read_image(found[number], (SIDE, SIDE, 3))[np.newaxis]
        values = activation_function(bundle, layer)(tf.constant(pixels)).numpy()[0]
        assert values[..., channel].reshape(-1)[got[layer, channel, number]] == pytest.approx(
            values[..., channel].max()
        )
    assert highest_positions(bundle, [], found) == {}
