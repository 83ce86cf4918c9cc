"""A file that would run code, or needs classes and functions that Keras does not have, is refused
before Keras sees it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from diamond_cutter.model_inventory.keras.files import load_keras_model
from tests.model_inventory.keras.saved_models import WARNINGS, edit_config, refusal, small

pytestmark = WARNINGS


def replace_conv(layer: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return an edit that puts something in the place of the second layer."""

    def edit(config: dict[str, Any]) -> None:
        config["config"]["layers"][1] = layer

    return edit


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_is_refused_and_does_not_run(tmp_path: Path, suffix: str) -> None:
    small(layers.Lambda(lambda x: x * 2, name="twice")).save(tmp_path / f"model{suffix}")
    path = tmp_path / f"model{suffix}"
    assert refusal(path) == (
        f"{path} has a Lambda (layer twice), which would run code from the file. Replace it by "
        "layers of Keras and save the model again, or export the model with model.export(FOLDER) "
        "and give that folder."
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_deep_inside_and_one_of_a_function_by_name(tmp_path: Path, suffix: str) -> None:
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 4)),
            layers.TimeDistributed(layers.Lambda(keras.ops.relu, name="by_name")),
        ]
    )
    small(inner).save(tmp_path / f"model{suffix}")
    assert "has a Lambda (layer by_name), which would run code" in refusal(
        tmp_path / f"model{suffix}"
    )


def test_a_lambda_as_keras_2_wrote_it(h5_file: Path) -> None:
    code = [
        "4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMIAAAAfABkARQAUwApAk7pAgAAAKkAKQHaAXhyAgAAAA==",
        None,
        None,
    ]
    config = {
        "name": "lambda",
        "function": code,
        "function_type": "lambda",
        "output_shape": None,
        "arguments": {},
    }
    assert "has a Lambda (layer lambda)" in refusal(
        edit_config(h5_file, replace_conv({"class_name": "Lambda", "config": config}))
    )


def keras_layer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "module": "keras.layers", "config": config}


def activation(module: str, name: str) -> dict[str, Any]:
    return keras_layer(
        "Activation", activation={"class_name": "function", "module": module, "config": name}
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            {
                "class_name": "system",
                "module": "os",
                "config": {"command": "true"},
                "registered_name": None,
            },
            "needs the class os.system",
        ),
        (
            {
                "class_name": "Evil",
                "module": "evil",
                "config": {},
                "registered_name": "Custom>Evil",
            },
            "needs the class evil.Evil",
        ),
        (
            {"class_name": "Custom>Evil", "config": {"name": "evil"}},
            "needs the class Custom>Evil (layer evil)",
        ),
        ({"class_name": "Evil", "config": {"name": "evil"}}, "needs the class Evil (layer evil)"),
        (
            {"class_name": "Evil", "module": None, "config": {}, "registered_name": "Evil"},
            "needs the class Evil",
        ),
        (
            {"class_name": "KerasHubThing", "module": "keras_hub.layers", "config": {}},
            "needs the class keras_hub.layers.KerasHubThing",
        ),
        (
            {"class_name": "get_file", "module": "keras.utils", "config": {"origin": "x"}},
            "needs the class keras.utils.get_file",
        ),
        (
            {"class_name": "TFOpLambda", "config": {"name": "tf.math.add"}},
            "was saved by Keras 2 with TensorFlow's operations as layers",
        ),
        (
            keras_layer("TorchModuleWrapper", module="x"),
            "has a TorchModuleWrapper, which would run code",
        ),
        (
            keras_layer("TFSMLayer", name="saved"),
            "has a TFSMLayer (layer saved), which would run code",
        ),
        (keras_layer("StringLookup", vocabulary="/etc/passwd"), "found a StringLookup"),
        (
            keras_layer(
                "Dense", kernel_initializer={"class_name": "__lambda__", "config": {"value": "x"}}
            ),
            "has a Lambda",
        ),
        (
            keras_layer(
                "Dense",
                units={
                    "class_name": "__typespec__",
                    "spec_name": "Popen",
                    "module": "subprocess",
                    "config": [["true"]],
                },
            ),
            "__typespec__",
        ),
        (
            keras_layer("Dense", units={"class_name": "__unheard_of__", "config": {}}),
            "needs the class __unheard_of__",
        ),
        (activation("os", "system"), "needs the function os.system"),
        (activation("keras.utils", "get_file"), "needs the function keras.utils.get_file"),
        (activation("builtins", "my_own"), "needs the function my_own"),
    ],
)
def test_what_would_bring_code_or_needs_it(
    tmp_path: Path, suffix: str, layer: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / f"model{suffix}"
    small().save(path)
    assert sentence in refusal(edit_config(path, replace_conv(layer)))


class Doubled(layers.Layer):
    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * 2


def test_a_class_of_ones_own_is_named_and_loads_once_it_is_registered(tmp_path: Path) -> None:
    small(Doubled(name="doubled")).save(tmp_path / "model.keras")
    assert refusal(tmp_path / "model.keras").endswith(
        f"needs the class {Doubled.__module__}.Doubled (layer doubled): expected only classes of "
        "Keras, because a file must not bring code. In the program that made the model, export it "
        "with model.export(FOLDER) and give that folder."
    )
    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        assert load_keras_model(tmp_path / "model.keras").get_layer("doubled").name == "doubled"
