"""Exported models give the logits of their bundles in a process that has only TensorFlow."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import ImageSpec, ModelCard
from diamond_cutter.model_inventory.errors import NoKerasModel
from diamond_cutter.model_inventory.keras.applications import build, to_bundle
from diamond_cutter.model_inventory.keras.catalogue import image_spec
from diamond_cutter.model_inventory.keras.exporting import keras_model_of, write_keras_model
from diamond_cutter.model_inventory.keras.files import load_keras_model
from diamond_cutter.model_inventory.keras.model_cutting import outputs_of_layers
from diamond_cutter.model_inventory.tensorflow.serving import served_values, write_saved_model
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from tests.built_bundle import SOURCE
from tests.model_inventory.keras.attached_bundles import bundle_of_keras, with_new_layers
from tests.model_inventory.keras.test_applications import with_random_statistics
from tests.model_inventory.keras.traced_models import WARNING, transfer_model
from tests.users_models import digits_model

pytestmark = WARNING
IN_UNIT = ImageSpec(height=32, width=32, value_range=((0.0, 1.0),))
IN_255 = ImageSpec(height=32, width=32, value_range=((0.0, 255.0),))
BARE = """
import sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf
for folder in sorted(Path(sys.argv[1]).iterdir()):
    images = np.load(folder / "images.npy")
    served = tf.saved_model.load(str(folder / "saved_model"))
    found = {k: v.numpy() for k, v in served.signatures["serving_default"](images=images).items()}
    if (folder / "model.keras").exists():
        found["keras"] = keras.saving.load_model(folder / "model.keras").predict(images, verbose=0)
    np.savez(folder / "found.npz", **found)
sys.exit("diamond_cutter" in sys.modules)
"""


class Case(NamedTuple):
    """A bundle, the cards of the models before it, and the Keras model of the first."""

    bundle: Bundle
    before: tuple[ModelCard, ...]
    source: keras.Model


def digits(folder: Path) -> Case:
    path = digits_model(folder / "digits.keras")
    bundle = import_user_model(path, "digits", options=ImportOptions(value_range=(0, 1))).bundle
    return Case(bundle, (), load_keras_model(path))


def mobilenet(folder: Path) -> Case:
    model = with_random_statistics(build("keras/mobilenet", 32, classes=10))
    head = model.get_layer("conv_preds")
    head.kernel.assign(head.kernel * 1e3)  # little arrives at the end of an untrained network
    return Case(to_bundle("keras/mobilenet", model, SOURCE, 32), (), model)


def small(ending: layers.Layer) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="next")(x)
    x = layers.Dense(5, name="scores")(layers.GlobalAveragePooling2D()(y))
    return keras.Model(image, ending(x), name="small")


def of_logits(folder: Path) -> Case:
    model = small(layers.Identity())
    return Case(bundle_of_keras(model, IN_UNIT), (), model)


def by_caffe(folder: Path) -> Case:
    """Return a network of blue, green and red, as VGG16 and ResNet50 are."""
    model = small(layers.Softmax())
    return Case(bundle_of_keras(model, image_spec("by caffe", 32)), (), model)


def mixed(folder: Path) -> Case:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small(layers.Activation("softmax", dtype="float32"))
    finally:
        keras.config.set_dtype_policy("float32")
    return Case(bundle_of_keras(model, IN_UNIT), (), model)


def without_axis(folder: Path) -> Case:
    keras.backend.clear_session()
    model = keras.Sequential(
        [
            keras.Input((16, 16)),
            layers.Reshape((16, 16, 1)),
            layers.Conv2D(4, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    grey = ImageSpec(
        height=16, width=16, channels=1, value_range=((0.0, 1.0),), channel_order="none"
    )
    return Case(bundle_of_keras(model, grey), (), model)


def attached_inside(folder: Path) -> Case:
    keras.backend.clear_session()
    model = transfer_model()
    source = bundle_of_keras(model, IN_255)
    return Case(with_new_layers(source, ["backbone/block_1_add"], [5, 4]), (source.card,), model)


def attached_to_two(folder: Path) -> Case:
    model = small(layers.Softmax())
    source = bundle_of_keras(model, IN_UNIT)
    return Case(with_new_layers(source, ["next", "conv"]), (source.card,), model)


def attached_twice(folder: Path) -> Case:
    model = small(layers.Softmax())
    source = bundle_of_keras(model, IN_UNIT)
    first = with_new_layers(source, ["conv", "next"], [5])
    second = with_new_layers(first, ["added_conv_1"], [3], scope="attached_2", name="second")
    return Case(second, (source.card, first.card), model)


CASES = {
    "digits": digits,
    "mobilenet": mobilenet,
    "by caffe": by_caffe,
    "logits": of_logits,
    "mixed": mixed,
    "without axis": without_axis,
    "attached inside": attached_inside,
    "attached to two": attached_to_two,
    "attached twice": attached_twice,
}


def expected_of(bundle: Bundle, images: np.ndarray) -> np.ndarray:
    return tf.function(
        lambda: served_values(bundle, tf.constant(images)), autograph=False
    )().numpy()


def images_of(bundle: Bundle) -> np.ndarray:
    stream = np.random.default_rng(5)
    return np.float32(stream.integers(0, 256, (3, *bundle.card.image.shape)))


@pytest.fixture(scope="module")
def loaded(
    tmp_path_factory: pytest.TempPathFactory, toy: Bundle
) -> dict[str, tuple[Bundle, dict[str, np.ndarray]]]:
    """Return bundles by name, and what their exported models return in one bare process."""
    place, files = tmp_path_factory.mktemp("exported"), tmp_path_factory.mktemp("files")
    bundles = {"toy": toy}
    for name, make in CASES.items():
        bundle, before, source = make(files)
        bundles[name] = bundle
        (place / name).mkdir()
        write_keras_model(bundle, [*before, bundle.card], source, place / name / "model.keras")
    for name, bundle in bundles.items():
        write_saved_model(bundle, place / name / "saved_model")
        np.save(place / name / "images.npy", images_of(bundle))
    subprocess.run([sys.executable, "-I", "-c", BARE, str(place)], check=True, timeout=300)
    return {
        name: (bundle, dict(np.load(place / name / "found.npz")))
        for name, bundle in bundles.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["toy", *CASES])
def test_a_bare_process_computes_the_logits_of_the_bundle(
    name: str, loaded: dict[str, tuple[Bundle, dict[str, np.ndarray]]]
) -> None:
    bundle, found = loaded[name]
    expected = expected_of(bundle, images_of(bundle))
    assert np.abs(expected).max() > 1e-2
    for output in ("logits", "keras") if name in CASES else ("logits",):
        np.testing.assert_allclose(found[output], expected, rtol=1e-4, atol=1e-4, err_msg=output)
    np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(expected), atol=1e-4)


@pytest.mark.slow
def test_a_keras_file_that_is_exported_can_be_added_again(tmp_path: Path) -> None:
    bundle, before, source = by_caffe(tmp_path)
    write_keras_model(bundle, [*before, bundle.card], source, tmp_path / "again.keras")
    again = import_user_model(tmp_path / "again.keras", "again")
    assert again.bundle.card.image == IN_255
    images = images_of(bundle)
    np.testing.assert_allclose(
        expected_of(again.bundle, images), expected_of(bundle, images), atol=1e-4
    )


def headed_model(kind: str) -> keras.Model:
    """Build a network whose head is not one vector with a score for each class."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(image)
    pooled = layers.GlobalAveragePooling2D()(x)
    outputs = {
        "one score": lambda: layers.Dense(1, activation="sigmoid")(pooled),
        "segmentation": lambda: layers.Conv2D(3, 1, activation="softmax")(x),
        "two heads": lambda: {
            "boxes": layers.Dense(4)(pooled),
            "kinds": layers.Dense(3, activation="softmax")(pooled),
        },
    }[kind]()
    return keras.Model(image, outputs, name="headed")


@pytest.mark.parametrize("kind", ["one score", "segmentation", "two heads"])
def test_a_keras_model_of_any_head_returns_the_logits(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "headed.keras"
    headed_model(kind).save(path)
    options = ImportOptions(value_range=(0, 1))
    bundle = import_user_model(path, "headed", options=options).bundle
    assert bundle.card.head is not None
    model = keras_model_of(bundle, [bundle.card], load_keras_model(path))
    images = images_of(bundle)
    found = np.asarray(model(images, training=False))
    np.testing.assert_allclose(found, expected_of(bundle, images), atol=1e-5)


def test_a_cut_inside_a_layer_of_layers_is_refused_in_a_sentence(tmp_path: Path) -> None:
    keras.backend.clear_session()
    wrapped = layers.TimeDistributed(layers.Dense(4, name="inner"), name="outer")
    model = keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(4, 3, name="conv"), wrapped])
    image = keras.Input((32, 32, 3))
    with pytest.raises(
        NoKerasModel, match=r"cannot cut .* at outer/inner, which is inside a layer"
    ):
        outputs_of_layers(model, image, ["conv", "outer/inner"])


@pytest.mark.slow
def test_a_source_that_computes_other_values_is_told_apart(tmp_path: Path) -> None:
    model = small(layers.Softmax())
    bundle = bundle_of_keras(model, IN_UNIT)
    model.get_layer("conv").activation = keras.activations.tanh
    with pytest.raises(NoKerasModel, match="computes other values than its bundle"):
        write_keras_model(bundle, [bundle.card], model, tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_source_of_other_shapes_is_refused(tmp_path: Path) -> None:
    bundle = bundle_of_keras(small(layers.Softmax()), IN_UNIT)
    keras.backend.clear_session()
    image = keras.Input((32, 32, 3))
    other = keras.Model(image, layers.Conv2D(9, 3, name="conv")(image))
    with pytest.raises(
        NoKerasModel,
        match=r"weights/conv/kernel do not fit .*: expected shape \(3, 3, 3, 9\), found \(3, 3, ",
    ):
        keras_model_of(bundle, [bundle.card], other)
