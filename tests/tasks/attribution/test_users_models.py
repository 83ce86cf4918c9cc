"""Attribution takes models as users have them, unchanged: a backbone inside a model, a small grey
one, a graph of TensorFlow 1.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from diamond_cutter.tasks.attribution.attribution import attribution_function
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from tests.tasks.attribution.running import checking
from tests.users_models import digits_model, nested_model, slim_graph

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("make", "name", "value_range"),
    [
        (nested_model, "birds.keras", (0, 255)),
        (digits_model, "digits.keras", (0, 1)),
        (slim_graph, "slim.pb", (-1, 1)),
    ],
    ids=["nested", "digits", "slim"],
)
def test_main_layers_explain_what_the_model_sees(
    make: Callable[[Path], Path], name: str, value_range: tuple[float, float], tmp_path: Path
) -> None:
    path = make(tmp_path / name)
    bundle = import_user_model(
        path, path.stem, options=ImportOptions(value_range=value_range)
    ).bundle
    layers = [layer for layer in bundle.card.layers if layer.main and layer.height][-3:]
    network = network_of(bundle, [layer.name for layer in layers])
    images = np.random.default_rng(0).random((3, *bundle.card.image.shape), np.float32)
    spec = AttributionSpec(layers=network.layers, sprites="none", method="integrated", steps=400)
    found = attribution_function(network, spec)(images)
    assert found.logits.shape == (3, network.classes)
    for layer, attributed in zip(layers, found.layers, strict=True):
        assert attributed.channels.shape == (3, layer.channels)
        assert attributed.positions.shape == (3, layer.height * layer.width)
        np.testing.assert_allclose(
            tf.reduce_sum(attributed.channels, 1),
            tf.reduce_sum(attributed.positions, 1),
            rtol=1e-3,
            atol=1e-4,
        )
        assert np.any(attributed.channels.numpy() != 0)
    for layer, checked in zip(layers, checking(network, spec)(images, range(3)), strict=True):
        assert np.median(checked.completeness_error) < 0.02, layer.name
