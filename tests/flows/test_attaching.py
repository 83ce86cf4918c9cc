"""New layers on a small network for handwritten digits, as a user asks for them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.model_inventory.card import ModelCard
from tests.flows.conftest import SMALL, Command
from tests.flows.labelled_digits import write_digits
from tests.users_models import digits_model
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

OPTIONS = ("--at", "strokes", "--conv", "6", "--unfreeze", "strokes", "--epochs", "4")
Found = tuple[Path, Path, dict[str, Any]]


@pytest.fixture(scope="module")
def place(at_once: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images of digits, and a bucket that has the network."""
    place = tmp_path_factory.mktemp("attach")
    images = write_digits(place / "images", (1, 4, 7), 20)
    (images / "digit 7" / "bad.png").write_bytes(b"no image")
    model = digits_model(place / "digits.keras")
    options = ("--name", "digits", "--value-range", "0", "1", "--bucket", str(place / "bucket"))
    assert at_once("models", "add", str(model), *options).returncode == 0
    return place


def command_of(place: Path, bucket: Path, *options: str) -> list[str]:
    return ["attach", "digits", str(place / "images"), "--bucket", str(bucket), *options]


@pytest.fixture(scope="module")
def found(place: Path, at_once: Command) -> Found:
    """Return a bucket with a trained model, the images' folder, and what the command printed."""
    shutil.copytree(place / "bucket", place / "trained")
    command = command_of(place, place / "trained", "--name", "mine", *OPTIONS, "--json")
    done = at_once(*command)
    assert done.returncode == 0, done.stderr
    return place / "trained", place / "images", json.loads(done.stdout)


def cards(bucket: Path) -> dict[str, ModelCard]:
    found = map(
        ModelCard.model_validate_json, (p.read_bytes() for p in bucket.glob("models/*/card.json"))
    )
    return {card.name: card for card in found}


def test_the_command_says_what_was_trained_and_how_well(found: Found) -> None:
    bucket, _, printed = found
    assert (printed["name"], printed["at"]) == ("mine", ["strokes"])
    assert printed["layers"] == ["added_conv_1"] and printed["epochs"] == 8
    assert 0.3 < printed["test_accuracy"] <= 1 and 0.3 < printed["validation_accuracy"] <= 1
    assert printed["seconds"] > 0 and sum(printed["images"]) == 60
    assert list(printed["refused"]) == ["digit 7/bad.png"]
    chart = Path(printed["chart"].removeprefix("file://"))
    assert chart.read_text().startswith("<svg xmlns")
    card = cards(bucket)["mine"]
    assert card.key == printed["bundle"] and card.class_names == ("digit 1", "digit 4", "digit 7")
    assert [layer.name for layer in card.layers] == ["strokes", "added_conv_1", "logits"]
    assert card.layer("added_conv_1").main


def test_the_same_again_trains_nothing(found: Found, place: Path, at_once: Command) -> None:
    before = {p: p.read_bytes() for p in found[0].rglob("*") if p.is_file()}
    done = at_once(*command_of(place, found[0], "--name", "mine", *OPTIONS, "--json"))
    assert done.returncode == 0 and json.loads(done.stdout) == {**found[2], "reused": True}
    assert {p: p.read_bytes() for p in found[0].rglob("*") if p.is_file()} == before
    assert at_once("verify", "--deep", "--bucket", str(found[0])).returncode == 0


def test_a_killed_training_goes_on_and_makes_the_same_model(
    found: Found, place: Path, tmp_path: Path, at_once: Command
) -> None:
    bucket = Path(shutil.copytree(place / "bucket", tmp_path / "bucket"))
    arguments = command_of(place, bucket, "--name", "mine", *OPTIONS)
    process = subprocess.Popen(
        [sys.executable, "-m", "diamond_cutter.flows.cli.main", *arguments],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: [*bucket.glob("reports/*/*/attach@*/epochs/0002.json")] or process.poll())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "mine" not in cards(bucket)
    done = at_once(*arguments)
    assert done.returncode == 0, done.stderr
    assert cards(bucket)["mine"] == cards(found[0])["mine"]


def test_the_trained_model_is_rendered_and_explained_like_any_other(
    found: Found, tmp_path: Path, at_once: Command
) -> None:
    where = ("--bucket", str(shutil.copytree(found[0], tmp_path / "bucket")), *SMALL)
    done = at_once("sprites", "mine", "--layers", "added_conv_1", "--channels", "0:2", *where)
    assert done.returncode == 0, done.stderr
    few = ("--layers", "added_conv_1", "--channels", "1", "--groups", "0")
    done = at_once("attribute", "mine", str(found[1]), *few, *where, "--json")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--name", "new", "--at", "digit"), "because it is a vector"),
        (("--name", "new", "--at", "strokse"), "did you mean 'strokes'"),
        (("--name", "new", "--at", "strokes", "--unfreeze", "parts"), "expected a layer up to"),
        (("--name", "digits", "--at", "strokes"), "the name 'digits' is taken by digits@"),
        (("--name", "efficientnet-lite0", "--at", "strokes"), "is the name of a built-in model"),
        (("--name", "mine", "--at", "parts"), "the name 'mine' is taken by mine@"),
        (("--name", "new", "--at", "strokes", "--conv", "0"), "1 to 4096 channels"),
        (("--name", "new", "--at", "strokes", "--augment", "wild"), "augment"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(
    options: tuple[str, ...], words: str, found: Found, place: Path, at_once: Command
) -> None:
    done = at_once(*command_of(place, found[0], *options))
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stdout == ""


@pytest.mark.parametrize(
    ("classes", "each", "words"),
    [((1,), 9, "expected at least two classes"), ((1, 4), 4, "has too few images")],
)
def test_images_that_cannot_be_told_apart_or_divided_are_refused(
    classes: tuple[int, ...], each: int, words: str, found: Found, tmp_path: Path, at_once: Command
) -> None:
    images = write_digits(tmp_path / "images", classes, each)
    where = ("--bucket", str(found[0]), "--name", "new", "--at", "strokes")
    done = at_once("attach", "digits", str(images), *where)
    assert done.returncode == 2 and words in done.stderr


def test_a_damaged_model_is_mended_by_the_same_command(
    found: Found, place: Path, tmp_path: Path, at_once: Command
) -> None:
    bucket = Path(shutil.copytree(found[0], tmp_path / "bucket"))
    graph = bucket / "models" / found[2]["bundle"] / "graph.pb"
    whole = graph.read_bytes()
    graph.write_bytes(b"torn")
    named = at_once("verify", "--bucket", str(bucket))
    assert named.returncode == 1 and "diamond-cutter attach" in named.stdout
    done = at_once(*command_of(place, bucket, "--name", "mine", *OPTIONS))
    assert done.returncode == 0 and graph.read_bytes() == whole
