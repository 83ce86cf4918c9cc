"""Models are exported by the command line; tests/model_inventory/keras/test_exporting.py loads such
files in a process without this project.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf

from diamond_cutter.flows.cli.main import run
from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.tensorflow.serving import served_values
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from diamond_cutter.tasks.importing.stored import keep_bundle
from tests.model_inventory.keras.attached_bundles import with_new_layers
from tests.users_models import digits_model
from tests.waiting import AT_MOST_S

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """Return a Keras file and its bundle."""
    path = digits_model(tmp_path_factory.mktemp("digits") / "digits.keras")
    return path, import_user_model(path, "digits", options=ImportOptions(value_range=(0, 1))).bundle


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    return str(tmp_path / "bucket")


def export(bucket: str, model: str, folder: Path, *options: str) -> int:
    return run(["models", "export", model, str(folder), "--bucket", bucket, *options])


def said(capsys: Capture) -> str:
    return re.sub(r"\s+", " ", capsys.readouterr().err)


def printed(capsys: Capture) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def assert_equal(bundle: Bundle, exported: dict[str, Any]) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (2, *bundle.card.image.shape))
    images = tf.constant(pixels, tf.float32)
    expected = tf.function(lambda: served_values(bundle, images), autograph=False)()
    served = tf.saved_model.load(exported["saved_model"]).serve(images)["logits"]
    np.testing.assert_allclose(served, expected, atol=1e-4)
    if exported["keras"]:
        found = keras.saving.load_model(exported["keras"])(images)
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("ready_devices")
def test_a_users_keras_model_and_new_layers_on_it_are_exported_from_its_file(
    digits: tuple[Path, Bundle], bucket: str, tmp_path: Path, capsys: Capture
) -> None:
    path, bundle = digits
    new = with_new_layers(bundle, ["parts"], [4])
    for each in (bundle, new):
        keep_bundle(bucket, each)
        folder = tmp_path / f"{each.card.name} out"
        assert export(bucket, each.card.name, folder, "--source", str(path), "--json") == 0
        exported = printed(capsys)
        assert exported == {
            "saved_model": str(folder / "saved_model"),
            "keras": str(folder / "model.keras"),
            "why_no_keras": None,
        }
        assert_equal(each, exported)
    assert export(bucket, "new", tmp_path / "bare") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "wrote" in out and "no Keras file: the bucket does not hold the Keras file of " in out
    assert "Give the file again with --source; it was digits.keras." in out
    assert [each.name for each in (tmp_path / "bare").iterdir()] == ["saved_model"]


@pytest.mark.slow
@pytest.mark.usefixtures("ready_devices")
def test_a_model_that_is_not_of_keras_has_no_keras_file(
    toy: Bundle, bucket: str, tmp_path: Path, capsys: Capture
) -> None:
    keep_bundle(bucket, toy)
    assert export(bucket, "toy", tmp_path / "out", "--json") == 0
    exported = printed(capsys)
    assert exported["keras"] is None
    assert exported["why_no_keras"] == "toy does not come from a Keras model"
    assert_equal(toy, exported)
    assert export(bucket, "toy", tmp_path / "out") == 2
    assert "has files: expected a new or empty folder" in said(capsys)


@pytest.mark.usefixtures("ready_devices")
def test_bad_input_is_one_sentence_and_writes_nothing(
    digits: tuple[Path, Bundle], bucket: str, tmp_path: Path, capsys: Capture
) -> None:
    keep_bundle(bucket, digits[1])
    out, other = tmp_path / "out", tmp_path / "other.keras"
    other.write_bytes(digits[0].read_bytes() + b" ")
    for model, options, problem in (
        ("birds", (), "model 'birds' does not exist"),
        ("digits", ("--source", str(tmp_path / "none")), "none does not exist"),
        ("digits", ("--source", str(tmp_path)), "is a folder: expected a .keras or .h5 file"),
        (
            "digits",
            ("--source", str(other)),
            "other.keras is not the file that digits was imported from: expected sha256 "
            f"{digits[1].card.source.weights_sha256}, found ",
        ),
    ):
        assert export(bucket, model, out, *options) == 2
        err = said(capsys)
        assert problem in err and "Traceback" not in err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bucket", "other.keras"]


@pytest.mark.slow
def test_a_killed_export_leaves_no_folder_and_can_be_repeated(
    digits: tuple[Path, Bundle], bucket: str, tmp_path: Path
) -> None:
    keep_bundle(bucket, digits[1])
    options = ["models", "export", "digits", str(tmp_path / "out"), "--bucket", bucket]
    command = [sys.executable, "-m", "diamond_cutter.flows.cli.main", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + AT_MOST_S
        while not list(tmp_path.glob(".out.partial.*/*")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        for each in [*psutil.Process(process.pid).children(recursive=True), process]:
            each.kill()
    assert not (tmp_path / "out").exists()
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    assert (tmp_path / "out" / "saved_model" / "saved_model.pb").is_file()
