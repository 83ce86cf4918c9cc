"""`models check` and reports find out that a model was added with a wrong preprocessing."""

import json
from pathlib import Path

import pytest

from tests.flows.conftest import SMALL, Command
from tests.flows.labelled_digits import write_digits
from tests.users_models import digits_model

pytestmark = [pytest.mark.slow, pytest.mark.prefect]


def test_a_wrong_preprocessing_is_said_with_the_command_that_corrects_it(
    at_once: Command, tmp_path: Path
) -> None:
    path, folder = (
        digits_model(tmp_path / "digits.keras"),
        write_digits(tmp_path / "all", range(10), 8),
    )
    where = ("--bucket", str(tmp_path / "bucket"))
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"digit {number}" for number in range(10)))
    add = ("models", "add", str(path), "--labels", str(labels), *where)
    assert at_once(*add, "--name", "wrong", "--value-range", "5", "6").returncode == 0
    assert at_once(*add, "--name", "right", "--value-range", "0", "1").returncode == 0

    done = at_once("models", "check", "wrong", str(folder), "--most-images", "60", *where)
    assert done.returncode == 1, done.stderr
    command = "diamond-cutter models add digits.keras --name wrong-"
    assert command in done.stdout and "McNemar" in done.stdout
    done = at_once("models", "check", "right", str(folder), *where, "--json")
    assert done.returncode == 0, done.stderr
    check = json.loads(done.stdout)["check"]
    assert check["own"]["options"] == "--value-range 0 1" and check["better"] is None
    assert check["images"] == 80 and check["own"]["accuracy"]["share"] > 0.8

    report = ("--layers", "parts", "--channels", "0", "--groups", "0", "--json", *where, *SMALL)
    done = at_once("attribute", "wrong", str(folder), *report)
    assert done.returncode == 0, done.stderr
    note = json.loads(done.stdout)["preprocessing"]
    assert note["warns"] and command in note["text"]

    others = write_digits(tmp_path / "others", range(1), 1)
    (others / "digit 0").rename(others / "zero")
    done = at_once("models", "check", "right", str(others), *where)
    assert done.returncode == 2
    assert "there is nothing to check: expected labels that are classes of" in done.stderr
