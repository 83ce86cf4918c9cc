"""Where to cut a small network for handwritten digits, as a user asks it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.report_keys import report_key, report_page_key
from diamond_cutter.tasks.cut_report.contents import CutReportRecord
from diamond_cutter.tasks.cut_report.stored import stored_comparison
from diamond_cutter.tasks.cutting.scores import ScoresRecord
from tests.flows.conftest import SMALL, Command
from tests.flows.damaged_reports import check_damage
from tests.flows.labelled_digits import write_digits
from tests.users_models import digits_model
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

CLASSES = (1, 4, 7)
EACH = 24
DEFAULTS = {
    "--models": "digits",
    "--layers": "all",
    "--channels": "1",
    "--train": "3",
    "--folds": "3",
}
OPTIONS = (*(part for pair in DEFAULTS.items() for part in pair), *SMALL)
# The only numbers of a search that another run of it may change.
TIMES = re.compile(rb'"(seconds|ms|started|finished)": ?[^,\n}]*,?')
Found = tuple[Path, Path, dict[str, Any]]


@pytest.fixture(scope="module")
def place(at_once: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images of digits, and a bucket that has the network."""
    place = tmp_path_factory.mktemp("cut")
    images = write_digits(place / "images", CLASSES, EACH)
    copied = sorted((images / "digit 4").iterdir())[0]
    shutil.copyfile(copied, images / "digit 4" / "copy.png")
    (images / "digit 7" / "bad.png").write_bytes(b"no image")
    model = digits_model(place / "digits.keras")
    options = ("--name", "digits", "--value-range", "0", "1", "--bucket", str(place / "bucket"))
    assert at_once("models", "add", str(model), *options).returncode == 0
    return place


def cut(at_once: Command, images: Path, bucket: Path, *options: str) -> Any:
    kept = [part for pair in DEFAULTS.items() if pair[0] not in options for part in pair]
    given = (*kept, *options, *SMALL)
    return at_once("cut", str(images), "--bucket", str(bucket), "--json", *given)


@pytest.fixture(scope="module")
def found(place: Path, at_once: Command) -> Found:
    """Return a bucket with a report, the folder of its images, and what the command printed."""
    done = cut(at_once, place / "images", place / "bucket")
    assert done.returncode == 0, done.stderr
    return place / "bucket", place / "images", json.loads(done.stdout)


@pytest.fixture
def copied(found: Found, tmp_path: Path) -> Path:
    return Path(shutil.copytree(found[0], tmp_path / "bucket"))


def report_in(bucket: Path) -> tuple[str, CutReportRecord]:
    (path,) = bucket.glob("reports/*/comparison/cut@*/report.json")
    folder = f"{path.parent.relative_to(bucket)}/"
    return folder, CutReportRecord.from_bytes(path.read_bytes(), report_key(folder))


def contents_of(bucket: Path) -> dict[str, bytes]:
    """Return all files of searches without times, by their keys without hashes."""
    return {
        re.sub(r"\.[0-9a-f]{16}\.", ".", str(path.relative_to(bucket))): TIMES.sub(
            b"", path.read_bytes()
        )
        for path in bucket.glob("reports/**/*.json")
        if "comparison" not in path.parts and path.name != "costs.json"
    }


def test_the_command_prints_the_answer_and_all_scores(found: Found) -> None:
    _, _, printed = found
    rows = printed["rows"]
    names = [row["layer"] for row in rows]
    assert names[0] == "strokes" and "parts" in names and "logits" in names
    best = max(rows, key=lambda row: row["probe"])
    assert {"model": "digits", "layer": printed["best"]["layer"]} == printed["best"]
    assert next(r for r in rows if r["layer"] == printed["best"]["layer"])["probe"] == best["probe"]
    assert printed["last"] == {"model": "digits", "layer": names[-1]}
    for row in rows:
        assert 0.5 < row["probe"] <= 1 and row["probe_low"] <= row["probe"] <= row["probe_high"]
        assert row["macs"] >= 0 and row["ms"] > 0 and np.isfinite(row["logme"])
    assert [row["parameters"] for row in rows] == sorted(row["parameters"] for row in rows)
    assert len(printed["trained"]) == 3
    assert all(0.3 < head["accuracy"] <= 1 for head in printed["trained"])
    assert {"probe", "knn", "logme", "h_score", "parameters", "depth"} <= set(printed["regret"])
    assert printed["answer"].startswith(f"Cut digits at {printed['best']['layer']}: ")
    assert [bad["name"] for bad in printed["refused"]] == ["digit 7/bad.png"]
    assert any("1 image is a copy" in remark for remark in printed["remarks"])
    assert printed["report"].endswith(report_page_key(printed["key"]))


def test_all_that_the_report_names_is_there_and_sound(found: Found, at_once: Command) -> None:
    bucket, _, _ = found
    folder, record = report_in(bucket)
    there = {info.key for info in LocalBucket(bucket).list("reports/")}
    assert {*record.records, *(file.key for file in record.files)} <= there
    contents = record.contents
    table = pd.read_parquet(bucket / folder / contents.table)
    assert table["probe"].tolist() == [row.probe for row in contents.rows]
    images = pd.read_parquet(bucket / folder / contents.images_table)
    parts = images["part"].value_counts()
    assert (parts["scored"], parts["test"]) == (contents.facts.scored, contents.facts.tested)
    assert images["copy_of"].notna().sum() == 1 and images["fold"].notna().sum() == parts["scored"]
    scored = images[images["part"] == "scored"]
    matrix = pd.crosstab(scored["label"], scored["best"]).to_numpy()
    assert matrix.sum() == np.sum(contents.confusion_best)
    for one in contents.classes:
        assert one.images and [channel.sprite for channel in one.channels] != []
        for channel in one.channels:
            assert channel.sprite is not None and (bucket / folder / channel.sprite).is_file()
            with Image.open(bucket / folder / str(channel.patches)) as strip:
                assert strip.width == channel.shown * strip.height
    assert sum(map(sum, contents.confusion_best)) == contents.facts.scored
    done = at_once("verify", "--deep", "--bucket", str(bucket))
    assert done.returncode == 0, done.stdout
    assert at_once("gc", "--bucket", str(bucket)).stdout.startswith("0 unused files")


def test_the_same_command_again_computes_and_writes_nothing(
    copied: Path, found: Found, at_once: Command
) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    done = cut(at_once, found[1], copied)
    assert done.returncode == 0 and json.loads(done.stdout)["reused"]
    after = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    assert {key: after.get(key) for key in before} == before


def test_lists_and_shows_it(found: Found, at_once: Command) -> None:
    bucket, _, printed = found
    listed = at_once("ls", "--bucket", str(bucket)).stdout
    assert "comparison/cut@" in listed and "complete" in listed and "measurements" in listed
    shown = at_once("show", printed["key"], "--bucket", str(bucket))
    assert shown.returncode == 0 and printed["answer"] in shown.stdout


def test_what_is_damaged_is_named_and_mended(copied: Path, found: Found, at_once: Command) -> None:
    folder, record = report_in(copied)
    damaged = (
        copied / report_page_key(folder),
        next(copied.glob("reports/*/digits@*/features@*/features/strokes/*.parquet")),
        copied / folder / str(record.contents.classes[0].channels[0].sprite),
        next(copied.glob("reports/*/digits@*/cut@*/scores/parts.json")),
    )
    whole = check_damage(
        copied,
        damaged,
        lambda: stored_comparison(LocalBucket(copied), folder),
        lambda: cut(at_once, found[1], copied).returncode,
        at_once,
    )
    for path, data in whole:
        # The page names the bucket in its commands.
        mended = path.read_bytes().replace(str(copied).encode(), str(found[0]).encode())
        assert TIMES.sub(b"", mended) == TIMES.sub(b"", data), path


def test_a_search_that_is_killed_ends_like_an_undisturbed_one(
    found: Found, place: Path, tmp_path: Path, at_once: Command
) -> None:
    bucket = tmp_path / "bucket"
    shutil.copytree(place / "bucket" / "models", bucket / "models")
    command = [sys.executable, "-m", "diamond_cutter.flows.cli.main", "cut", str(found[1])]
    process = subprocess.Popen(
        [*command, "--bucket", str(bucket), *OPTIONS],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: [*bucket.glob("reports/*/digits@*/*@*/scores/*.json")] or None)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not [*bucket.glob("reports/*/comparison/cut@*/report.json")]
    assert cut(at_once, found[1], bucket).returncode == 0
    assert contents_of(bucket) == contents_of(found[0])
    ours, theirs = (report_in(each)[1].contents for each in (bucket, found[0]))
    assert ours.trained == theirs.trained and ours.regret == theirs.regret
    assert ours.confusion_best == theirs.confusion_best


def test_models_that_cannot_be_used_are_named_and_cost_the_others_nothing(
    copied: Path, found: Found, at_once: Command
) -> None:
    done = cut(at_once, found[1], copied, "--models", "digits", "no-such-model")
    assert done.returncode == 1
    printed = json.loads(done.stdout)
    assert {row["model"] for row in printed["rows"]} == {"digits"}
    assert len(printed["skipped"]) == 1 and "no-such-model" in printed["skipped"][0]


@pytest.mark.parametrize(
    ("classes", "each", "options", "words"),
    [
        ((1,), 9, (), "expected at least two classes, found one"),
        ((1, 4), 3, ("--folds", "5"), "has too few images: expected at least 5 for 5 folds"),
        ((1, 4), 9, ("--models", "no-such-model"), "no-such-model"),
        ((1, 4), 9, ("--layers", "no-such-layer"), "no-such-layer"),
        ((1, 4), 9, ("--pooling", "median"), "pooling"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(
    classes: tuple[int, ...],
    each: int,
    options: tuple[str, ...],
    words: str,
    place: Path,
    tmp_path: Path,
    at_once: Command,
) -> None:
    images = write_digits(tmp_path / "images", classes, each)
    done = cut(at_once, images, place / "bucket", *options)
    assert done.returncode == 2 and words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stdout == ""


def test_a_class_without_readable_images_is_named(
    place: Path, copied: Path, tmp_path: Path, at_once: Command
) -> None:
    images = write_digits(tmp_path / "images", (1, 4), 8)
    for path in (images / "digit 4").iterdir():
        path.write_bytes(b"nothing")
    done = cut(at_once, images, copied)
    assert done.returncode == 2
    assert "class 'digit 4' has no readable image" in done.stderr


def test_a_layer_whose_features_are_not_finite_is_left_out(
    copied: Path, found: Found, at_once: Command
) -> None:
    from diamond_cutter.tasks.features.stored import FeaturesRecord, put_features

    bucket = LocalBucket(copied)
    (path,) = copied.glob("reports/*/digits@*/features@*/features/*.json")
    folder = f"{path.parent.parent.relative_to(copied)}/"
    record = FeaturesRecord.from_bytes(path.read_bytes(), str(path))
    values = np.full((len(record.numbers), 16), np.nan, np.float32)
    made = put_features(bucket, folder, range(record.first, record.images), {"strokes": values})
    path.write_bytes(record.model_copy(update={"layers": {**record.layers, **made}}).to_bytes())
    shutil.rmtree(next(copied.glob("reports/*/digits@*/cut@*")))
    shutil.rmtree(next(copied.glob("reports/*/comparison")))
    done = cut(at_once, found[1], copied, "--train", "0", "--channels", "0")
    printed = json.loads(done.stdout)
    assert done.returncode == 1 and "strokes" not in {row["layer"] for row in printed["rows"]}
    assert "layer strokes of digits was left out" in printed["skipped"][0]


def test_a_split_of_the_users_own_is_kept(
    place: Path, copied: Path, tmp_path: Path, at_once: Command
) -> None:
    write_digits(tmp_path / "images" / "train", (1, 4), 10)
    write_digits(tmp_path / "images" / "test", (1, 4), 6, first=10)
    done = cut(at_once, tmp_path / "images", copied, "--train", "0", "--channels", "0")
    assert done.returncode == 0, done.stderr
    record = CutReportRecord.from_bytes(
        (copied / json.loads(done.stdout)["key"] / "report.json").read_bytes(), ""
    )
    facts = record.contents.facts
    assert (facts.given_split, facts.scored, facts.tested) == (True, 20, 12)
    assert [one.name for one in record.contents.classes] == ["digit 1", "digit 4"]


def test_stored_scores_are_those_of_the_rows(found: Found) -> None:
    bucket, _, printed = found
    for path in bucket.glob("reports/*/digits@*/cut@*/scores/*.json"):
        record = ScoresRecord.from_bytes(path.read_bytes(), str(path))
        row = next(row for row in printed["rows"] if row["layer"] == record.layer)
        assert record.scores is not None
        assert row["probe"] == record.scores.probe.accuracy
        assert row["knn"] == record.scores.knn_10
