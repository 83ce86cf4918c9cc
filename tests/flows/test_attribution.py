"""Folders of images explained, as a user asks for it."""

import base64
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from PIL import Image

from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.report_artifact import escaped, report_markdown
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.flows.sprites_summary import RunSummary, SpritesFailed, SpritesSummary
from diamond_cutter.flows.verification import verify
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import (
    is_run_execution,
    is_shard_record,
    is_spritemap_record,
    is_view_record,
    view_record_key,
)
from diamond_cutter.storage.sets.records import ImagesRecord, PhotoActivations
from diamond_cutter.storage.sets.report_keys import (
    details_key,
    methods_key,
    report_key,
    report_page_key,
)
from diamond_cutter.tasks.attribution.method_choice import MethodsRecord
from diamond_cutter.tasks.importing.stored import keep_bundle
from diamond_cutter.tasks.reporting.contents import (
    DetailsRecord,
    ReportRecord,
)
from tests.flows.conftest import SMALL, Command
from tests.flows.damages import DAMAGES
from tests.flows.explained_images import GOOD, HOSTILE, REFUSED, make_images
from tests.flows.wide_network import CHANNELS, wide_network
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

TIMES = re.compile(rb'"(seconds|started|finished|created)": [^,\n]*,?')
Explained = tuple[Path, Path, dict[str, Any]]
OPTIONS = (
    *("--layers", "one", "two", "--channels", "4", "--groups", "2", "--steps", "4"),
    *SMALL,
)


@pytest.fixture(scope="module")
def explained(at_once: Command, tmp_path_factory: pytest.TempPathFactory) -> Explained:
    """Return a bucket with a report, the folder of its images, and what the command printed; copy
    it before changing it.
    """
    place = tmp_path_factory.mktemp("explained")
    images = make_images(place / "pets")
    keep_bundle(str(place / "bucket"), wide_network())
    done = at_once(
        "attribute",
        "wide",
        str(images),
        *OPTIONS,
        "--bucket",
        str(place / "bucket"),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    return place / "bucket", images, json.loads(done.stdout)


@pytest.fixture
def copied(explained: Explained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(explained[0], tmp_path / "bucket"))


def files(bucket: Path) -> dict[str, tuple[int, int]]:
    found = (path for path in bucket.rglob("*") if path.is_file() and ".staging" not in path.parts)
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}


def report_in(bucket: Path) -> tuple[str, ReportRecord]:
    (page,) = bucket.glob("reports/*/*/*/report.json")
    folder = f"{page.parent.relative_to(bucket)}/"
    return folder, ReportRecord.from_bytes(page.read_bytes(), report_key(folder))


def test_good_images_are_explained_and_bad_ones_named(explained: Explained) -> None:
    bucket, _, summary = explained
    folder, record = report_in(bucket)
    contents = record.contents
    assert summary["key"] == folder and summary["page"].endswith(report_page_key(folder))
    assert (summary["images"], contents.images, contents.labels) == (GOOD, GOOD, "folders")
    refused = {bad["name"].rpartition("/")[2]: bad["reason"] for bad in summary["refused"]}
    assert set(refused) == set(REFUSED) and all(refused.values())
    assert (
        contents.accuracy is not None and contents.accuracy.images == GOOD // 2
    )  # "not a class" is none
    assert [layer.name for layer in contents.layers] == ["one", "two"]
    assert [found.kind for found in contents.sets][:3] == ["all", "label", "label"]
    for layer in contents.layers:
        assert layer.top and layer.bottom and layer.sprites is not None
        assert layer.top[0].attribution > 0 > layer.bottom[0].attribution
        assert len(layer.groups) == 2 and layer.group_sprites is not None
    assert [flow.layer for flow in contents.flows] == ["one"]


def test_a_report_begins_with_its_answer(explained: Explained) -> None:
    bucket, _, summary = explained
    folder, record = report_in(bucket)
    contents = record.contents
    assert summary["finding"] == f"{contents.finding} {contents.belief}" and re.search(
        r"\b(one|two)\b", contents.finding
    )
    assert contents.command.startswith("diamond-cutter attribute wide pets --layers")
    assert contents.versions is not None and contents.created and str(bucket) not in str(contents)
    chosen = MethodsRecord.from_bytes((bucket / methods_key(folder)).read_bytes(), "methods.json")
    methods = {layer.layer: layer.method for layer in chosen.layers}
    for layer in contents.layers:
        assert layer.method == methods[layer.name] and layer.checks.verdict and layer.checks.reason
        # The first screen has its sprites, though --channels is lower.
        assert contents.sets[0].mixes_questions and layer.by_set
        first_screen = [found for shown in layer.by_set for found in shown.top]
        assert all(found.sprite is not None for found in first_screen)
    assert len(contents.annotated) == 3
    by_name = {layer.name: layer for layer in contents.layers}
    for image in contents.annotated:
        layer = by_name[image.layer]
        assert image.sprite is not None and 0 <= image.cell < layer.height * layer.width
        assert len(image.caption.split()) <= 20


def test_prefect_s_artifact_shows_the_finding_and_a_picture(explained: Explained) -> None:
    bucket, _, summary = explained
    _, record = report_in(bucket)
    place = LocalBucket(bucket)
    shown = ReportSummary.model_validate(summary)
    text = report_markdown(place, shown, record.contents)
    encoded = re.search(r"\]\(data:image/webp;base64,([^)]+)\)", text)
    assert encoded is not None
    picture = Image.open(io.BytesIO(base64.b64decode(encoded[1])))
    assert picture.format == "WEBP" and picture.size == (3 * 240 + 2 * 12, 240)
    assert text.startswith(f"## {escaped(record.contents.finding)}")
    assert f"diamond-cutter open {shown.key} --bucket" in text
    place.url = "gs://a bucket/place"
    linked = report_markdown(place, shown, record.contents)
    assert f"storage/browser/a%20bucket/place/{quote(shown.key).rstrip('/')})" in linked


def test_all_that_a_report_names_is_there(explained: Explained, at_once: Command) -> None:
    bucket, _, _ = explained
    folder, record = report_in(bucket)
    named = [file.key for file in record.files]
    details = DetailsRecord.from_bytes(
        (bucket / details_key(folder)).read_bytes(), details_key(folder)
    )
    assert sorted(details.shown) == list(range(len(details.shown))) or len(details.shown) == GOOD
    named += [file.key for file in details.files]
    there = {info.key for info in LocalBucket(bucket).list(folder)}
    page = report_page_key(folder)
    records = {
        report_key(folder),
        details_key(folder),
        page,
        view_record_key(page),
        *record.records,
    }
    tables = {
        ImagesRecord.from_bytes((bucket / key).read_bytes(), key).file
        for key in record.records
        if "/images/" in key
    }
    assert there == {*named, *records, *(table.key for table in tables if table)}
    assert "<script>alert" not in (bucket / page).read_text()
    done = at_once("verify", "--bucket", str(bucket))
    assert done.returncode == 0, done.stdout


def test_tables_say_what_the_report_says(explained: Explained) -> None:
    bucket, _, _ = explained
    folder, record = report_in(bucket)
    tables = {
        table.title: pd.read_parquet(bucket / folder / table.file)
        for table in record.contents.tables
    }
    assert {title: len(table) for title, table in tables.items()} == {
        table.title: table.rows for table in record.contents.tables
    }
    assert len(tables["images"]) == GOOD and f"goldfish/{HOSTILE}".replace("\\", "\\\\") in set(
        tables["images"]["name"]
    )
    channels = tables["channels"]
    everything = channels[(channels["set_kind"] == "all") & (channels["layer"] == "two")].set_index(
        "channel"
    )
    for found in record.contents.layers[1].top:
        assert everything["attribution_mean"][found.channel] == pytest.approx(
            found.attribution, rel=1e-3
        )
    assert set(tables["groups"]["layer"]) == {"one", "two"}
    assert tables["examples"]["image"].between(0, GOOD + len(REFUSED)).all()


def test_only_the_sprites_that_a_report_needs_are_rendered(explained: Explained) -> None:
    bucket, _, _ = explained
    keys = [info.key for info in LocalBucket(bucket).list("sprites/") if is_shard_record(info.key)]
    layers = {key.split("/")[3].partition(".")[0] for key in keys}
    assert layers == {"one", "two", "mixes"}
    (photos,) = bucket.glob("models/*/photos/*/two.json")
    measured = PhotoActivations.from_bytes(photos.read_bytes(), str(photos))
    assert measured.images == GOOD and len(measured.highest) == CHANNELS["two"]


def test_the_same_again_writes_nothing(
    explained: Explained, copied: Path, at_once: Command, only_read: None
) -> None:
    before = files(copied)
    done = at_once(
        "attribute",
        "wide",
        str(explained[1]),
        *OPTIONS,
        "--bucket",
        str(copied),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reused"] is True
    assert files(copied) == before
    done = at_once(
        "attribute",
        "wide",
        str(explained[1]),
        *OPTIONS,
        "--shown",
        "3",
        "--bucket",
        str(copied),
    )
    assert (done.returncode, done.stderr) == (
        2,
        "diamond-cutter: Not allowed to keep objects here. Give another folder.\n",
    )


def test_a_report_that_was_damaged_is_mended_from_what_was_measured(
    explained: Explained, copied: Path, at_once: Command
) -> None:
    folder, record = report_in(copied)
    measured = {path: path.read_bytes() for path in (copied / folder / "images").glob("0*-*.*")}
    (copied / next(file.key for file in record.files if "/patches." in file.key)).unlink()
    (copied / report_page_key(folder)).unlink()
    done = at_once("attribute", "wide", str(explained[1]), *OPTIONS, "--bucket", str(copied))
    assert done.returncode == 0, done.stderr
    assert (copied / report_page_key(folder)).is_file() and report_in(copied)[
        1
    ].contents == record.contents
    assert {path: path.read_bytes() for path in measured} == measured
    assert at_once("verify", "--bucket", str(copied)).returncode == 0


def contents(bucket: Path) -> dict[str, bytes]:
    """Return all files, records without the times that they tell."""
    keys = [info.key for info in LocalBucket(bucket).list() if not is_run_execution(info.key)]
    found = {key: LocalBucket(bucket).get(key) for key in keys}
    return {
        key: TIMES.sub(b"", data) if key.endswith(".json") else data for key, data in found.items()
    }


def kind_of(key: str) -> str:
    """Return a name without what differs from file to file of a kind."""
    layer = re.sub(r"/(layers|[^/]*@[0-9a-f]{8})/(one|two|mixes\.[0-9a-f]{8})/", r"/\1/*/", key)
    return re.sub(r"[0-9a-f]{8,16}|[0-9]{5}|(?<=page-)[0-9]+", "*", layer)


def test_all_that_is_published_and_damaged_is_named_and_mended_by_the_same_command(
    explained: Explained, copied: Path, at_once: Command
) -> None:
    bucket, sound = LocalBucket(copied), contents(copied)
    shards = {
        str(path.relative_to(copied))
        for path in copied.glob("sprites/*/*/*/*")
        if path.name[0] == "0"
    }
    of_each_kind = {
        kind_of(key): key
        for key in sorted(sound)
        if not key.startswith("models/") and key not in shards and not is_outdated(key, sound)
    }
    assert len(of_each_kind) > 25, of_each_kind
    damages = dict(zip(of_each_kind.values(), itertools.cycle(DAMAGES.values()), strict=False))
    for key, damage in damages.items():
        data = bucket.get(key)
        for damaged in {damage(data), None}:
            put(bucket, key, damaged)
            found = [problem.key for problem in verify(bucket).problems]
            of_a_run = damaged is None and is_spritemap_record(key) and "/runs/" in found[0]
            assert found == (
                [] if damaged is None and unnamed(key) else found if of_a_run else [key]
            ), key
        put(bucket, key, data)
    for key, damage in damages.items():
        put(bucket, key, damage(bucket.get(key)))
    done = at_once(
        "attribute",
        "wide",
        str(explained[1]),
        *OPTIONS,
        "--bucket",
        str(copied),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    mended = contents(copied)
    assert {key for key in sound | mended if sound.get(key) != mended.get(key)} == set()
    assert verify(bucket).problems == ()


def is_outdated(key: str, sound: dict[str, bytes]) -> bool:
    """Tell whether a file of words is of the gallery before the report; `gc` deletes it."""
    words = re.fullmatch(r"(sprites/[^/]*/[^/]*/)(gallery\.[0-9a-f]{16})\.js(?:on)?", key)
    return words is not None and words[2].encode() not in sound[f"{words[1]}index.html"]


def put(bucket: LocalBucket, key: str, data: bytes | None) -> None:
    if data is None:
        bucket.delete(key)
    else:
        bucket.put(key, data, mode="overwrite")


def unnamed(key: str) -> bool:
    """Tell whether nothing names a file: without a commit a run has not ended, and without its
    record a page is judged by its form.
    """
    return is_view_record(key) or "/runs/" in key or key.endswith("/report.json")


def test_sprites_that_fail_are_said_to_lack_and_tried_again(
    explained: Explained, copied: Path, at_once: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = report_in(copied)
    (copied / report_key(folder)).unlink()
    for layer in copied.glob("sprites/*/*/two"):
        shutil.rmtree(layer)
    arguments = (
        "attribute",
        "wide",
        str(explained[1]),
        *OPTIONS,
        "--bucket",
        str(copied),
    )

    def broken(request: SpritesRequest) -> None:
        raise SpritesFailed(SpritesSummary(models=(failed_summary(request),), skipped=()))

    with monkeypatch.context() as while_broken:
        while_broken.setattr("diamond_cutter.flows.report_sprites.sprites", broken)
        done = at_once(*arguments)
    assert done.returncode == 1 and "the report lacks sprites" in done.stdout
    assert report_in(copied)[1].lacks and (copied / report_page_key(folder)).is_file()
    done = at_once(*arguments)
    assert done.returncode == 0, done.stderr
    record = report_in(copied)[1]
    assert record.lacks == () and record.contents.layers[1].sprites is not None


def failed_summary(request: SpritesRequest) -> RunSummary:
    nothing = {
        "spritemaps": {},
        "flagged": {},
        "rungs": {},
        "dead": {},
        "unrendered": {},
        "photos": None,
        "sprites_per_second": None,
    }
    counts = {
        "rendered": 0,
        "reused": 0,
        "failed": 4,
        "warnings": (),
        "failures": ("two channels 1-4: it broke",),
    }
    return RunSummary.model_validate(
        {"model": request.model, "recipe": "fast", "bucket": request.bucket, **nothing, **counts}
    )


def test_a_killed_run_is_finished_by_the_same_command(
    explained: Explained, tmp_path: Path, at_once: Command
) -> None:
    bucket, arguments = (
        tmp_path / "bucket",
        ["attribute", "wide", str(explained[1]), *OPTIONS],
    )
    shutil.copytree(explained[0] / "models", bucket / "models")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "diamond_cutter.flows.cli.main",
            *arguments,
            "--bucket",
            str(bucket),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(
        lambda: list(bucket.glob("reports/*/*/*/images/*-*.json")) or process.poll() is not None
    )
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.read_bytes() for path in bucket.glob("reports/*/*/*/images/*-*.json")}
    assert kept and not list(bucket.glob("reports/*/*/*/report.json"))
    done = at_once(*arguments, "--bucket", str(bucket))
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in kept} == kept
    assert differences(explained[0], bucket) == set()
    # Now as if killed right after a layer's last shard: it has no spritemap, and nothing is
    # published.
    folder, _ = report_in(bucket)
    deeper = next(bucket.glob("sprites/*/*/two"))
    for path in (
        *deeper.glob("spritemap.*"),
        *deeper.glob("gallery.*"),
        *deeper.parent.glob("runs/*"),
        *deeper.parent.glob("index.*"),
    ):
        path.unlink()
    (bucket / report_key(folder)).unlink()
    assert at_once(*arguments, "--bucket", str(bucket)).returncode == 0
    assert differences(explained[0], bucket) == set()
    assert at_once("verify", "--bucket", str(bucket)).returncode == 0


def differences(one: Path, other: Path) -> set[str]:
    """Return the files that differ in more than times, and than what follows from times: the sums
    of the records in the index.
    """
    found, expected = contents(one), contents(other)
    for root, files in ((one, found), (other, expected)):
        (index,) = root.glob("sprites/*/*/index.parquet")
        key = str(index.relative_to(root))
        files[key] = pd.read_parquet(index).drop(columns="record_crc32c").to_json().encode()
        del files[f"{key}.json"]
    return {key for key in found | expected if found.get(key) != expected.get(key)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--class", "goldfsh"], "did you mean 'goldfish'"),
        (["--class", "5"], "expected 0 to 4"),
        (["--class", "goldfish", "--against", "1"], "compared with itself"),
        (["--layers", "twoo"], "did you mean"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    explained: Explained, at_once: Command, arguments: list[str], said: str
) -> None:
    done = at_once(
        "attribute",
        "wide",
        str(explained[1]),
        *arguments,
        "--bucket",
        str(explained[0]),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr


def test_a_folder_without_a_good_image_is_an_error(
    copied: Path, tmp_path: Path, at_once: Command
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_text("no image")
    done = at_once(
        "attribute",
        "wide",
        str(tmp_path / "images"),
        *OPTIONS,
        "--bucket",
        str(copied),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "all 1 images in" in done.stderr and "a.png" in done.stderr


def test_a_report_is_shown_listed_and_opened(
    explained: Explained, at_once: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    bucket, _, summary = explained
    shown = at_once("show", summary["key"], "--bucket", str(bucket))
    assert shown.returncode == 0 and "10 images of pets@" in shown.stdout and "one" in shown.stdout
    listed = json.loads(at_once("ls", "--bucket", str(bucket), "--json").stdout)
    (report,) = listed["reports"]
    assert (report["key"], report["complete"], report["images"]) == (summary["key"], True, GOOD)
    opened = at_once("open", summary["key"], "--bucket", str(bucket))
    assert opened.stdout.strip().endswith("index.html")


def test_a_report_is_copied_cleaned_and_removed(
    explained: Explained, copied: Path, tmp_path: Path, at_once: Command
) -> None:
    folder, _ = report_in(copied)
    target = tmp_path / "target"
    done = at_once("cp", str(copied), str(target), "reports/")
    assert done.returncode == 0, done.stderr
    assert {info.key for info in LocalBucket(target).list()} == {
        info.key for info in LocalBucket(copied).list("reports/")
    }
    left_over = target / folder / "images" / "00099.0123456789abcdef.webp"
    left_over.write_bytes(b"of a killed run")
    os.utime(left_over, (0, 0))
    done = at_once("gc", "--bucket", str(target), "--delete", "--json")
    assert [found["key"] for found in json.loads(done.stdout)["leftovers"]] == [
        str(left_over.relative_to(target))
    ]
    assert not left_over.exists() and at_once("verify", "--bucket", str(target)).returncode == 0
    assert at_once("rm", folder, "--yes", "--bucket", str(target)).returncode == 0
    assert list(LocalBucket(target).list()) == []


def test_a_damaged_file_of_a_report_is_found(copied: Path, at_once: Command) -> None:
    _, record = report_in(copied)
    spoilt = next(file.key for file in record.files if "/patches." in file.key)
    (copied / spoilt).write_bytes(b"rubbish")
    done = at_once("verify", "--bucket", str(copied), "--json")
    assert done.returncode == 1
    assert [found["key"] for found in json.loads(done.stdout)["problems"]] == [spoilt]
