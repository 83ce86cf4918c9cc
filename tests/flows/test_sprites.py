"""Whole runs on a real network, as a user starts them."""

import io
import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.executions import executions_of
from diamond_cutter.storage.sets.layout import is_run_record, is_shard_record
from diamond_cutter.storage.sets.records import (
    PhotoActivations,
    RunRecord,
    ShardRecord,
    SpritemapRecord,
)
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import render_and_commit
from diamond_cutter.tasks.rendering.subjects import Mixes
from tests.flows import broken_rendering
from tests.flows.conftest import SMALL, Command
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

SMALL_RECIPE = RenderRecipe(size_px=32, steps=4, ladder=(), input_sides=1)
Rendered = tuple[Path, dict[str, Any]]


@pytest.fixture
def copied(rendered: Rendered, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered[0], tmp_path / "bucket"))


@pytest.fixture
def sprites_of(at_once: Command) -> Callable[..., dict[str, Any]]:
    def run(bucket: Path, *arguments: str) -> dict[str, Any]:
        done = at_once(
            "sprites", "efficientnet-lite0", "--bucket", str(bucket), "--json", *arguments, *SMALL
        )
        assert done.returncode == 0, done.stderr
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    return run


def files(bucket: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in bucket.rglob("*")
        if path.is_file()
    }


def keys(bucket: Path, *endings: str) -> list[str]:
    return [info.key for info in LocalBucket(bucket).list("sprites/") if info.key.endswith(endings)]


def test_what_is_there_can_be_asked_for_where_nothing_can_be_written(
    rendered: Rendered, at_once: Command, only_read: None
) -> None:
    options = ("--layers", "stem", "--bucket", str(rendered[0]), *SMALL)
    done = at_once("sprites", "efficientnet-lite0", "--channels", "0:8", *options, "--json")
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["reused"], json.loads(done.stdout)["failed"]) == (8, 0)
    done = at_once("sprites", "efficientnet-lite0", "--channels", "0:9", *options)
    refusal = "diamond-cutter: Not allowed to keep objects here. Give another folder.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", refusal)


def test_a_run_leaves_shards_spritemap_index_and_commit(rendered: Rendered) -> None:
    bucket, summary = LocalBucket(rendered[0]), rendered[1]
    assert (summary["rendered"], summary["reused"], summary["failed"]) == (8, 0, 0)
    assert summary["sprites_per_second"] > 0
    (shard_key,) = (info.key for info in bucket.list("sprites/") if is_shard_record(info.key))
    shard = ShardRecord.from_bytes(bucket.get(shard_key), shard_key)
    assert tuple(sprite.channel for sprite in shard.sprites) == tuple(range(8))
    assert shard.execution.startswith(("float32", "bfloat16"))
    assert shard.photos is None and {sprite.photo_ratio for sprite in shard.sprites} == {None}
    assert bucket.get(shard.file.key, want_crc=shard.file.crc32c)
    (map_key,) = keys(rendered[0], "spritemap.00000-00007.json")
    spritemap = SpritemapRecord.from_bytes(bucket.get(map_key), map_key)
    assert (spritemap.columns, spritemap.rows, spritemap.cell_px) == (2, 4, 32)
    assert spritemap.file.key == summary["spritemaps"]["stem"]
    with Image.open(io.BytesIO(bucket.get(spritemap.file.key))) as picture:
        assert picture.size == (64, 128)
    (page_key,) = keys(rendered[0], "/index.html")
    page, folder = bucket.get(page_key).decode(), page_key.removesuffix("index.html")
    gallery = [key.removeprefix(folder) for key in keys(rendered[0], ".js", ".css", ".svg")]
    gallery.remove("index.js")
    assert len(gallery) == 5 and all(name in page for name in gallery)
    (run_key,) = filter(is_run_record, keys(rendered[0], ".json"))
    run = RunRecord.from_bytes(bucket.get(run_key), run_key)
    assert (run.selection, run.shards, run.spritemaps, run.failures) == (
        {"stem": tuple(range(8))},
        (shard_key,),
        (map_key,),
        (),
    )
    index = pd.read_parquet(io.BytesIO(bucket.get(keys(rendered[0], "index.parquet")[0])))
    assert index["channel"].tolist() == list(range(8))
    assert index["objective"].tolist() == [sprite.objective for sprite in shard.sprites]


def test_the_same_command_again_renders_and_writes_nothing(
    copied: Path, sprites_of: Callable[..., dict[str, Any]]
) -> None:
    before = files(copied)
    summary = sprites_of(copied, "--layers", "stem", "--channels", "0:8")
    assert (summary["rendered"], summary["reused"]) == (0, 8)
    assert files(copied) == before


def test_a_larger_request_renders_only_the_rest(
    copied: Path, sprites_of: Callable[..., dict[str, Any]]
) -> None:
    before = files(copied)
    summary = sprites_of(copied, "--layers", "stem", "--channels", "1,6,20,9")
    assert (summary["rendered"], summary["reused"]) == (2, 2)
    changed = {path for path, stamp in before.items() if files(copied)[path] != stamp}
    assert {Path(path).name for path in changed} == {
        "index.parquet",
        "index.parquet.json",
        "index.html",
        "index.html.json",
        "index.js",
        "index.js.json",
    }
    (record,) = (key for key in keys(copied, ".json") if "/stem/00009-00020." in key)
    assert [
        sprite.channel
        for sprite in ShardRecord.from_bytes(LocalBucket(copied).get(record), record).sprites
    ] == [9, 20]


@pytest.mark.parametrize(("ending", "rendered_again"), [(".webp", 8), (".json", 8)])
def test_damaged_files_are_found_and_rendered_again(
    ending: str,
    rendered_again: int,
    rendered: Rendered,
    copied: Path,
    at_once: Command,
    sprites_of: Callable[..., dict[str, Any]],
) -> None:
    (key,) = (key for key in keys(copied, ending) if "/stem/00000-00007" in key)
    whole = (copied / key).read_bytes()
    (copied / key).write_bytes(whole[:100] + b"rubbish" + whole[107:])
    found = at_once("verify", "--bucket", str(copied), "--json")
    assert found.returncode == 1
    (record,) = (key for key in keys(rendered[0], ".json") if "/stem/00000-00007" in key)
    assert record in [problem["key"] for problem in json.loads(found.stdout)["problems"]]
    summary = sprites_of(copied, "--layers", "stem", "--channels", "0:8")
    assert (summary["rendered"], summary["failed"]) == (rendered_again, 0)
    assert at_once("verify", "--bucket", str(copied)).returncode == 0
    (shard,) = keys(copied, ".webp")[:1]
    assert (copied / shard).read_bytes() == (rendered[0] / shard).read_bytes()


def test_mixes_are_rendered_as_a_layer_of_their_name(
    copied: Path, at_once: Command, sprites_of: Callable[..., dict[str, Any]]
) -> None:
    before = set(files(copied))
    options = (
        "--mix",
        "0.5*stem:1 - block_0:2",
        "--interpolate",
        "stem:3",
        "stem:4",
        "--frames",
        "3",
    )
    summary = sprites_of(copied, *options)
    assert (summary["rendered"], summary["reused"], summary["failed"]) == (4, 0, 0)
    ((name, spritemap),) = summary["spritemaps"].items()
    bucket = LocalBucket(copied)
    (mixes_key,) = keys(copied, f"/{name}/mixes.json")
    mixes = Mixes.model_validate_json(bucket.get(mixes_key))
    assert [mix.label for mix in mixes.mixes] == [
        "0.5*stem:1 - block_0:2",
        "stem:3",
        "0.5*stem:3 + 0.5*stem:4",
        "stem:4",
    ]
    assert mixes.name == name
    (shard_key,) = keys(copied, f"/{name}/00000-00003.json")
    shard = ShardRecord.from_bytes(bucket.get(shard_key), shard_key)
    assert (shard.layer, [sprite.channel for sprite in shard.sprites]) == (name, [0, 1, 2, 3])
    with Image.open(io.BytesIO(bucket.get(spritemap))) as picture:
        assert picture.size == (64, 64)
    index = pd.read_parquet(io.BytesIO(bucket.get(keys(copied, "index.parquet")[0])))
    assert index["layer"].tolist() == ["stem"] * 8 + [name] * 4
    assert before < set(files(copied))
    again = sprites_of(copied, *options)
    assert (again["rendered"], again["reused"], again["spritemaps"]) == (
        0,
        4,
        summary["spritemaps"],
    )
    assert at_once("verify", "--bucket", str(copied)).returncode == 0


def test_classes_are_rendered_by_name(wide_bucket: Path, at_once: Command) -> None:
    names = ("--layers", "logits", "--channels", "rooster; Goldfish")
    done = at_once("sprites", "wide", *names, "--bucket", str(wide_bucket), "--json", *SMALL)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rendered"] == 2
    records = (key for key in keys(wide_bucket, ".json") if "/logits/00" in key)
    assert [key.rpartition("/")[2].split(".")[0] for key in records] == ["00001-00004"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "holiday"
    (folder / "sub").mkdir(parents=True)
    ramp = np.linspace(0, 255, 300).astype(np.uint8)
    Image.fromarray(np.stack([np.tile(ramp, (200, 1))] * 3, axis=2)).save(folder / "ramp.jpg")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)).save(
        folder / "sub" / "noise.png"
    )
    (folder / "broken.png").write_bytes(b"not an image")
    return folder


def test_photos_are_what_sprites_are_compared_with(
    copied: Path, photos: Path, at_once: Command
) -> None:
    small = ("--recipe.ladder", "seed", *SMALL[1:])
    arguments = (
        "sprites",
        "efficientnet-lite0",
        "--layers",
        "stem",
        "--channels",
        "3,11",
        "--photos",
        str(photos),
        "--bucket",
        str(copied),
    )
    done = at_once(*arguments, "--json", *small)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rendered"], summary["photos"]) == (2, 2)
    assert summary["warnings"] == [
        f"1 of 3 images in {photos} are unreadable and were skipped: broken.png"
    ]
    bucket = LocalBucket(copied)
    (key,) = (info.key for info in bucket.list("models/") if "/photos/" in info.key)
    record = PhotoActivations.from_bytes(bucket.get(key), key)
    assert (record.layer, record.images, record.unreadable, len(record.highest)) == (
        "stem",
        2,
        ("broken.png",),
        32,
    )
    (shard_key,) = (key for key in keys(copied, ".json") if "/stem/00003-00011." in key)
    shard = ShardRecord.from_bytes(bucket.get(shard_key), shard_key)
    third, eleventh = shard.sprites
    assert shard.photos == key
    assert third.photo_ratio == pytest.approx(
        (third.highest_activation or 0) / record.highest[3], abs=1e-3
    )
    # A channel of the stem whose weights are zeros.
    assert (eleventh.photo_ratio, eleventh.rung, record.highest[11], summary["dead"]) == (
        None,
        "none",
        0.0,
        {"stem": [11]},
    )

    written = files(copied)
    said = at_once(*arguments, *small)
    assert said.returncode == 0, said.stderr
    assert "dead channels, not active on any photo: 1 (stem 11)" in said.stdout
    assert "warning: 1 of 3 images" in said.stdout
    assert files(copied) == written


def test_photos_none_of_which_can_be_read_end_the_run(
    copied: Path, photos: Path, at_once: Command
) -> None:
    before = files(copied)
    for file in photos.rglob("*.*"):
        file.write_bytes(b"not an image")
    options = (
        "--layers",
        "stem",
        "--channels",
        "0:9",
        "--photos",
        str(photos),
        "--bucket",
        str(copied),
    )
    done = at_once("sprites", "efficientnet-lite0", *options, *SMALL)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"diamond-cutter: all 3 images in the folder {photos} are unreadable. The first is "
        "broken.png."
    ]
    assert files(copied) == before


def run_flow(
    bucket: Path,
    layers: tuple[str, ...],
    channels: str,
    rendering: object = render_and_commit,
    timeout_s: float = 300,
) -> Any:
    from diamond_cutter.flows.sprites import sprites

    asked = SpritesRequest(
        model="wide",
        layers=layers,
        channels=channels,
        bucket=str(bucket),
        recipe=SMALL_RECIPE,
        shard_timeout_s=timeout_s,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("diamond_cutter.tasks.rendering.task.render_and_commit", rendering)
        return sprites(asked).models[0]


@pytest.mark.usefixtures("server", "ready_devices")
def test_a_shard_that_keeps_failing_leaves_the_rest_intact(wide_bucket: Path) -> None:
    from diamond_cutter.flows.sprites_summary import SpritesFailed

    bucket = wide_bucket
    with pytest.raises(SpritesFailed) as failed:
        run_flow(bucket, ("two",), "0:40", broken_rendering.fail_on_second_shard)
    assert (
        "1 part of the run failed (two channels 32-39: the second shard cannot be rendered)"
        in str(failed.value)
    )
    assert [(each.rendered, each.failed) for each in failed.value.summary.models] == [(32, 8)]
    summary = run_flow(bucket, ("two",), "0:40")
    assert (summary.rendered, summary.reused, summary.failed) == (8, 32, 0)


@pytest.mark.usefixtures("server", "ready_devices")
def test_a_long_run_publishes_its_index_on_the_way(
    wide_bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diamond_cutter.flows import model_run

    bucket, publish, seen = wide_bucket, model_run.publish_index, list[int]()

    def published(*arguments: Any) -> str:
        key = str(publish(*arguments))
        seen.append(len(pd.read_parquet(bucket / key)))
        return key

    monkeypatch.setattr(model_run, "publish_index", published)
    monkeypatch.setattr(model_run, "INDEXED_TOGETHER", 1)
    assert run_flow(bucket, ("one", "two"), "0:4").rendered == 8
    assert len(seen) == 2 and 4 <= seen[0] <= 8 and seen[1] == 8


@pytest.mark.usefixtures("server", "ready_devices")
def test_a_device_of_a_cluster_is_told_which_layer_comes_next(
    wide_bucket: Path, lasting_slots: DeviceSlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diamond_cutter.flows import sprites_rendering

    run_call, told = lasting_slots.run, dict[str, str | None]()

    def run(function: Any, *arguments: Any, **options: Any) -> Any:
        if function is render_and_commit:
            told[arguments[0].name] = options["then"] and options["then"][0].name
        return run_call(function, *arguments, **options)

    monkeypatch.setattr(lasting_slots, "run", run)
    # A local run that takes itself for one on a cluster.
    monkeypatch.setattr(sprites_rendering, "LOCAL", "nowhere")
    monkeypatch.setattr(sprites_rendering, "places", lambda: 1)
    assert run_flow(wide_bucket, ("one", "two"), "0:4").rendered == 8
    assert told in ({"one": "two", "two": None}, {"two": "one", "one": None})


# The process that begins here is that of later tests, which may need the server of buckets.
@pytest.mark.usefixtures("server", "ready_devices", "gcs_place")
def test_a_crash_and_a_hang_of_the_renderer_cost_a_retry_each(
    wide_bucket: Path, lasting_slots: DeviceSlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, run_call = wide_bucket.with_suffix(".tries"), lasting_slots.run

    def run(*call: Any, timeout_s: float, **rest: Any) -> Any:
        # Only the call that hangs has little time: on a busy machine rendering takes long.
        assert timeout_s == 299
        hangs = tries.exists() and tries.read_text() == "die "
        return run_call(*call, timeout_s=5 if hangs else timeout_s, **rest)

    monkeypatch.setattr(lasting_slots, "run", run)
    summary = run_flow(wide_bucket, ("one",), "0:4", broken_rendering.die_then_hang, timeout_s=299)
    assert (summary.rendered, summary.failed) == (4, 0)
    assert tries.read_text() == "die hang render "
    (execution,) = executions_of(LocalBucket(wide_bucket), summary.run)
    assert (execution.end, execution.retries, execution.rendered) == ("complete", 2, 4)


def test_prefect_has_every_task_and_the_artifacts(rendered: Rendered) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterFlowRunId,
        FlowRunFilter,
        FlowRunFilterId,
    )
    from prefect.client.schemas.objects import TaskRun
    from prefect.client.schemas.sorting import FlowRunSort

    # The server answers with the first 200 of all that other tests have run.
    with get_client(sync_client=True) as client:
        run = next(  # the later runs of this bucket rendered nothing
            run
            for run in client.read_flow_runs(sort=FlowRunSort.START_TIME_ASC)
            if run.parameters.get("request", {}).get("bucket") == str(rendered[0])
        )
        these = [uuid.UUID(str(run.id))]
        of_run = FlowRunFilter(id=FlowRunFilterId(any_=these))

        def completed() -> list[TaskRun] | None:
            # The states of tasks travel as events: the last ones arrive after the end of the run.
            found = client.read_task_runs(flow_run_filter=of_run)
            ended = [row.state is not None and row.state.is_completed() for row in found]
            return found if len(found) >= 5 and all(ended) else None

        names = sorted(row.name for row in wait_for(completed))
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=these))
        )
    assert run.state is not None and run.state.is_completed()
    gallery, index = names[1:3]
    assert gallery.startswith("publish gallery") and index.startswith("publish index")
    assert names == [
        "ensure bundle of efficientnet-lite0",
        gallery,
        index,
        "spritemap of stem",
        "stem channels 0-7",
    ]
    assert {artifact.type for artifact in artifacts} == {"progress", "table", "markdown"}
    (markdown,) = (artifact.data for artifact in artifacts if artifact.type == "markdown")
    assert rendered[1]["spritemaps"]["stem"].rpartition("/")[2].split(".")[2] in str(markdown)
