"""Files of Keras 2 compute what Keras 2 does, under its names, and bring no code with them."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from diamond_cutter.model_inventory.bundle import activation_function
from diamond_cutter.model_inventory.errors import NoKerasModel
from diamond_cutter.model_inventory.keras.exporting import write_keras_model
from diamond_cutter.model_inventory.keras.files import load_in_keras_3, load_keras_model
from diamond_cutter.model_inventory.keras.tracing import trace
from diamond_cutter.model_inventory.user_models import import_user_model
from tests.model_inventory.keras.keras_2_files import images, save_all
from tests.model_inventory.keras.saved_models import edit_config, refusal
from tests.model_inventory.keras.traced_models import run

pytestmark = [
    pytest.mark.slow,  # for the files, which all tests share
    # What tf-keras says when the tests save in its older formats.
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]

NAMES = {
    "slashes": ["conv1/conv", "conv1/bn", "conv1/relu", "depthwise", "separable", "transposed"],
    "nested": ["features/backbone/c1", "features/backbone/c2"],
}


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("keras_2")
    return folder, save_all(folder)


@pytest.fixture
def files(saved: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(saved[0], tmp_path / "files")
    yield tmp_path / "files"


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_computes_what_keras_2_does(
    saved: tuple[Path, dict[str, np.ndarray]], name: str, suffix: str
) -> None:
    folder, logits = saved
    traced = trace(load_keras_model(folder / f"{name}{suffix}"))
    found = run(traced, tf.constant(images()), [traced.output_tensor])[0]
    np.testing.assert_allclose(found, logits[name], atol=1e-5)
    assert traced.value_range == (0.0, 255.0)
    spatial = [layer.name for layer in traced.layers]
    assert [layer for layer in spatial if layer in NAMES[name]] == NAMES[name]
    again = trace(load_keras_model(folder / f"{name}{suffix}"))
    assert again.graph == traced.graph


@pytest.mark.parametrize("home", ["keras.src", "keras", "tf_keras.src"])
def test_the_modules_of_all_versions_of_the_archive(
    saved: tuple[Path, dict[str, np.ndarray]], files: Path, home: str
) -> None:
    def move(config: dict[str, Any]) -> None:
        moved = json.loads(json.dumps(config).replace("tf_keras.src.", f"{home}."))
        config.clear()
        config.update(moved)

    path = edit_config(files / "slashes.keras", move)
    found = load_keras_model(path)(images(), training=False)
    np.testing.assert_allclose(found, saved[1]["slashes"], atol=1e-5)


def test_a_slash_in_a_name_and_a_layer_of_a_model_stay_apart() -> None:
    image = tf_keras.Input((8, 8, 3))
    inner = tf_keras.Model(image, tf_keras.layers.Conv2D(3, 1, name="conv")(image), name="stem")
    x = tf_keras.layers.Conv2D(3, 1, name="stem/conv")(inner(image))
    traced = trace(tf_keras.Model(image, tf_keras.layers.Flatten()(x)))
    assert [layer.name for layer in traced.layers] == ["stem/conv", "stem/conv.2"]
    assert len({layer.tensor for layer in traced.layers}) == 2


def test_keras_3_stays_as_it_is(files: Path) -> None:
    before = keras.Operation.__call__, keras.layers.Dense.call
    trace(load_keras_model(files / "nested.h5"))
    assert (keras.Operation.__call__, keras.layers.Dense.call) == before
    assert tf.keras.Model is keras.Model


def put(layer: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return an edit that puts something in the place of the third layer."""

    def edit(config: dict[str, Any]) -> None:
        config["config"]["layers"][2] = {"name": "x", "inbound_nodes": []} | layer

    return edit


def operation(function: str, kind: str = "TFOpLambda") -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "x", "function": function}}


NODE = {"name": "x", "op": "WriteFile", "input": ["a", "b"]}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            operation("raw_ops.WriteFile"),
            "calls the function raw_ops.WriteFile of TensorFlow (layer",
        ),
        (operation("compat.v1.py_func"), "calls the function compat.v1.py_func of TensorFlow"),
        (operation("io.write_file", "SlicingOpLambda"), "calls the function io.write_file"),
        (operation("nn.fixed_unigram_candidate_sampler"), "calls the function nn.fixed"),
        ({"class_name": "TFOpLambda", "config": None}, "calls the function None"),
        (
            {"class_name": "TensorFlowOpLayer", "config": {"name": "x", "node_def": NODE}},
            "calls the function WriteFile of TensorFlow (layer x)",
        ),
        (
            {"class_name": "TensorFlowOpLayer", "config": {"name": "x", "node_def": "WriteFile"}},
            "calls the function None of TensorFlow (layer x)",
        ),
        ({"class_name": "Lambda", "config": {"name": "x"}}, "has a Lambda (layer x), which would"),
        ({"class_name": "StringLookup", "config": {"name": "x"}}, "found a StringLookup (layer x)"),
        ({"class_name": "InstanceMethod", "config": {"name": "x"}}, "the class InstanceMethod (l"),
        ({"class_name": "DenseFeatures", "config": {"name": "x"}}, "the class DenseFeatures (l"),
        (
            {"class_name": "Popen", "module": "subprocess", "config": {"args": ["true"]}},
            "needs the class subprocess.Popen",
        ),
        ({"class_name": "Addons>GELU", "config": {"name": "x"}}, "needs the class Addons>GELU"),
        (
            {
                "class_name": "Activation",
                "config": {"activation": {"class_name": "function", "config": "system"}},
            },
            "needs the function system",
        ),
        (
            {"class_name": "Dense", "config": {"units": {"class_name": "__typespec__"}}},
            "needs the class __typespec__",
        ),
    ],
)
def test_what_would_bring_code(
    files: Path, suffix: str, layer: dict[str, Any], sentence: str
) -> None:
    text = refusal(edit_config(files / f"slashes{suffix}", put(layer)))
    assert sentence in text
    if "StringLookup" not in sentence:
        assert 'model.save(FOLDER, save_format="tf") and give that folder.' in text


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_initialisers_that_keras_2_does_not_have_do_not_matter(
    saved: tuple[Path, dict[str, np.ndarray]], files: Path, suffix: str
) -> None:
    def rename(config: dict[str, Any]) -> None:
        layer = next(each for each in config["config"]["layers"] if each["class_name"] == "Dense")
        layer["config"]["kernel_initializer"] = {"class_name": "Own", "config": {"scale": 2}}
        layer["config"]["bias_initializer"] = "own_bias"

    found = load_keras_model(edit_config(files / f"slashes{suffix}", rename))(images())
    np.testing.assert_allclose(found, saved[1]["slashes"], atol=1e-5)


def test_the_reason_of_a_refusal_is_that_of_the_innermost_layer(files: Path) -> None:
    def unheard_of(config: dict[str, Any]) -> None:
        head = config["config"]["layers"][-1]["config"]["layers"]
        head[-1]["config"]["activation"] = "mish_of_mine"

    path = edit_config(files / "nested.keras", unheard_of)
    # The rest of a layer would be hundreds of characters.
    assert "mish_of_mine" in refusal(path)


def test_a_layer_of_tensorflow_2_3_stands_for_one_operation(files: Path) -> None:
    def older(config: dict[str, Any]) -> None:
        node = {
            "name": "x",
            "op": "RealDiv",
            "input": ["image", "x/y"],
            "attr": {"T": {"type": "DT_FLOAT"}},
        }
        first = config["config"]["layers"][1]
        first |= {"class_name": "TensorFlowOpLayer", "inbound_nodes": [[["input_1", 0, 0, {}]]]}
        first["config"] = {
            "name": first["name"],
            "dtype": "float32",
            "node_def": node,
            "constants": {"1": 127.5},
        }

    traced = trace(load_keras_model(edit_config(files / "slashes.h5", older)))
    expected = trace(load_keras_model(files / "slashes.keras"))
    found, wanted = (
        run(each, tf.constant(images()), [each.output_tensor])[0] for each in (traced, expected)
    )
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_what_keras_3_cannot_load_is_exported_as_a_saved_model_only(files: Path) -> None:
    with pytest.raises(NoKerasModel, match=r"^slashes.h5 was written by Keras 2\.\S+, and Keras 3"):
        load_in_keras_3(files / "slashes.h5")


def test_what_keras_3_can_load_is_exported_as_a_file_of_keras_3(
    saved: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    folder, logits = saved
    bundle = import_user_model(folder / "plain.h5", "mine").bundle
    source = load_in_keras_3(folder / "plain.h5")
    write_keras_model(bundle, [bundle.card], source, tmp_path / "exported.keras")
    exported = keras.saving.load_model(tmp_path / "exported.keras")
    np.testing.assert_allclose(tf.nn.softmax(exported(images())), logits["plain"], atol=1e-5)


def test_a_saved_model_compiled_by_keras_2(saved: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, logits = saved
    bundle = import_user_model(folder / "compiled", "mine").bundle
    found = tf.nn.softmax(activation_function(bundle, "logits")(images() / 255))
    np.testing.assert_allclose(found, logits["compiled"], atol=1e-5)
