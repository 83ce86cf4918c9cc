"""Models of one unit, from the file to the report."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.report_keys import report_key
from diamond_cutter.tasks.pages.scripts import read_script
from diamond_cutter.tasks.reporting.contents import (
    ReportContents,
    ReportRecord,
)
from diamond_cutter.tasks.reporting.page_data import ImageList
from tests.flows.conftest import SMALL, Command
from tests.flows.labelled_digits import write_digits
from tests.users_models import one_unit_model

pytestmark = pytest.mark.prefect
OPTIONS = ("--layers", "parts", "--channels", "2", "--groups", "2", *SMALL)


class Place(NamedTuple):
    """A bucket with two models of one unit, and a folder with images of two digits."""

    bucket: Path
    images: Path


@pytest.fixture(scope="module")
def place(at_once: Command, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return a bucket with the models `eight`, without labels, and `ink`, a regression."""
    folder = tmp_path_factory.mktemp("heads")
    for name, options in (("eight", ()), ("ink", ("--regression",))):
        path = one_unit_model(folder / f"{name}.keras", regression=name == "ink")
        added = at_once(
            *("models", "add", str(path), "--name", name, "--value-range", "0", "1", *options),
            *("--bucket", str(folder / "bucket")),
        )
        assert added.returncode == 0, added.stderr
    return Place(folder / "bucket", write_digits(folder / "digits", (3, 8), 15, first=140))


def explain(at_once: Command, place: Place, *arguments: str) -> tuple[dict[str, Any], str]:
    """Explain the images by a model; return the summary as data, and as text."""
    command = ("attribute", arguments[0], str(place.images), *arguments[1:], *OPTIONS)
    where = ("--bucket", str(place.bucket))
    done = at_once(*command, *where, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), at_once(*command, *where).stdout


def contents_of(place: Place, summary: dict[str, Any]) -> tuple[ReportContents, ImageList]:
    bucket, folder = LocalBucket(place.bucket), summary["key"]
    contents = ReportRecord.from_bytes(bucket.get(report_key(folder)), folder).contents
    _name, listed = read_script(bucket.get(f"{folder}{contents.shown}"))
    return contents, ImageList.model_validate(listed)


def test_one_score_is_explained_as_two_classes(at_once: Command, place: Place) -> None:
    summary, text = explain(at_once, place, "eight")
    contents, listed = contents_of(place, summary)
    assert contents.head == "two classes" and contents.spec.classes_by_label
    assert [known.name for known in contents.classes] == ["digit 3", "digit 8"]
    assert contents.accuracy is not None and contents.accuracy.top1 > 0.8
    wrong = sum(image.right is False for image in listed.images)
    assert contents.accuracy.wrong == wrong
    assert (
        "one score decides between digit 3 and digit 8: digit 8 if its probability is above 0.5"
    ) in text
    assert f"of 30 images whose label is a class, and wrong about {wrong}\n" in text
    assert "its classes 0 and 1 are taken to be the labels" in text and "top five" not in text


def test_the_threshold_decides_which_are_wrong(at_once: Command, place: Place) -> None:
    summary, text = explain(at_once, place, "eight", "--threshold", "0.999999")
    contents, listed = contents_of(place, summary)
    assert {image.predicted for image in listed.images} == {0}
    assert contents.accuracy is not None and contents.accuracy.wrong == 15
    assert "above 0.999999" in text and "wrong about 15" in text


def test_a_regression_has_values_and_no_accuracy(at_once: Command, place: Place) -> None:
    summary, text = explain(at_once, place, "ink")
    contents, listed = contents_of(place, summary)
    assert contents.head == "values" and contents.accuracy is None
    assert contents.values is not None and 1 < contents.values.mean < 5
    values = [image.value for image in listed.images]
    assert all(value is not None for value in values)
    assert contents.values.highest == max(value for value in values if value is not None)
    assert "explained by ink@" in text and ": the value, by gradient" in text
    assert "the values are" in text and "right about" not in text


def test_both_classes_of_one_score_have_sprites(at_once: Command, place: Place) -> None:
    where = ("--bucket", str(place.bucket), "--json")
    done = at_once("sprites", "eight", "--layers", "logits", *where, *SMALL)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rendered"] == 2


def test_models_show_and_add_tell_the_head(at_once: Command, place: Place) -> None:
    where = ("--bucket", str(place.bucket))
    assert (
        "head: two classes by one score; layer logits"
        in at_once("models", "show", "eight", *where).stdout
    )
    assert "head: 1 value; layer" in at_once("models", "show", "ink", *where).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--head", "scores"], "head 'scores' is not an output of the model"),
        (["--labels", "three.txt"], "expected 2, one for each class, found 3"),
        (["--labels", "numbered.txt"], "line 3 is not numbered like the first"),
    ],
)
def test_what_cannot_be_added_is_one_sentence(
    at_once: Command, place: Place, arguments: list[str], said: str
) -> None:
    folder = place.bucket.parent
    (folder / "three.txt").write_text("a\nb\nc\n")
    (folder / "numbered.txt").write_text("0 a\n1 b\n3 c\n")
    given = [str(folder / each) if each.endswith(".txt") else each for each in arguments]
    done = at_once(
        *("models", "add", str(folder / "eight.keras"), "--name", "other", *given),
        *("--value-range", "0", "1", "--bucket", str(place.bucket)),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr
