"""Every convolutional network of keras.applications is imported and does what Keras' own does; its
images are what its module prepares.
"""

import gc
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function, to_model_input
from diamond_cutter.model_inventory.card import ImageSpec, ModelCard, ModelSource
from diamond_cutter.model_inventory.errors import BadModel, WeightsMissing
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.model_inventory.imagenet import imagenet_labels
from diamond_cutter.model_inventory.imagenet_accuracy import published_accuracy
from diamond_cutter.model_inventory.keras.applications import (
    build,
    fetch_keras_weights,
    import_keras_application,
    load_weights,
    to_bundle,
)
from diamond_cutter.model_inventory.keras.calls import layer_activations
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS, keras_source
from diamond_cutter.model_inventory.keras.tracing import TracedModel, trace
from tests.model_inventory.keras.built_networks import WITH_FEWER_BLOCKS, built
from tools.models_table import FEWER_BLOCKS, OF_A_FAMILY, RENDERED

# Keras turns a variable into an array in a way that NumPy will drop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
# The smallest side that a network takes, where that is more than 32 pixels.
SMALLEST_PX = {"keras/inceptionv3": 75, "keras/inceptionresnetv2": 75, "keras/xception": 71}
SOURCE = ModelSource(origin="a test", weights_sha256="0", importer="a test")


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let both our cache and Keras' be empty folders."""
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "ours"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "ours" / "keras").mkdir(parents=True)
    (tmp_path / "keras" / "models").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def _given_back() -> Iterator[None]:
    yield
    keras.backend.clear_session()
    gc.collect()


def test_every_network_of_keras_applications_is_there() -> None:
    builders = {
        name
        for name, thing in vars(keras.applications).items()
        if inspect.isfunction(thing) and name[0].isupper()
    }
    assert {application.builder for application in KERAS_APPLICATIONS.values()} == builders
    assert all(
        name == f"keras/{application.builder.lower()}"
        for name, application in KERAS_APPLICATIONS.items()
    )
    assert len(builders) == 40
    assert set(FEWER_BLOCKS) == set(WITH_FEWER_BLOCKS)


@pytest.mark.slow
@pytest.mark.usefixtures("_given_back")
def test_mobilenet_v3_has_logits_beside_its_convolution_named_logits() -> None:
    name = "keras/mobilenetv3small"
    card = to_bundle(name, build(name, 32, classes=7), SOURCE, 32).card
    assert card.layer("logits").height == 1 and len(card.layers) > 15
    logits = card.check_logits()
    assert (logits.name, logits.channels, logits.height) == ("class_logits", 7, None)


def test_the_accuracy_of_mobilenet_v3_is_the_one_in_its_docstring() -> None:
    for size in ("Small", "Large"):
        text = getattr(keras.applications, f"MobileNetV3{size}").__doc__
        row = rf"mobilenet_v3_{size.lower()}_1\.0_224 *\|[^|]+\|[^|]+\| *([\d.]+)"
        (stated,) = re.findall(row, text)
        accuracy = published_accuracy(f"keras/mobilenetv3{size.lower()}")
        assert accuracy is not None and accuracy.top1 == pytest.approx(float(stated) / 100)


def test_images_become_what_the_module_prepares() -> None:
    """What its `preprocess_input` makes of pixels in 0..255 is what our card makes of the same in
    0..1, value by value.
    """
    for name in KERAS_APPLICATIONS:
        module = importlib.import_module(
            getattr(keras.applications, KERAS_APPLICATIONS[name].builder).__module__
        )
        pixels = np.random.default_rng(0).uniform(0, 255, (2, 5, 7, 3)).astype(np.float32)
        expected = module.preprocess_input(pixels.copy())
        card = ModelCard.model_construct(image=KERAS_APPLICATIONS[name].image)
        found = to_model_input(tf.constant(pixels / 255), card)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


class _Layers:
    """Stands for `keras.layers` where Keras builds a network: each layer passes its input on."""

    Input = staticmethod(keras.Input)

    def __getattr__(self, name: str) -> object:
        return _first_input if name.islower() else lambda *_args, **_options: _first_input


def _first_input(inputs: object, *_more: object, **_options: object) -> object:
    return inputs[0] if isinstance(inputs, list | tuple) else inputs


@pytest.mark.slow
def test_keras_is_asked_for_the_size_and_the_file_that_we_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No layer is made, so no network is built: only its size and file are asked for."""
    from keras.src.applications import convnext, imagenet_utils
    from keras.src.utils import file_utils

    sizes, files = [], []

    def default_shape(_shape: object, *, default_size: int, **_others: object) -> tuple[int, ...]:
        sizes.append(default_size)
        return (default_size, default_size, 3)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", default_shape)
    monkeypatch.setattr(file_utils, "get_file", lambda file, *_args, **_kwargs: files.append(file))
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_args, **_kwargs: None)
    # Those that the modules of networks define themselves.
    monkeypatch.setattr(keras.layers.Layer, "__call__", lambda _layer, inputs: inputs)
    monkeypatch.setattr(convnext, "Sequential", lambda *_args, **_options: _first_input)
    for name, application in KERAS_APPLICATIONS.items():
        builder = getattr(keras.applications, application.builder)
        module = importlib.import_module(builder.__module__)
        if hasattr(module, "layers"):
            monkeypatch.setattr(module, "layers", _Layers())
        # These two take a size for themselves before they ask.
        own_size = {"input_shape": (224, 224, 3)} if "v3" in name and "mobile" in name else {}
        builder(weights="imagenet", **own_size)
        assert files.pop() == application.file, name
        assert own_size or sizes.pop() == application.image_size, name


@pytest.mark.slow
@pytest.mark.usefixtures("_given_back")
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in KERAS_APPLICATIONS
        if name not in {*RENDERED, *OF_A_FAMILY, "keras/mobilenetv3small"}
    ],
)
def test_a_network_is_traced_at_the_smallest_size(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of `RENDERED` are traced and rendered in tests/tasks/rendering/test_any_keras_model.py,
    and the small MobileNet V3 is traced for its bundle above.

    `trace` runs each network beside Keras' own and compares layers.
    """
    side = SMALLEST_PX.get(name, 32)
    # Zeros: random numbers for hundreds of millions of weights take longer than the rest.
    for initializer in (keras.initializers.GlorotUniform, keras.initializers.VarianceScaling):
        monkeypatch.setattr(
            initializer, "__call__", lambda _self, shape, dtype=None: tf.zeros(shape, dtype)
        )
    keras.backend.clear_session()
    traced = trace(built(name, side))
    assert traced.image_shape == (side, side, 3)
    assert traced.output_tensor.endswith("Softmax:0")
    assert len(traced.layers) > 15
    (low, high), *_rest = KERAS_APPLICATIONS[name].image.value_range
    assert traced.value_range == (
        (low, high) if KERAS_APPLICATIONS[name].preprocessing == "in the model" else None
    )
    placeholder = next(node for node in traced.graph.node if node.op == "Placeholder")
    assert [dim.size for dim in placeholder.attr["shape"].shape.dim][-1] == 3


def assert_equal_to_keras(model: keras.Model, traced: TracedModel, images: np.ndarray) -> int:
    """Compare every layer, within 1e-4 of its largest value, and return how many there are."""
    expected = layer_activations(model, images)
    tensors = [layer.tensor for layer in traced.layers if layer.name in expected]
    run = tf.function(
        lambda image: run_inside(traced.graph, "input:0", image, tensors), autograph=False
    )
    for layer, value in zip(
        [layer for layer in traced.layers if layer.name in expected],
        run(tf.constant(images)),
        strict=True,
    ):
        wanted = expected[layer.name]
        assert value.shape == wanted.shape, layer.name
        np.testing.assert_allclose(
            value, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max() + 1e-9, err_msg=layer.name
        )
    return len(tensors)


def with_random_statistics(model: keras.Model) -> keras.Model:
    """Give each BatchNorm statistics of its own: fresh ones change nothing, and would hide what is
    wrong with them.
    """
    random = np.random.default_rng(1)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(random.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(random.uniform(0.5, 1.5, layer.moving_variance.shape))
    return model


@pytest.mark.slow
@pytest.mark.usefixtures("_given_back")
def test_every_layer_has_the_activations_that_keras_computes() -> None:
    """At its own size and another; tests/tasks/rendering/test_any_keras_model.py compares the main
    layers of more networks at theirs.
    """
    name, own_px, other_px = "keras/mobilenetv2", 64, (70, 101)
    model = with_random_statistics(build(name, own_px))
    traced = trace(model)
    low, high = KERAS_APPLICATIONS[name].image.value_range[0]
    images = np.random.default_rng(0).uniform(low, high, (1, own_px, own_px, 3)).astype(np.float32)
    assert assert_equal_to_keras(model, traced, images) == len(traced.layers)
    of_any_size = keras.models.clone_model(model, input_tensors=keras.Input((None, None, 3)))
    of_any_size.set_weights(model.get_weights())
    other = np.random.default_rng(0).uniform(low, high, (1, *other_px, 3)).astype(np.float32)
    assert assert_equal_to_keras(of_any_size, traced, other) == len(traced.layers)


def test_caffes_order_of_colours_goes_in(_given_back: None) -> None:
    """The order is that of the name; the network is a small one with VGG16's first layer."""
    layers = [
        keras.Input((32, 32, 3)),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="block1_conv1"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    bundle = to_bundle("keras/vgg16", model, SOURCE, 32)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    expected = layer_activations(model, keras.applications.vgg16.preprocess_input(pixels.copy()))[
        "block1_conv1"
    ]
    found = activation_function(bundle, "block1_conv1")(tf.constant(pixels / 255))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.fixture(scope="module")
def mobilenet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with weights for MobileNet as Keras' own files are."""
    path = tmp_path_factory.mktemp("weights") / "mobilenet.h5"
    build("keras/mobilenet", 224).save(path)
    keras.backend.clear_session()
    return path


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["ours/keras", "keras/models"])
def test_weights_are_found_in_our_cache_and_in_keras(
    caches: Path, mobilenet_weights: Path, cache: str
) -> None:
    with pytest.raises(
        WeightsMissing,
        match=r"^the weights of keras/mobilenet are not on this machine\. Run `diamond-cutter "
        r"models fetch keras/mobilenet`",
    ):
        keras_source("keras/mobilenet")
    file = caches / cache / KERAS_APPLICATIONS["keras/mobilenet"].file
    file.write_bytes(mobilenet_weights.read_bytes())
    assert (
        keras_source("keras/mobilenet").origin
        == "keras.applications.MobileNet, mobilenet_1_0_224_tf.h5"
    )
    assert KERAS_APPLICATIONS["keras/mobilenet"].weights_file == file


@pytest.mark.slow
def test_weights_of_another_network_are_refused(caches: Path, mobilenet_weights: Path) -> None:
    file = caches / "ours/keras" / KERAS_APPLICATIONS["keras/mobilenetv2"].file
    model = build("keras/mobilenetv2", 32)
    for content in (mobilenet_weights.read_bytes(), b"", b"<html>"):
        file.write_bytes(content)
        with pytest.raises(
            BadModel,
            match=r"does not hold the weights of keras/mobilenetv2 \(.*\)\. Delete it and download "
            r"it again\.$",
        ) as refused:
            load_weights(model, file, "keras/mobilenetv2")
        assert "\n" not in str(refused.value)


def imported(caches: Path, weights: Path) -> Bundle:
    (caches / "ours/keras" / KERAS_APPLICATIONS["keras/mobilenet"].file).write_bytes(
        weights.read_bytes()
    )
    return import_keras_application("keras/mobilenet")


@pytest.mark.slow
def test_a_bundle_has_labels_and_the_images_of_its_module(
    caches: Path, mobilenet_weights: Path
) -> None:
    card = imported(caches, mobilenet_weights).card
    assert card.name == "keras/mobilenet"
    assert card.labels == imagenet_labels()
    assert card.image == ImageSpec(height=224, width=224, value_range=((-1.0, 1.0),))
    assert "conv_pw_13_relu" in [layer.name for layer in card.layers if layer.main]


def test_no_network_is_one_sentence_that_says_what_to_put_where(
    caches: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, nowhere)
    with pytest.raises(WeightsMissing) as missing:
        fetch_keras_weights("keras/mobilenet")
    sentence = str(missing.value)
    assert "\n" not in sentence
    assert sentence.startswith("the weights of keras/mobilenet cannot be downloaded (")
    assert "mobilenet_1_0_224_tf.h5" in sentence
    assert sentence.endswith(f"at {caches / 'ours' / 'keras' / 'mobilenet_1_0_224_tf.h5'}.")
