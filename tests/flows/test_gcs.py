"""Runs on Google Cloud Storage: the command line against a strict server, through faults, kills and
company.
"""

import json
import os
import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import faulted_bucket
from diamond_cutter.tasks.importing.stored import keep_bundle
from tests.flows.conftest import SMALL, Command, small
from tests.flows.explained_images import make_images
from tests.flows.labelled_digits import write_digits
from tests.flows.wide_network import wide_network
from tests.storage.gcs_server import GcsServer

pytestmark = pytest.mark.prefect


def test_every_command_takes_a_bucket_of_google_cloud_storage(
    gcs_place: GcsServer,
    at_once: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = ("--bucket", "gs://place/team")
    asked = ("efficientnet-lite0", "--layers", "stem", "--channels", "0:4", *SMALL, *bucket)
    rendered = at_once("sprites", *asked, "--json")
    assert rendered.returncode == 0, rendered.stderr
    summary = json.loads(rendered.stdout)
    assert (summary["bucket"], summary["rendered"]) == ("gs://place/team", 4)
    assert all(name.startswith("team/") for name in gcs_place.buckets["place"])

    generations = {name: stored.generation for name, stored in gcs_place.buckets["place"].items()}
    again = at_once("sprites", *asked, "--json")
    assert (again.returncode, json.loads(again.stdout)["reused"]) == (0, 4), again.stderr
    assert {
        name: stored.generation for name, stored in gcs_place.buckets["place"].items()
    } == generations

    with monkeypatch.context() as reader:
        reader.setattr(gcs_place, "granted", {"storage.objects.get", "storage.objects.list"})
        again = at_once("sprites", *asked, "--json")
        assert (again.returncode, json.loads(again.stdout)["reused"]) == (0, 4), again.stderr
        more = at_once("sprites", *("0:5" if option == "0:4" else option for option in asked))
        assert (more.returncode, more.stdout) == (2, "") and "roles/storage.objectUser" in " ".join(
            more.stderr.split()
        )

    planned = json.loads(at_once("plan", *asked, "--json").stdout)
    assert (planned["sprites_done"], planned["sprites_to_do"]) == (4, 0)
    (listed,) = json.loads(at_once("ls", *bucket, "--json").stdout)["sets"]
    assert [
        (layer["layer"], layer["sprites"], layer["channels"]) for layer in listed["layers"]
    ] == [("stem", 4, 32)]
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    folder = f"sprites/{listed['model']}/{listed['recipe']}/"
    assert json.loads(at_once("show", f"{folder}stem", *bucket, "--json").stdout)["sprites"] == 4
    opened = json.loads(at_once("open", f"{folder}stem", *bucket, "--json").stdout)
    assert Path(opened["path"]).read_bytes()[8:12] == b"WEBP"
    for deep in ((), ("--deep",)):
        verified = json.loads(at_once("verify", *deep, *bucket, "--json").stdout)
        assert verified["problems"] == [] and verified["records"] > 5
    copied = json.loads(at_once("cp", "gs://place/team", str(tmp_path / "copy"), "--json").stdout)
    assert copied["files"] == len(generations) and copied["problems"] == []
    assert json.loads(at_once("gc", *bucket, "--json").stdout)["leftovers"] == []
    assert at_once("rm", folder, *bucket).returncode == 2
    assert at_once("rm", folder, "--yes", *bucket).returncode == 0
    assert {name.split("/")[1] for name in gcs_place.buckets["place"]} == {"models"}
    assert gcs_place.unknown == []


def test_images_in_a_bucket_are_explained_into_a_bucket(
    gcs_place: GcsServer, at_once: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_images(tmp_path / "pets")
    for path in (images / "goldfish").iterdir():
        gcs_place.put("place", f"my pets/{path.name}", path.read_bytes())
    options = (
        "--layers",
        "head",
        "--channels",
        "0",
        "--groups",
        "0",
        "--bucket",
        "gs://place/team",
        "--json",
    )
    done = at_once("attribute", "efficientnet-lite0", "gs://place/my pets", *options)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["images"], summary["page"]) == (
        5,
        f"gs://place/team/{summary['key']}index.html",
    )
    assert {bad["name"] for bad in summary["refused"]} == {"empty.jpg", "notes.txt"}
    assert f"team/{summary['key']}report.json" in gcs_place.buckets["place"]
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    opened = at_once("open", summary["key"], "--bucket", "gs://place/team", "--json")
    page = Path(json.loads(opened.stdout)["path"])
    numbers = json.loads(re.findall(r'id="site">(.*?)</script>', page.read_text())[0])["layers"][0][
        "numbers"
    ]
    assert (page.parent / numbers).is_file() and list(page.parent.glob("images/*.webp"))
    assert not list(page.parent.glob("images/*.parquet")) and gcs_place.unknown == []


def test_images_in_a_bucket_are_classified_into_a_bucket(
    gcs_place: GcsServer, at_once: Command, tmp_path: Path
) -> None:
    for path in write_digits(tmp_path / "digits", (1, 4), 4).rglob("*.png"):
        name = f"my digits/{path.relative_to(tmp_path / 'digits')}"
        gcs_place.put("place", name, path.read_bytes())
    gcs_place.put("place", "my digits/digit 4/bad.png", b"")
    options = ("--layers", "stem", "--channels", "0", "--train", "0", "--folds", "2")
    where = ("--models", "efficientnet-lite0", "--bucket", "gs://place/team", "--json")
    done = at_once("cut", "gs://place/my digits", *where, *options)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["best"] == {"model": "efficientnet-lite0", "layer": "stem"}
    assert summary["report"] == f"gs://place/team/{summary['key']}index.html"
    assert f"team/{summary['key']}report.json" in gcs_place.buckets["place"]
    assert [bad["name"] for bad in summary["refused"]] == ["digit 4/bad.png"]
    assert gcs_place.unknown == []


def test_a_place_that_cannot_be_used_is_one_sentence(
    gcs_place: GcsServer, at_once: Command
) -> None:
    for command in (
        ["ls"],
        ["sprites", "efficientnet-lite0", "--layers", "stem", "--channels", "0:2"],
        ["verify"],
        ["models"],
    ):
        done = at_once(*command, "--bucket", "gs://no-such-place/team")
        assert done.returncode == 2
        assert (
            "the bucket gs://no-such-place does not exist. Correct its name, or create it"
            in " ".join(done.stderr.split())
        )
        assert "Traceback" not in done.stderr


def test_workers_that_meet_faults_kills_and_each_other_finish_one_run(
    at_once: Command,
    gcs_place: GcsServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The short form of the benchmark, which says in detail what is compared; every worker has to
    end well. Only workers are processes of their own.
    """
    make = gcs_place.make

    def make_with_model(bucket: str) -> None:
        make(bucket)
        keep_bundle(f"gs://{bucket}", wide_network())

    monkeypatch.setattr(gcs_place, "make", make_with_model)
    monkeypatch.setattr(faulted_bucket, "serving", lambda: nullcontext(gcs_place))
    monkeypatch.setattr(faulted_bucket, "run_alone", at_once)
    monkeypatch.setattr(faulted_bucket, "MODEL", "wide")
    monkeypatch.setattr(faulted_bucket, "LAYERS", ("one",))
    monkeypatch.setattr(faulted_bucket, "RECIPE", small(steps=100))
    monkeypatch.setattr(faulted_bucket, "LATEST_S", 10.0)
    for name in ("PREFECT_HOME", "NO_PROXY", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(
            name, os.environ.get(name, "")
        )  # the script sets it, and it is to be set back
    with pytest.raises(SystemExit) as ended:
        faulted_bucket.main(workers=2, kills=1)
    assert ended.value.code == 0, capsys.readouterr().out
