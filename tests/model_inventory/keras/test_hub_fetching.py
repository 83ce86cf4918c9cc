"""Presets are fetched by KerasHub itself, here from a server on loopback, and used by name."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import activation_function
from diamond_cutter.model_inventory.catalogue import import_model, list_hub_presets, model_source
from diamond_cutter.model_inventory.errors import (
    BadModel,
    ModelError,
    NoKerasModel,
    UnknownModel,
    WeightsMissing,
)
from diamond_cutter.model_inventory.imagenet import imagenet_labels
from diamond_cutter.model_inventory.keras.hub_catalogue import preset_folder
from diamond_cutter.model_inventory.keras.hub_fetching import fetch_preset
from diamond_cutter.model_inventory.keras.hub_presets import image_of_preset, load_preset
from diamond_cutter.model_inventory.keras.source_models import source_model
from diamond_cutter.model_inventory.preprocessing import known_preprocessing
from diamond_cutter.tasks.importing.fetching import NothingToFetch, fetch_by_hub, fetch_weights
from tests.model_inventory.keras.published_presets import (
    OFFSET,
    SCALE,
    SIDE,
    TIMM,
    serving_presets,
    write_preset,
    write_timm_network,
)

RESNET, NETWORK = "kerashub/resnet_18_imagenet", "timm/resnet18.a1_in1k"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ImportWarning")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is fetched in empty folders, and have no network but loopback."""
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hugging face"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder in place of Kaggle and of Hugging Face."""
    folder = tmp_path / "published"
    folder.mkdir()
    with serving_presets(folder) as url:
        use_server(url, monkeypatch)
        yield folder
    keras.backend.clear_session()


def use_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from kagglesdk import kaggle_env

    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, url)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        url + "/{repo_id}/resolve/{revision}/{filename}",
    )


@pytest.mark.slow
def test_a_preset_is_fetched_from_kaggle_and_imported(published: Path) -> None:
    model = write_preset(published, classes=1000)
    sizes: list[int] = []
    files = fetch_by_hub(RESNET, None, sizes.append)
    assert sizes[-1] == sum(file.stat().st_size for file in files)
    assert all(file.read_bytes() == (published / file.name).read_bytes() for file in files)
    bundle = import_model(RESNET)
    card = bundle.card
    assert card.source == model_source(RESNET)
    assert card.source.origin == "kaggle://keras/resnetv1/keras/resnet_18_imagenet/3"
    assert card.image.shape == (SIDE, SIDE, 3)
    np.testing.assert_allclose(
        card.image.value_range,
        [(low, 255 * scale + low) for scale, low in zip(SCALE, OFFSET, strict=True)],
        rtol=1e-5,
    )
    assert card.labels == imagenet_labels()
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3)).astype(np.float32)
    np.testing.assert_allclose(
        activation_function(bundle, "logits")(images / 255),
        model(model.preprocessor(images)),
        atol=1e-4,
    )
    assert [(listing.name, listing.source, listing.weights) for listing in list_hub_presets()] == [
        (RESNET, "kerashub", "here")
    ]
    assert fetch_weights(RESNET) == files, "it is here, so no process is started"
    assert source_model(card, None).count_params() == model.count_params()
    files[-1].unlink()
    with pytest.raises(NoKerasModel, match="are not on this machine"):
        source_model(card, None)
    with pytest.raises(WeightsMissing, match=f"Run `diamond-cutter models fetch {RESNET}`"):
        model_source(RESNET)
    assert not list_hub_presets()


@pytest.mark.slow
def test_a_network_of_timm_is_fetched_from_hugging_face_and_loaded(published: Path) -> None:
    written = write_timm_network(published / NETWORK)
    killed, under_way = (preset_folder(NETWORK).parents[1] / f".preset-{n}" for n in "12")
    for folder in (killed, under_way):
        (folder / "preset").mkdir(parents=True)
    os.utime(killed, (0, 0))
    fetch_preset(NETWORK)
    assert under_way.exists() and not killed.exists()
    assert model_source(NETWORK).origin == f"hf://{NETWORK}"
    assert [(listing.name, listing.source) for listing in list_hub_presets()] == [(NETWORK, "timm")]
    model = load_preset(NETWORK, preset_folder(NETWORK))
    image = image_of_preset(NETWORK, model)
    assert image.shape == (32, 32, 3) and known_preprocessing(image) == "torch"
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    np.testing.assert_allclose(model(images), written(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [RESNET, NETWORK])
def test_no_connection_is_one_sentence(
    name: str, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_server(nowhere, monkeypatch)
    # Otherwise huggingface_hub tries again for 20 s.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        WeightsMissing,
        match=rf"^config.json of {name} cannot be downloaded from [^\n]+ the network\.$",
    ):
        fetch_preset(name)


def test_a_name_that_hugging_face_does_not_have_is_one_sentence(published: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"^[^\n]+ Check the name and the network\.$"):
        fetch_preset("timm/resnet19")
    assert not list_hub_presets()


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("kerashub/resnet_18_imagene", UnknownModel, "did you mean kerashub/resnet_18_imagenet"),
        ("kerashub/bert_base_en", BadModel, "is not an image classifier"),
    ],
)
def test_what_kerashub_does_not_list_is_not_looked_for(
    name: str, error: type[ModelError], text: str
) -> None:
    with pytest.raises(error, match=text):
        fetch_preset(name)


PRESET = {
    "module": "keras_hub.src.models.resnet.resnet_backbone",
    "class_name": "ResNetBackbone",
    "registered_name": "keras_hub>ResNetBackbone",
    "config": {},
}
TASK = {
    name: value.replace("Backbone", "ImageClassifier") for name, value in PRESET.items() if value
}
READER = {
    "module": "keras_nlp.src.models.bert.bert_tokenizer",
    "class_name": "BertTokenizer",
    "registered_name": "keras_nlp>BertTokenizer",
    "config": {"vocabulary": "/etc/passwd"},
}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (
            {"config.json": PRESET},
            "is not an image classifier: .+ found a preset without task.json",
        ),
        (
            {"config.json": PRESET, "task.json": PRESET | {"class_name": "ResNetSegmenter"}},
            "is not an image classifier: .+ found ResNetSegmenter",
        ),
        (
            {"config.json": PRESET, "task.json": TASK | {"config": {"preprocessor": READER}}},
            r"task.json needs the class keras_nlp\..+BertTokenizer: expected only classes of Keras",
        ),
        ({"config.json": READER, "task.json": TASK}, "config.json needs the class keras_nlp"),
        ({"config.json": ["ResNet"], "task.json": TASK}, "config.json does not describe a model"),
    ],
)
def test_a_preset_that_is_something_else_is_refused(
    files: dict[str, Any], text: str, tmp_path: Path
) -> None:
    assert_refused("kerashub/mine", files, text, tmp_path)


def test_weights_that_refer_to_another_file_are_refused(tmp_path: Path) -> None:
    for file, content in {"config.json": PRESET, "task.json": TASK}.items():
        (tmp_path / file).write_text(json.dumps(content))
    with h5py.File(tmp_path / "model.weights.h5", "w") as weights:
        weights["layers"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(BadModel, match=r"model.weights.h5 refers to data outside itself"):
        load_preset("kerashub/mine", tmp_path)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            TIMM | {"architecture": "convnext_tiny"},
            r"^KerasHub \S+ has no converter for timm/mine \(.+`'convnext_tiny'`\)\. .+\.onnx",
        ),
        (TIMM | {"architecture": "resnet18d"}, "has no converter for timm/mine"),
        (TIMM | {"num_classes": 0}, "is not an image classifier"),
        (TIMM | PRESET, "config.json is not a description of timm"),
        ([], "config.json is not a description of timm"),
        (TIMM, "timm/mine has no model.safetensors"),
    ],
)
def test_a_network_that_kerashub_cannot_convert_is_refused(
    config: Any, text: str, tmp_path: Path
) -> None:
    assert_refused("timm/mine", {"config.json": config}, text, tmp_path)


def assert_refused(name: str, files: dict[str, Any], text: str, folder: Path) -> None:
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content))
    with pytest.raises(ModelError, match=text) as error:
        fetch_preset(name, folder)
    assert "\n" not in str(error.value)
    assert not list_hub_presets() and not list((folder / "cache").glob("*"))


@pytest.mark.parametrize("package", ["keras_hub", "safetensors"])
def test_without_a_package_the_extra_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(WeightsMissing, match=r"Run `pip install 'diamond-cutter\[hub\]'`"):
        fetch_weights(NETWORK)


def test_a_file_is_no_folder_of_a_preset(tmp_path: Path) -> None:
    with pytest.raises(NothingToFetch, match="expected the folder of a preset"):
        fetch_weights(RESNET, [str(tmp_path / "model.weights.h5")])
