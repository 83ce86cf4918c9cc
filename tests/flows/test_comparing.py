"""Two small networks for handwritten digits compared, as a user asks for it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.report_keys import report_key, report_page_key
from diamond_cutter.tasks.compare_report.contents import CompareReportRecord
from diamond_cutter.tasks.compare_report.stored import stored_compare
from tests.flows.conftest import SMALL, Command
from tests.flows.damaged_reports import check_damage
from tests.flows.labelled_digits import write_digits
from tests.users_models import digits_model
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

CLASSES = (1, 4, 7)
EACH = 16
OPTIONS = ("--layers", "strokes", "parts", "--channels", "2", *SMALL)
# The only numbers of a comparison that another run of it may change.
TIMES = re.compile(rb'"(seconds|started|finished)": ?[^,\n}]*,?')
Found = tuple[Path, Path, dict[str, Any]]


def add(at_once: Command, model: Path, name: str, bucket: Path, labels: Path) -> None:
    options = ("--name", name, "--labels", str(labels), "--value-range", "0", "1")
    done = at_once("models", "add", str(model), *options, "--bucket", str(bucket))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def place(at_once: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images of digits, and a bucket with a network before and after its
    second layer has changed.
    """
    place = tmp_path_factory.mktemp("compare")
    images = write_digits(place / "images", CLASSES, EACH)
    shutil.copyfile(sorted((images / "digit 4").iterdir())[0], images / "digit 4" / "copy.png")
    (images / "digit 7" / "bad.png").write_bytes(b"no image")
    labels = place / "labels.txt"
    labels.write_text("".join(f"digit {number}\n" for number in range(10)))
    before = digits_model(place / "before.keras")
    network = keras.models.load_model(before)
    kernel, bias = network.get_layer("parts").get_weights()
    noise = np.random.default_rng(0).normal(0, 0.35, kernel.shape)
    network.get_layer("parts").set_weights([kernel + noise, bias])
    network.save(place / "after.keras")
    for name in ("before", "after"):
        add(at_once, place / f"{name}.keras", name, place / "bucket", labels)
    return place


def compare(at_once: Command, images: Path, bucket: Path, *options: str) -> Any:
    given = options or OPTIONS
    return at_once(
        "compare", "before", "after", str(images), "--bucket", str(bucket), "--json", *given
    )


@pytest.fixture(scope="module")
def found(place: Path, at_once: Command) -> Found:
    """Return a bucket with a report, the folder of its images, and what the command printed."""
    done = compare(at_once, place / "images", place / "bucket")
    assert done.returncode == 0, done.stderr
    return place / "bucket", place / "images", json.loads(done.stdout)


@pytest.fixture
def copied(found: Found, tmp_path: Path) -> Path:
    return Path(shutil.copytree(found[0], tmp_path / "bucket"))


def report_in(bucket: Path) -> tuple[str, CompareReportRecord]:
    (path,) = bucket.glob("reports/*/before@*+after@*/compare@*/report.json")
    folder = f"{path.parent.relative_to(bucket)}/"
    return folder, CompareReportRecord.from_bytes(path.read_bytes(), report_key(folder))


def records_of(bucket: Path) -> dict[str, bytes]:
    """Return all records of a comparison without times, by key; a bucket's place is in some."""
    return {
        str(path.relative_to(bucket)): TIMES.sub(b"", path.read_bytes()).replace(
            str(bucket).encode(), b"BUCKET"
        )
        for path in bucket.glob("reports/**/*.json")
        if path.name != "index.html.json"  # the hash of a page that names the bucket
    }


def test_the_command_prints_the_answer_and_its_reasons(found: Found) -> None:
    _, _, printed = found
    first, second = printed["models"]
    assert (first["name"], second["name"]) == ("before", "after")
    test = printed["test"]
    assert test["images"] == len(CLASSES) * EACH
    assert test["only_first"] > test["only_second"] and test["p_value"] < 0.05
    assert printed["answer"].startswith("before is right about ")
    assert "chance is an unlikely explanation" in printed["answer"]
    for model in (first, second):
        overall = model["accuracy"]["overall"]
        assert overall["low"] < overall["share"] <= overall["high"]
        right = sum(each["right"] for each in model["accuracy"]["classes"].values())
        assert right == overall["right"]
    assert first["accuracy"]["overall"]["right"] == test["both"] + test["only_first"]
    assert [row["name"] for row in printed["classes"]] == ["digit 1", "digit 4", "digit 7"]
    assert [bad["name"] for bad in printed["refused"]] == ["digit 7/bad.png"]
    assert any("1 image is a copy" in remark for remark in printed["remarks"])
    strokes, parts = printed["pairs"]
    assert strokes["found_by"] == "name" and strokes["cka"] == pytest.approx(1, abs=1e-4)
    assert strokes["same_number"] == strokes["matched"] and strokes["correlation"] > 0.999
    assert parts["cka"] < 0.99 and parts["correlation"] < 0.99
    assert printed["report"].endswith(report_page_key(printed["key"]))


def test_all_that_the_report_names_is_there_and_sound(found: Found, at_once: Command) -> None:
    bucket, _, printed = found
    folder, record = report_in(bucket)
    there = {info.key for info in LocalBucket(bucket).list("reports/")}
    assert {*record.records, *(file.key for file in record.files)} <= there
    contents = record.contents
    channels = pd.read_parquet(bucket / folder / contents.channels_table)
    assert len(channels) == 16 + 32 and channels["correlation"].max() <= 1
    images = pd.read_parquet(bucket / folder / str(contents.images_table))
    assert images["first_is_right"].sum() == printed["models"][0]["accuracy"]["overall"]["right"]
    assert [(pair.first, len(pair.channels)) for pair in contents.seen] == [
        ("strokes", 2),
        ("parts", 2),
    ]
    for one in (
        side
        for pair in contents.seen
        for each in pair.channels
        for side in (each.first, each.second)
    ):
        assert one.sprite is not None and (bucket / folder / one.sprite).is_file()
        with Image.open(bucket / folder / str(one.patches)) as sheet:
            assert sheet.width * 2 == sheet.height * 3 and one.shown == 6
    assert {one.name for one in contents.contributors} == {"digit 1", "digit 4", "digit 7"}
    assert contents.contributing == ("parts", "parts")
    for one in contents.contributors:
        for side in (one.first, one.second):
            assert side and all(each.value > 0 and each.sprite for each in side)
    shown = len(contents.only_first)
    assert shown == contents.test.only_first if contents.test else False
    done = at_once("verify", "--deep", "--bucket", str(bucket))
    assert done.returncode == 0, done.stdout
    assert at_once("gc", "--bucket", str(bucket)).stdout.startswith("0 unused files")


def test_the_same_command_again_computes_and_writes_nothing(
    copied: Path, found: Found, at_once: Command
) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    done = compare(at_once, found[1], copied)
    assert done.returncode == 0 and json.loads(done.stdout)["reused"]
    after = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    assert after == before


def test_lists_shows_and_removes_it(copied: Path, found: Found, at_once: Command) -> None:
    key = found[2]["key"]
    listed = at_once("ls", "--bucket", str(copied)).stdout
    assert "/compare@" in listed and "complete" in listed
    shown = at_once("show", key, "--bucket", str(copied))
    assert shown.returncode == 0 and found[2]["answer"] in shown.stdout
    assert at_once("rm", key, "--yes", "--bucket", str(copied)).returncode == 0
    left = copied.glob("reports/*/before@*+after@*/**/*")
    assert not [path for path in left if path.is_file()]
    assert at_once("verify", "--bucket", str(copied)).returncode == 0


def test_what_is_damaged_is_named_and_mended(copied: Path, found: Found, at_once: Command) -> None:
    folder, record = report_in(copied)
    damaged = (
        copied / report_page_key(folder),
        next(copied.glob("reports/*/after@*/features@*/features/strokes/*.parquet")),
        copied / folder / str(record.contents.seen[0].channels[0].first.sprite),
        copied / folder / record.contents.channels_table,
        copied / folder / "layers.json",
    )
    whole = check_damage(
        copied,
        damaged,
        lambda: stored_compare(LocalBucket(copied), folder),
        lambda: compare(at_once, found[1], copied).returncode,
        at_once,
    )
    for path, data in whole:
        # The page names the bucket in its command.
        mended = path.read_bytes().replace(str(copied).encode(), str(found[0]).encode())
        assert mended == data, path


def test_a_comparison_that_is_killed_ends_like_an_undisturbed_one(
    found: Found, place: Path, tmp_path: Path, at_once: Command
) -> None:
    bucket = tmp_path / "bucket"
    shutil.copytree(place / "bucket" / "models", bucket / "models")
    command = [sys.executable, "-m", "diamond_cutter.flows.cli.main", "compare", "before", "after"]
    process = subprocess.Popen(
        [*command, str(found[1]), "--bucket", str(bucket), *OPTIONS],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: [*bucket.glob("reports/*/*@*/*@*/layers.json")] or None)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not [*bucket.glob("reports/*/*/compare@*/report.json")]
    assert compare(at_once, found[1], bucket).returncode == 0
    assert records_of(bucket) == records_of(found[0])


def test_a_model_is_like_itself(copied: Path, found: Found, at_once: Command) -> None:
    done = at_once(
        "compare", "before", "before", str(found[1]), "--bucket", str(copied), "--json", *OPTIONS
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["answer"].startswith("before and before (again) are right about equally many")
    assert printed["test"]["p_value"] == 1
    for pair in printed["pairs"]:
        assert pair["cka"] == pytest.approx(1) and pair["matched"] == pair["same_number"]
        assert pair["correlation"] == pytest.approx(1) and pair["weak"] == 0


def test_images_without_labels_have_layers_but_no_accuracy(
    copied: Path, place: Path, tmp_path: Path, at_once: Command
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for path in sorted((place / "images").rglob("*.png")):
        if path.name != "bad.png":
            shutil.copyfile(path, images / f"{path.parent.name}-{path.name}")
    done = compare(at_once, images, copied, "--layers", "strokes", "--channels", "0")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert "cannot be ranked, because the images have no labels" in printed["answer"]
    assert printed["test"] is None and printed["classes"] == [] and len(printed["pairs"]) == 1
    record = CompareReportRecord.from_bytes(
        (copied / printed["key"] / "report.json").read_bytes(), ""
    )
    assert record.contents.seen == () and record.contents.images_table is None


def test_by_default_the_test_part_is_tested(
    copied: Path, place: Path, tmp_path: Path, at_once: Command
) -> None:
    write_digits(tmp_path / "images" / "train", (1, 4), 8)
    write_digits(tmp_path / "images" / "test", (1, 4), 5, first=8)
    options = ("--layers", "strokes", "--channels", "0")
    for split, count in (("auto", 10), ("train", 16), ("all", 26)):
        done = compare(at_once, tmp_path / "images", copied, *options, "--split", split)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["test"]["images"] == count


def test_a_layer_whose_features_are_not_finite_is_left_out(
    copied: Path, found: Found, at_once: Command
) -> None:
    from diamond_cutter.tasks.features.stored import FeaturesRecord, put_features

    bucket = LocalBucket(copied)
    (folder,) = (
        path.parent.parent for path in copied.glob("reports/*/after@*/features@*/features/strokes")
    )
    (path,) = (folder / "features").glob("*.json")
    record = FeaturesRecord.from_bytes(path.read_bytes(), str(path))
    values = np.full((len(record.numbers), 16), np.nan, np.float32)
    key = f"{folder.relative_to(copied)}/"
    made = put_features(bucket, key, range(record.first, record.images), {"strokes": values})
    path.write_bytes(record.model_copy(update={"layers": {**record.layers, **made}}).to_bytes())
    shutil.rmtree(next(copied.glob("reports/*/before@*+after@*")))
    done = compare(at_once, found[1], copied)
    printed = json.loads(done.stdout)
    assert done.returncode == 1
    assert printed["problems"] == [
        "layer strokes of after was left out: its activations are not finite"
    ]
    assert printed["layers"] == [["strokes", "parts"], ["parts"]]


@pytest.mark.parametrize(
    ("each", "options", "words"),
    [
        (3, (), "too few to compare models: expected at least 10"),
        (0, (), "image"),
        (6, ("--layers", "no-such-layer"), "no-such-layer"),
        (6, ("--layers", "strokes", "--show", "parts"), "layer 'parts' cannot be shown"),
        (6, ("--split", "test"), "have no test part"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(
    each: int,
    options: tuple[str, ...],
    words: str,
    place: Path,
    tmp_path: Path,
    at_once: Command,
) -> None:
    images = write_digits(tmp_path / "images", (1, 4), each)
    done = compare(at_once, images, place / "bucket", *options)
    assert done.returncode == 2 and words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stdout == ""


def test_an_unknown_model_is_one_sentence(place: Path, found: Found, at_once: Command) -> None:
    done = at_once("compare", "before", "no-such", str(found[1]), "--bucket", str(found[0]))
    assert done.returncode == 2 and "no-such" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
