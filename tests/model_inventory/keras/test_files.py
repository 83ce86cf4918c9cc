"""What Keras saves is loaded, and the file is not changed; what is no such file is named."""

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from diamond_cutter.model_inventory.keras.files import load_keras_model
from tests.model_inventory.keras.saved_models import WARNINGS, edit_config, refusal, small

pytestmark = WARNINGS


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_a_saved_model_comes_back(tmp_path: Path, suffix: str) -> None:
    model = small()
    model.compile("adam", loss="mse")
    model.fit(np.zeros([2, 8, 8, 3]), np.zeros([2, 2]), verbose=0)
    model.save(tmp_path / f"model{suffix}")
    loaded = load_keras_model(tmp_path / f"model{suffix}")
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(loaded(image), model(image), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_nested_model_with_all_kinds_of_built_in_classes_comes_back(
    tmp_path: Path, suffix: str
) -> None:
    keras.backend.clear_session()
    image = keras.Input((32, 32, 3))
    backbone = keras.applications.MobileNetV2(
        weights=None, input_shape=(32, 32, 3), include_top=False, alpha=0.35
    )
    x = layers.Rescaling(1 / 127.5, offset=-1)(layers.RandomFlip("horizontal")(image))
    x = layers.GlobalAveragePooling2D()(backbone(x))
    x = layers.Dense(
        4,
        activation="silu",
        kernel_initializer=keras.initializers.HeNormal(seed=1),
        kernel_regularizer=keras.regularizers.L2(1e-4),
        kernel_constraint=keras.constraints.MaxNorm(3),
    )(x)
    keras.Model(image, layers.Activation(keras.activations.gelu)(layers.Dropout(0.2)(x))).save(
        tmp_path / f"model{suffix}"
    )
    assert load_keras_model(tmp_path / f"model{suffix}").count_params() > 400_000


def test_a_custom_loss_does_no_harm_since_it_is_not_loaded(tmp_path: Path) -> None:
    def own_loss(expected: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(expected - found)

    model = small()
    model.compile("sgd", loss=own_loss)
    model.save(tmp_path / "model.keras")
    assert load_keras_model(tmp_path / "model.keras").name == model.name


def test_no_such_file_a_folder_and_another_name(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "absent.keras")
        == f"file {tmp_path / 'absent.keras'} does not exist. Give a .keras or .h5 file."
    )
    assert "is a folder: expected a .keras or .h5 file." in refusal(tmp_path)
    (tmp_path / "model.onnx").touch()
    assert (
        "is not a Keras file: expected a zip archive or HDF5. Give a .keras or .h5 file."
        in refusal(tmp_path / "model.onnx")
    )


def test_files_are_known_by_their_content(keras_file: Path, h5_file: Path, tmp_path: Path) -> None:
    for source, name in (
        (keras_file, "a.h5"),
        (keras_file, "without"),
        (h5_file, "b.keras"),
        (h5_file, "c.bin"),
    ):
        shutil.copy(source, tmp_path / name)
        assert load_keras_model(tmp_path / name).get_layer("conv").filters == 4


def test_weights_of_other_shapes_than_the_layers(keras_file: Path) -> None:
    def more_filters(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["filters"] = 5

    assert "cannot be loaded by Keras" in refusal(edit_config(keras_file, more_filters))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_options_of_keras_2_that_say_nothing_are_dropped(tmp_path: Path, suffix: str) -> None:
    model = small(layers.DepthwiseConv2D(3, name="depthwise"), layers.SeparableConv2D(4, 3))
    model.save(tmp_path / f"model{suffix}")

    def add_options(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"][2:4]:
            layer["config"] |= {"groups": 1}
        layer["config"] |= {"kernel_initializer": "zeros", "kernel_constraint": None}

    path = edit_config(tmp_path / f"model{suffix}", add_options)
    before = path.read_bytes()
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(load_keras_model(path)(image), model(image), rtol=1e-6)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_inner_network_as_keras_3_0_described_it(tmp_path: Path, suffix: str) -> None:
    image = layers.Input((8, 8, 3))
    inner = keras.Model(image, layers.Conv2D(4, 3, name="conv")(image), name="inner")
    turned = layers.RandomRotation(0.1, name="turned")
    head = [layers.GlobalAveragePooling2D(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((8, 8, 3)), turned, inner, *head])
    model.save(tmp_path / f"model{suffix}")

    def describe_as_before(config: dict[str, Any]) -> None:
        by_name = {layer["config"]["name"]: layer["config"] for layer in config["config"]["layers"]}
        by_name["turned"]["value_range"] = [0, 255]
        for ends in ("input_layers", "output_layers"):
            by_name["inner"][ends] = [by_name["inner"][ends]]

    path = edit_config(tmp_path / f"model{suffix}", describe_as_before)
    picture = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    expected = model(picture, training=False)
    np.testing.assert_allclose(load_keras_model(path)(picture, training=False), expected, rtol=1e-6)


def test_initialisers_that_keras_does_not_have_do_not_matter(
    keras_file: Path, h5_file: Path
) -> None:
    def rename(config: dict[str, Any]) -> None:
        options = config["config"]["layers"][1]["config"]
        options["kernel_initializer"] |= {"class_name": "Own", "registered_name": "own>Own"}
        options["bias_initializer"] = {"class_name": "function", "config": "own_bias"}

    for path in (keras_file, h5_file):
        before = load_keras_model(path).get_weights()
        after = load_keras_model(edit_config(path, rename)).get_weights()
        assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_the_reason_of_keras_is_said_and_not_the_description(keras_file: Path) -> None:
    def add_option(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["groups_of"] = 1

    text = refusal(edit_config(keras_file, add_option))
    assert "(Unrecognized keyword arguments passed to Conv2D: {'groups_of': 1})" in text


def test_a_file_is_only_read(keras_file: Path, h5_file: Path, tmp_path: Path) -> None:
    for path in (keras_file, h5_file):
        before = path.read_bytes()
        shutil.copy(path, tmp_path / f"copy{path.suffix}")
        load_keras_model(path)
        assert path.read_bytes() == before
