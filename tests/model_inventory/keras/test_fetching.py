"""Keras fetches the weights of its networks, here from a server on loopback; which file it asks for
is known beforehand.
"""

import gc
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from diamond_cutter.model_inventory.bundle import activation_function
from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.model_inventory.errors import WeightsMissing
from diamond_cutter.model_inventory.keras.applications import build, fetch_keras_weights
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS
from diamond_cutter.tasks.importing.fetching import fetch_by_keras


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Keras, which looks at its environment when it is imported, and us keep weights in an
    empty folder.
    """
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(
        "keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path / "keras")
    )
    yield
    keras.backend.clear_session()
    gc.collect()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder in place of where Keras publishes the weights of MobileNet."""
    folder = tmp_path / "published"
    folder.mkdir()
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *arguments: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setattr(
            "keras.src.applications.mobilenet.BASE_WEIGHT_PATH",
            f"http://127.0.0.1:{server.server_port}/",
        )
        yield folder
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_weights_are_fetched_by_keras_and_imported(published: Path) -> None:
    application, model = KERAS_APPLICATIONS["keras/mobilenet"], build("keras/mobilenet", 224)
    kernel = model.get_layer("conv_preds").kernel
    kernel.assign(np.random.default_rng(1).normal(0, 0.1, kernel.shape))
    with h5py.File(published / application.file, "w") as file:
        save_weights_to_hdf5_group(file, model)
    images = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)
    wanted = model(images * 2 - 1, training=False).numpy()
    sizes: list[int] = []
    fetched = fetch_by_keras("keras/mobilenet", sizes.append)
    assert sizes[-1] == fetched.stat().st_size
    assert fetched.read_bytes() == (published / application.file).read_bytes()
    bundle = import_model("keras/mobilenet")
    assert bundle.card.source.origin == "keras.applications.MobileNet, mobilenet_1_0_224_tf.h5"
    found = tf.nn.softmax(activation_function(bundle, "logits")(images)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-7)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Keras leaves the connection to Python's collector
def test_a_file_that_is_not_published_is_one_sentence(published: Path) -> None:
    with pytest.raises(WeightsMissing) as error:
        fetch_keras_weights("keras/mobilenet")
    place = KERAS_APPLICATIONS["keras/mobilenet"].own_file
    assert "\n" not in str(error.value)
    assert "mobilenet_1_0_224_tf.h5" in str(error.value) and f" at {place}." in str(error.value)


# test_applications.py compares the files of all networks without building any.
@pytest.mark.parametrize("name", ["mobilenet", "mobilenetv3small"])
def test_the_file_is_the_one_that_keras_asks_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def get_file(fname: str, origin: str, **kwargs: Any) -> str:
        asked.append(fname)
        raise OSError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(WeightsMissing):
        fetch_keras_weights(f"keras/{name}")
    assert asked == [KERAS_APPLICATIONS[f"keras/{name}"].file]
