"""A user's model, of whatever kind its file is, becomes a bundle; what has to be guessed is said,
what cannot be guessed is asked for.
"""

import hashlib
import os
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import activation_function
from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.user_models import (
    Imported,
    ImportOptions,
    check_name,
    content_hash,
    import_user_model,
)

NAMES = tuple(ClassLabel(name=name) for name in ("cat", "dog", "bird"))
UNSCALED = ImportOptions(value_range=(0.0, 1.0))


def small_model(*, scaled: bool = True, size: int | None = 24, channels: int = 3) -> keras.Model:
    """Build a network with another one in it, the same weights each time."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    convolution = keras.layers.Conv2D(6, 3, padding="same", name="convolution")
    inner = [
        convolution,
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.ReLU(name="relu"),
    ]
    backbone = keras.Sequential([keras.Input((size, size, channels)), *inner], name="backbone")
    head = [
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(3, activation="softmax", name="classes"),
    ]
    before = [keras.layers.Rescaling(1 / 127.5, offset=-1, name="scaling")] if scaled else []
    return keras.Sequential(
        [keras.Input((size, size, channels)), *before, backbone, *head], name="whole"
    )


def saved(tmp_path: Path, kind: str, model: keras.Model) -> Path:
    """Save a model as a Keras file, a SavedModel or a frozen graph."""
    if kind == "saved model":
        model.export(tmp_path / "folder", verbose=False)
        return tmp_path / "folder"
    path = tmp_path / f"model.{kind}"
    if kind != "pb":
        model.save(path)
        return path
    from diamond_cutter.model_inventory.keras.tracing import trace

    path.write_bytes(trace(model).graph.SerializeToString())
    return path


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("kind", ["keras", "h5", "saved model", "pb"])
def test_whatever_the_file_is_the_bundle_computes_what_the_model_does(
    tmp_path: Path, kind: str
) -> None:
    model = small_model()
    path = saved(tmp_path, kind, model)
    found = import_user_model(path, "mine", NAMES, ImportOptions(image_size=24))
    card = found.bundle.card
    assert (card.name, card.image.shape, card.labels) == ("mine", (24, 24, 3), NAMES)
    assert card.image.value_range == ((0.0, 255.0),)
    assert any("0" in guess and "255" in guess for guess in found.guesses)
    assert (card.source.origin, card.source.weights_sha256) == (path.name, content_hash(path))
    images = np.random.default_rng(0).random((2, 24, 24, 3), np.float32)
    logits = activation_function(found.bundle, "logits")(images)
    np.testing.assert_allclose(tf.nn.softmax(logits), model(images * 255).numpy(), atol=1e-5)
    if kind in ("keras", "h5"):
        assert {"backbone/convolution", "backbone/norm", "backbone/relu", "classes"} <= {
            layer.name for layer in card.layers
        }
        assert [layer.name for layer in card.layers if layer.main] == ["backbone/relu"]


def test_an_archive_of_a_model_is_that_model_and_it_is_said_which(tmp_path: Path) -> None:
    path, names = saved(tmp_path, "keras", small_model()), [label.name for label in NAMES]
    with zipfile.ZipFile(tmp_path / "converted.zip", "w") as archive:
        archive.write(path, "keras_model.keras")
        archive.writestr("labels.txt", "".join(f"{number} {n}\n" for number, n in enumerate(names)))
    found = import_user_model(tmp_path / "converted.zip", "mine")
    assert found.bundle.graph_bytes == import_user_model(path, "mine").bundle.graph_bytes
    assert list(found.bundle.card.class_names) == names
    assert found.guesses[-1] == "that keras_model.keras in converted.zip is the model"
    assert found.bundle.card.source.origin == "converted.zip"


def test_adding_twice_gives_the_same_bundle_and_a_changed_weight_another(tmp_path: Path) -> None:
    model = small_model()
    first = import_user_model(saved(tmp_path, "keras", model), "mine").bundle
    again = import_user_model(saved(tmp_path, "keras", small_model()), "mine").bundle
    assert again.graph_bytes == first.graph_bytes
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] += 0.01
    model.set_weights(weights)
    changed = import_user_model(saved(tmp_path, "keras", model), "mine").bundle
    assert changed.card.key != first.card.key
    assert [layer.sha256 for layer in changed.card.layers] != [
        layer.sha256 for layer in first.card.layers
    ]


def test_a_model_that_does_not_scale_its_images_has_to_say_what_they_are(tmp_path: Path) -> None:
    path = saved(tmp_path, "keras", small_model(scaled=False))
    with pytest.raises(
        BadModel, match=r"^model.keras does not say how images are scaled\. Give --value-range"
    ):
        import_user_model(path, "mine")
    found = import_user_model(path, "mine", options=UNSCALED)
    assert (found.bundle.card.image.value_range, found.guesses) == (((0.0, 1.0),), ())


def test_a_model_of_any_size_has_to_say_what_it_was_trained_on(tmp_path: Path) -> None:
    path = saved(tmp_path, "keras", small_model(size=None))
    with pytest.raises(BadModel, match=r"^model.keras takes images of any size\. Give the size"):
        import_user_model(path, "mine")
    assert import_user_model(
        path, "mine", options=ImportOptions(image_size=40)
    ).bundle.card.image.shape == (40, 40, 3)


def imported(tmp_path: Path, channels: int, **options: object) -> Imported:
    model = small_model(scaled=False, channels=channels)
    return import_user_model(
        saved(tmp_path, "keras", model),
        "mine",
        options=ImportOptions(**{"value_range": (0.0, 1.0), **options}),
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(("channels", "order"), [(1, "none"), (3, "rgb"), (5, "none")])
def test_images_have_as_many_channels_as_the_model_takes(
    tmp_path: Path, channels: int, order: str
) -> None:
    image = imported(tmp_path, channels).bundle.card.image
    assert (image.channels, image.channel_order) == (channels, order)


def test_the_order_of_colours_is_as_said(tmp_path: Path) -> None:
    rgb, bgr = (imported(tmp_path, 3, input_channels=order).bundle for order in ("rgb", "bgr"))
    images = np.random.default_rng(0).random((1, 24, 24, 3), np.float32)
    np.testing.assert_allclose(
        activation_function(bgr, "logits")(images),
        activation_function(rgb, "logits")(images[..., ::-1]),
        atol=1e-6,
    )
    with pytest.raises(BadModel, match="have no order of colours"):
        imported(tmp_path, 1, input_channels="bgr")


@pytest.mark.parametrize("value_range", [(1.0, 0.0), (0.0, 0.0), (float("nan"), 1.0)])
def test_a_value_range_that_is_none_is_refused(
    tmp_path: Path, value_range: tuple[float, float]
) -> None:
    with pytest.raises(BadModel, match="the value range is not valid"):
        imported(tmp_path, 3, value_range=value_range)


def test_labels_must_be_as_many_as_the_classes(tmp_path: Path) -> None:
    path = saved(tmp_path, "keras", small_model())
    with pytest.raises(
        BadModel, match="the labels do not fit mine: expected 3, one for each class, found 2"
    ):
        import_user_model(path, "mine", NAMES[:2])


@pytest.mark.parametrize(
    "name", ["", "a/b", "-x", "x" * 81, "a b", "../x", "efficientnet-lite0", "x@1"]
)
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(BadModel, match=r"Choose another|not a valid name"):
        check_name(name)


@pytest.mark.parametrize("name", ["nothing.keras", "nothing.pb", "nothing"])
def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        BadModel,
        match=r"^file .+ does not exist\. Give a .keras, .h5, .onnx or .pb file, or the folder of "
        r"a SavedModel\.$",
    ):
        import_user_model(tmp_path / name, "mine")


@pytest.mark.parametrize("name", ["text.keras", "text.h5", "text.pb", "text"])
def test_a_file_that_is_no_model_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("not a model")
    with pytest.raises(BadModel) as error:
        import_user_model(tmp_path / name, "mine")
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = small_model()
    weights = model.get_weights()
    weights[0][:] = np.nan
    model.set_weights(weights)
    with pytest.raises(BadModel, match="weights that are not finite numbers"):
        import_user_model(saved(tmp_path, "keras", model), "mine")


def test_a_folders_hash_is_that_of_its_files_and_their_names(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b/c", b"2")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    before = content_hash(tmp_path)
    assert content_hash(tmp_path / "a") == hashlib.sha256(b"1").hexdigest()
    (tmp_path / "b/c").rename(tmp_path / "b/d")
    assert content_hash(tmp_path) != before


@pytest.mark.parametrize("name", ["model.pb", "model.keras", "model.h5", "saved_model.pb"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(BadModel, match=r"it is not a regular file|is not a SavedModel"):
        import_user_model(tmp_path if name == "saved_model.pb" else tmp_path / name, "pipe")
