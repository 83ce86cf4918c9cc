"""What an exported SavedModel takes and returns; tests/model_inventory/keras/test_exporting.py
loads it elsewhere.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.model_inventory.head_logits import HeadRequest
from diamond_cutter.model_inventory.tensorflow.serving import write_saved_model
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from tests.built_bundle import bundle_of, flattened
from tests.headed_bundle import dense, imported
from tests.small_networks import convolved
from tests.toy_network import IMAGE_SIZE, toy_bundle


def served(bundle: Bundle, folder: Path) -> tf.types.experimental.ConcreteFunction:
    write_saved_model(bundle, folder)
    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures["serving_default"]
    signature.model = loaded  # it owns the constants
    return signature


@pytest.mark.slow
def test_images_of_any_size_and_number_are_served_if_the_layers_allow_it(
    toy: Bundle, tmp_path: Path
) -> None:
    serve = served(toy, tmp_path / "toy")
    for shape in ((1, 32, 32, 3), (3, 50, 41, 3)):
        pixels = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
        found = serve(images=tf.constant(pixels))
        expected = activation_function(toy, "logits")(tf.constant(pixels / 255))
        np.testing.assert_allclose(found["logits"], expected, atol=1e-4)
        np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(expected), atol=1e-4)


def test_images_have_the_size_of_a_flattened_map(tmp_path: Path) -> None:
    (images,) = (
        served(bundle_of(flattened), tmp_path / "flat").structured_input_signature[1].values()
    )
    assert images.shape.as_list() == [None, 32, 32, 3]


def test_a_network_without_logits_serves_its_last_layer(tmp_path: Path) -> None:
    bundle = bundle_of(lambda x: {"one": convolved(x, 1, 4), "two": convolved(x, 2, 5, stride=2)})
    assert bundle.card.logits is None
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    found = served(bundle, tmp_path / "bare")(images=tf.constant(pixels))
    assert list(found) == ["activations"]
    expected = activation_function(bundle, "two")(tf.constant(pixels / 255))
    np.testing.assert_allclose(found["activations"], expected, atol=1e-4)
    assert not list((tmp_path / "bare").rglob("labels.txt"))


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("one score", ["logits", "probabilities"]),
        ("each alone", ["logits", "probabilities"]),
        ("values", ["values"]),
    ],
)
def test_probabilities_are_those_of_the_head(tmp_path: Path, kind: str, wanted: list[str]) -> None:
    units = 1 if kind == "one score" else 3
    bundle, _guesses = imported(
        lambda x: dense(x, units) if kind == "values" else tf.sigmoid(dense(x, units)),
        HeadRequest(regression=kind == "values"),
    )
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    found = served(bundle, tmp_path / "headed")(images=tf.constant(pixels))
    assert sorted(found) == wanted
    expected = activation_function(bundle, "logits")(tf.constant(pixels / 255))
    np.testing.assert_allclose(found[wanted[0]], expected, atol=1e-5)
    if kind != "values":
        scores = expected[:, 1:] - expected[:, :1] if kind == "one score" else expected
        probabilities = found["probabilities"][:, -units:]
        np.testing.assert_allclose(probabilities, tf.sigmoid(scores), atol=1e-5)


def test_each_class_has_one_line(toy: Bundle, tmp_path: Path) -> None:
    names = ("cat", "two\nlines", "ça", "\udcff", "")
    labels = tuple(ClassLabel(name=name) for name in names)
    bundle = Bundle(toy.card.model_copy(update={"labels": labels}), toy.graph_bytes)
    write_saved_model(bundle, tmp_path / "toy")
    lines = (tmp_path / "toy" / "assets" / "labels.txt").read_text("utf-8").split("\n")
    assert lines == ["cat", "two lines", "ça", "?", "", ""]


@pytest.mark.slow
def test_it_can_be_added_again(tmp_path: Path) -> None:
    toy = toy_bundle()
    write_saved_model(toy, tmp_path / "toy")
    again = import_user_model(
        tmp_path / "toy", "again", options=ImportOptions(image_size=IMAGE_SIZE)
    )
    assert again.bundle.card.image.value_range == ((0.0, 255.0),)
    pixels = tf.constant(np.random.default_rng(0).uniform(0, 1, (2, 32, 32, 3)), tf.float32)
    np.testing.assert_allclose(
        activation_function(again.bundle, "logits")(pixels),
        activation_function(toy, "logits")(pixels),
        atol=1e-4,
    )
