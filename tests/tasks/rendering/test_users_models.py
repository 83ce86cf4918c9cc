"""A user's own model is computed as its file says at every main layer, and folding its BatchNorms
changes nothing.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import layer_graph, parse_graph
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.keras.calls import layer_activations
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from tests.tasks.rendering.test_any_keras_model import as_the_model_takes_them, assert_close, run
from tests.users_models import digits_model, nested_model, slim_graph

pytestmark = pytest.mark.slow


def with_other_statistics(path: Path) -> Path:
    """Give the BatchNorms of a saved model statistics of their own: fresh ones change nothing."""
    model, stream = keras.models.load_model(path), np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(stream.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(stream.uniform(0.5, 1.5, layer.moving_variance.shape))
    model.save(path)
    return path


@pytest.mark.parametrize(
    ("make", "name", "value_range", "least"),
    [
        (nested_model, "birds.keras", (0, 255), 8),
        (digits_model, "digits.keras", (0, 1), 2),
        (slim_graph, "slim.pb", (-1, 1), 2),
    ],
    ids=["nested", "digits", "slim"],
)
def test_every_main_layer_is_what_the_file_computes(
    make: Callable[[Path], Path],
    name: str,
    value_range: tuple[float, float],
    least: int,
    tmp_path: Path,
) -> None:
    path = make(tmp_path / name)
    if make is nested_model:
        with_other_statistics(path)
    bundle = import_user_model(
        path, path.stem, options=ImportOptions(value_range=value_range)
    ).bundle
    image = bundle.card.image
    fed = as_the_model_takes_them(
        np.random.default_rng(1).random((2, image.height, image.width, image.channels), np.float32),
        bundle,
    )
    main = [layer for layer in bundle.card.layers if layer.main]
    assert len(main) >= least
    if make is nested_model:  # the names are paths
        names = [layer.name for layer in bundle.card.layers]
        assert any(name.endswith("/block_3_expand_relu") for name in names)
    if path.suffix == ".pb":
        source = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            values = session.run(
                run_inside(source, "input:0", tf.constant(fed), [layer.tensor for layer in main])
            )
        expected = dict(zip([layer.name for layer in main], values, strict=True))
    else:
        expected = layer_activations(keras.models.load_model(path), fed)
    folded, names = layer_graph(bundle, [*(layer.name for layer in main), "logits"])
    *activations, logits = run(folded, fed, names)
    compared = [layer.name for layer in main if layer.name in expected]
    assert len(compared) >= least
    for layer, found in zip(main, activations, strict=True):
        if layer.name in expected:
            assert_close(found, expected[layer.name], layer.name)
    (unfolded,) = run(parse_graph(bundle), fed, names[-1:])
    assert_close(logits, unfolded, "logits")
