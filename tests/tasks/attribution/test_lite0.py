"""On a real network: attributions add up, and name the channels that matter."""

from importlib.resources import files

import numpy as np
import pytest
from PIL import Image, ImageOps

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.attribution.attribution import attribution_function
from diamond_cutter.tasks.attribution.checks import LayerChecks
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from tests.tasks.attribution.running import checking, cut_at

pytestmark = pytest.mark.slow

PHOTOS = ["chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"]
LAYERS = ("block_10", "head")
OF_THE_CLASS = AttributionSpec(layers=LAYERS, negative="none", sprites="none")


def photo(name: str) -> np.ndarray:
    with Image.open(str(files("skimage") / "data" / name)) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), (224, 224)), np.float32) / 255


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.stack([photo(name) for name in PHOTOS])


@pytest.fixture(scope="module")
def checks(lite0: Bundle, photos: np.ndarray) -> dict[str, LayerChecks]:
    found = checking(network_of(lite0, LAYERS), OF_THE_CLASS)(photos, range(len(photos)))
    return dict(zip(LAYERS, found, strict=True))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_twentieth_of_the_channels_takes_much_more_than_as_many_at_random(
    checks: dict[str, LayerChecks], layer: str
) -> None:
    top, random = (
        float(np.median(values))
        for values in (checks[layer].drop_of_top, checks[layer].drop_of_random)
    )
    assert top > 5 * max(random, 0) and top > 1


def test_a_hundred_steps_add_up_to_what_the_score_gains(lite0: Bundle, photos: np.ndarray) -> None:
    spec = OF_THE_CLASS.model_copy(update={"method": "integrated", "steps": 100})
    network = network_of(lite0, LAYERS)
    photos = photos[:3]
    found = attribution_function(network, spec)(photos)
    places = np.arange(len(photos))
    for layer, attributed in zip(LAYERS, found.layers, strict=True):
        cut = cut_at(network, layer, photos)
        chosen = found.chosen.positive.numpy()
        gain = (
            cut.logits[places, chosen]
            - cut.logits_of(np.zeros_like(cut.activations))[places, chosen]
        )
        error = np.abs(attributed.channels.numpy().sum(axis=1) - gain) / np.abs(gain)
        assert np.median(error) < 0.02, layer
