"""Image classifiers that KerasHub saved are loaded with its package, and nothing else of it."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import activation_function
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.keras.files import load_keras_model
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from tests.model_inventory.keras.published_presets import small_resnet

CLASSIFIER = {
    "module": "keras_hub.src.models.resnet.resnet_image_classifier",
    "class_name": "ResNetImageClassifier",
    "registered_name": "keras_hub>ResNetImageClassifier",
    "config": {"name": "classifier"},
}


def described(path: Path, change: Callable[[dict[str, Any]], object] = lambda config: None) -> Path:
    """Write a `.keras` file with only a description."""
    config = dict(CLASSIFIER)
    change(config)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.npz", b"")
    return path


def small_classifier() -> Any:
    """Return an image classifier of KerasHub, with a preprocessor."""
    import keras_hub

    keras.backend.clear_session()  # other tests build layers of the same names
    converter = keras_hub.layers.ResNetImageConverter(image_size=(24, 24), scale=1 / 255)
    return small_resnet((24, 24, 3), converter, classes=3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ImportWarning")
def test_a_classifier_of_kerashub_is_loaded(tmp_path: Path) -> None:
    model = small_classifier()
    model.save(tmp_path / "hub.keras")
    bundle = import_user_model(
        tmp_path / "hub.keras", "hub", options=ImportOptions(value_range=(0, 1))
    ).bundle
    images = np.random.default_rng(0).random((2, 24, 24, 3), np.float32)
    np.testing.assert_allclose(
        activation_function(bundle, "logits")(images), model(images), atol=1e-5
    )
    assert "res_net_backbone/stack0_block0_out" in {layer.name for layer in bundle.card.layers}


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(
        BadModel, match=r"needs the package keras-hub, .+ Run `pip install 'diamond-cutter\[hub\]'`"
    ):
        load_keras_model(described(tmp_path / "hub.keras"))


@pytest.mark.parametrize(
    "change",
    [
        {"class_name": "BertTokenizer", "registered_name": "keras_hub>BertTokenizer"},
        {"registered_name": "keras_hub>BertTokenizer"},
        {"module": "keras_hub.src.utils.preset_utils"},
        {"module": "os", "class_name": "system"},
        {"module": None},
        # KerasHub registers its classes under its earlier name as well.
        {"registered_name": "keras_nlp>ResNetImageClassifier"},
        {
            "module": "keras_nlp.src.models.bert.bert_tokenizer",
            "class_name": "BertTokenizer",
            "registered_name": "keras_nlp>BertTokenizer",
        },
    ],
)
def test_other_classes_of_kerashub_are_refused(tmp_path: Path, change: dict[str, str]) -> None:
    path = described(tmp_path / "hub.keras", lambda config: config.update(change))
    with pytest.raises(BadModel, match="or of KerasHub's image classifiers"):
        load_keras_model(path)


def test_functions_of_kerashub_are_refused(tmp_path: Path) -> None:
    function = {
        "class_name": "function",
        "module": "builtins",
        "config": "upload_preset",
        "registered_name": "keras_hub>upload_preset",
    }
    path = described(
        tmp_path / "hub.keras", lambda config: config.update(config={"activation": function})
    )
    with pytest.raises(BadModel, match="needs the function upload_preset"):
        load_keras_model(path)
