"""Every kind of Keras network is computed as Keras does, BatchNorm folded, and rendered, without a
line of code for it.
"""

import gc
from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, layer_graph
from diamond_cutter.model_inventory.card import ModelSource
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.keras.applications import to_bundle
from diamond_cutter.model_inventory.keras.calls import layer_activations
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.sprites import layer_renderer, render_sprites
from diamond_cutter.tasks.rendering.subjects import Channels
from tests.model_inventory.keras.built_networks import built
from tools.models_table import RENDERED, TABLE, page

pytestmark = pytest.mark.slow

SOURCE = ModelSource(origin="a test", weights_sha256="0" * 64, importer="test/1")
QUICK = RenderRecipe(name="quick", size_px=96, steps=2, input_sides=1, redirect_steps=0, ladder=())
SIDES = {
    "keras/resnet50": 64,
    "keras/inceptionv3": 107,
    "keras/densenet121": 64,
    "keras/vgg16": 48,
    "keras/convnexttiny": 64,
    "keras/efficientnetv2b0": 64,
    "keras/mobilenetv2": 64,
}


@pytest.fixture(params=SIDES)
def model(request: pytest.FixtureRequest) -> Iterator[tuple[str, keras.Model]]:
    """Build a network of 10 classes whose BatchNorms have statistics of their own, as after
    training.
    """
    model = built(request.param, SIDES[request.param], classes=10)
    stream = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in (layer.moving_mean, layer.beta):
                if variable is not None:
                    variable.assign(stream.normal(0, 0.1, variable.shape))
            layer.moving_variance.assign(stream.uniform(0.5, 1.5, layer.moving_variance.shape))
    yield request.param, model
    layer_renderer.cache_clear()
    keras.backend.clear_session()
    gc.collect()


def as_the_model_takes_them(images: np.ndarray, bundle: Bundle) -> np.ndarray:
    """Scale and order images with values in [0, 1] by what the card says of the graph's input."""
    low, high = np.transpose(np.array(bundle.card.image.value_range, np.float32))
    ordered = images[..., ::-1] if bundle.card.image.channel_order == "bgr" else images
    return ordered * (high - low) + low


def assert_close(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    assert found.shape == wanted.shape, name
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max(), name


def test_a_network_is_computed_as_keras_does_and_rendered(model: tuple[str, keras.Model]) -> None:
    name, network = model
    bundle = to_bundle(name, network, SOURCE, SIDES[name])
    images = np.random.default_rng(1).random((1, SIDES[name], SIDES[name], 3), np.float32)
    fed = as_the_model_takes_them(images, bundle)
    expected = layer_activations(network, fed)
    main = [layer.name for layer in bundle.card.layers if layer.main]
    assert len(main) >= 8
    folded, tensors = layer_graph(bundle, [*main, "logits"])
    *activations, logits = run(folded, fed, tensors)
    for layer, found in zip(main, activations, strict=True):
        assert_close(found, expected[layer], layer)
    # Keras returns the logits behind a softmax, which tells all but their mean.
    log_probabilities = np.log(next(reversed(expected.values())))
    assert_close(logits - logits.mean(), log_probabilities - log_probabilities.mean(), "logits")

    # Deep enough for every kind of block; TensorFlow optimises all that is before the layer, which
    # takes longer than to render.
    sprites = render_sprites(
        bundle, Channels(layer=main[len(main) // 4]), [0, 1], QUICK, batch_size=2
    )
    assert [sprite.picture.shape for sprite in sprites] == [(96, 96, 3)] * 2
    assert all(sprite.scores.objective is not None for sprite in sprites)


def run(graph: tf.compat.v1.GraphDef, fed: np.ndarray, tensors: list[str]) -> list[np.ndarray]:
    """Run a graph on what its input expects."""
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default(), tf.compat.v1.Session(config=options) as session:
        return session.run(run_inside(graph, "input:0", tf.constant(fed), tensors))


def test_the_page_of_models_says_which_are_rendered_here() -> None:
    assert set(RENDERED) == set(SIDES)
    assert TABLE.read_text(encoding="utf-8") == page()
