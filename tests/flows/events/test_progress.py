"""What is said while a command works: on a terminal, off it, and as JSON lines."""

import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from diamond_cutter.flows.cli.main import run
from diamond_cutter.flows.errors import print_error
from diamond_cutter.flows.events import display, progress
from diamond_cutter.flows.events.display import shown
from diamond_cutter.flows.events.json_log import log_as_json
from diamond_cutter.flows.events.progress_bars import ProgressBars
from diamond_cutter.flows.events.status import Status
from diamond_cutter.flows.events.stream import (
    Detail,
    Expected,
    LayerDone,
    Part,
    PartFailed,
    PartReturned,
    PartStarted,
    Phase,
    ShardDone,
    heard_by,
    publish,
)
from diamond_cutter.flows.events.tally import Tally
from tests.flows.conftest import SMALL, Command
from tests.waiting import wait_for, without_progress

A, B = "first@0123abcd", "second@0123abcd"


def shard(model: str, layer: str, number: int, items: int = 32) -> Part:
    title = f"{layer} channels {number}"
    return Part(kind="shard", title=title, items=items, model=model, layer=layer, channels="0-31")


def done(part: Part) -> ShardDone:
    return ShardDone.model_validate({"part": part, "outcome": {"how": "rendered"}})


@pytest.fixture
def json_log() -> Iterator[None]:
    log_as_json(True)
    yield
    log_as_json(False)


@pytest.fixture
def tally() -> Iterator[Tally]:
    """Return a tally of two layers of two models that hears all events."""
    counted = Tally("sprites", 128, {(A, "stem"): 64, (B, "stem"): 64})
    with heard_by(counted):
        yield counted


def test_a_line_every_so_often_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display, "EVERY_S", 0.02)
    with shown("attribute"), progress.Progress("images", 4) as counted:
        part = counted.of_part("images 0-2", 3)
        part("tracing")
        line = wait_for(lambda: capsys.readouterr().err.partition("\n")[0], 0.01)
        assert line == (
            "attribute: after 0 s; 0 of 4 images; at work on images 0-2 (0 of 3, tracing)"
        )
        part(2)
        publish(Expected(command="attribute", seconds={"images": 8.0, "sprites": 92.0}))
        time.sleep(0.05)
        capsys.readouterr()
        line = wait_for(lambda: capsys.readouterr().err.partition("\n")[0], 0.01)
        assert re.fullmatch(
            r"attribute: 0 % after 0 s, about \d+ s left; 2 of 4 images, [\d.]+/s; "
            r"at work on images 0-2 \(2 of 3\)",
            line,
        ), line
        assert without_progress(line + "\n") == ""
        part(5)  # tried again: three are all that it has
        counted.of_part("images 3", 1)(1)
    assert capsys.readouterr().out == ""


def test_lines_do_not_become_rarer() -> None:
    times: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(display, "EVERY_S", 0.05)
        ticker = display.Ticker(lambda: times.append(time.monotonic()) or time.sleep(0.03), 9.0)
        started = time.monotonic()
        ticker.start()
        wait_for(lambda: len(times) > 5, 0.01)
        ticker.stop()
    # The time for writing a line does not move the next one.
    assert 6 * 0.05 <= times[5] - started < 6 * 0.05 + 5 * 0.03


def test_what_ends_soon_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.doing("importing"), progress.Progress("images", 1) as counted:
        counted.of_part("images 0", 1)(1)
    assert capsys.readouterr() == ("", "")


def test_layers_are_in_flight_while_their_shards_are(tally: Tally) -> None:
    first, second, other = shard(A, "stem", 0), shard(A, "stem", 1), shard(B, "stem", 0)
    count = progress.Progress("sprites", 128).of_shard(first)
    for part in (first, second, other):
        publish(PartStarted(part=part))
    count("rendering")
    count(8)
    assert tally.rows() == [
        ("first stem", 8, 64, "rendering"),
        ("second stem", 0, 64, "waiting for a device"),
    ]
    count.complete()
    publish(done(first))
    publish(PartReturned(part=second, problem="another run is at work on it"))
    publish(PartFailed(part=other, problem="its worker was lost", retries=2))
    assert (tally.rows(), tally.done, tally.failed) == ([], 32, 32)
    assert tally.line().endswith(", 32 failed")


def test_what_was_rendered_but_could_not_be_written_is_not_done(tally: Tally) -> None:
    first, second = shard(A, "stem", 0), shard(A, "stem", 1)
    for part in (first, second):
        publish(PartStarted(part=part))
        progress.Progress("sprites", 128).of_shard(part)(20)
    publish(PartFailed(part=first, problem="the disk is full", retries=2))
    assert tally.rows() == [("first stem", 20, 64, "waiting for a device")]
    assert (tally.done, tally.failed) == (20, 32)


def test_the_rate_is_that_of_the_last_minutes(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, count = time.monotonic(), progress.Progress("sprites", 128).of_shard
    for passed_s, items in ((10.0, 30), (900.0, 10), (1200.0, 6), (1510.0, 6)):
        monkeypatch.setattr(time, "monotonic", lambda at=started + passed_s: at)
        count(shard(A, "stem", 0, items=items))(items)
    assert tally.per_second == pytest.approx((6 + 6) / 610, rel=0.01)
    assert tally.left_s == pytest.approx((128 - 52) / (12 / 610), rel=0.01)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_terminal_shows_the_whole_and_each_layer_in_flight(tally: Tally, width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=24)
    status = Status("sprites", {"sprites": 60.0})
    status.add(tally)
    bars = ProgressBars(console, status)
    named = "a[bold]\x1b[2J\n/" + "x" * width  # a layer of a user's model
    parts = [shard(A, "stem", 0), shard(B, named, 0), shard(B, "stem", 0)]
    with heard_by(status), progress.doing("publishing the index and the gallery"):
        for part in parts:
            publish(PartStarted(part=part))
        publish(Detail(text="loading TensorFlow"))
        publish(Phase(part=parts[0], phase="rendering"))
        publish(PartFailed(part=parts[2], problem="its worker was lost", retries=2))
        publish(Expected(command="sprites", seconds={"sprites": 100.0}))
        bars(LayerDone(model=A, layer="stem", sprites=64, flagged=3))
        console.print(bars._drawn())
    drawn = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    lines = [Text.from_ansi(line).plain.rstrip() for line in drawn]
    first, whole, *narrow, facts, stem, other, step = lines
    assert first == "first stem done: 64 sprites, 3 flagged"
    assert whole.startswith("sprites ━") and len(narrow) == (width < 60)
    assert (*narrow, whole)[0].endswith("0 % after 0 s, about 100 s left")
    assert facts == "0 of 128 sprites, 32 failed"
    assert stem.startswith("first stem ") and "0/64 rendering" in stem
    assert other.startswith("a[bol") and "…" in other and "0/32 waiting" in other
    assert "publishing the index" in step and (width < 80 or step.endswith(": loading TensorFlow"))
    assert max(map(len, lines)) <= width


def test_all_that_is_said_can_be_lines_of_json(
    json_log: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display, "EVERY_S", 0.02)
    hostile = 'a\n{"event": "run done"}\x1b[2J'
    with progress.Progress("sprites", 32) as counted:
        publish(PartStarted(part=shard(A, hostile, 0)))
        counted.of_shard(shard(A, hostile, 0))(8)
        with progress.doing("publishing"):
            time.sleep(0.1)
        publish(done(shard(A, hostile, 0)))
    progress.say("3 images")
    print_error("no layer is named 'x'")
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.err.splitlines()]
    events = [line["event"] for line in lines]
    assert printed.out == "" and events[:2] == ["work started", "shard started"]
    assert lines[1] == {
        "time": lines[1]["time"],
        "event": "shard started",
        "title": f"{hostile} channels 0",
        "model": A,
        "layer": hostile,
        "channels": "0-31",
        "sprites": 32,
    }
    going = next(line for line in lines if line["event"] == "progress")
    assert (going["done"], going["total"], going["steps"]) == (8, 32, ["publishing"])
    assert len(going["at_work"]) == 1
    assert events[-5:] == ["step done", "shard done", "work done", "note", "error"]


@pytest.mark.prefect
def test_a_run_logs_each_shard(imported: tuple[Path, str], at_once: Command) -> None:
    bucket, model = imported
    options = ("--layers", "stem", "--channels", "0:4", "--bucket", str(bucket), *SMALL)
    run_done = at_once("sprites", model, *options, "--json", "--log-json")
    assert run_done.returncode == 0, run_done.stderr
    assert json.loads(run_done.stdout)["rendered"] == 4
    lines = [json.loads(line) for line in run_done.stderr.splitlines()]
    names = [line["event"] for line in lines if not line["event"].startswith("step")]
    assert names == [
        "run started",
        "work started",
        "shard started",
        "shard done",
        "layer done",
        "work done",
        "run done",
    ]
    (shard_done,) = (line for line in lines if line["event"] == "shard done")
    assert shard_done["device"] == "cpu" and shard_done["bytes"] > 0 and shard_done["retries"] == 0
    phases = [shard_done[f"{phase}_s"] for phase in ("tracing", "rendering", "writing")]
    assert min(phases) > 0 and sum(phases) == pytest.approx(shard_done["seconds"], abs=0.01)
    refused = at_once("sprites", model, *options, "--log-json", "--channels", "99999")
    assert (refused.returncode, json.loads(refused.stderr)["event"]) == (2, "error")


@pytest.mark.prefect
def test_plan_says_what_takes_it_so_long(
    imported: tuple[Path, str],
    ready_devices: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(display, "EVERY_S", 0.02)
    options = [
        "--layers",
        "stem",
        "--channels",
        "0:4",
        "--bucket",
        str(imported[0]),
        "--recipe.size-px",
        "32",
    ]
    assert run(["plan", "efficientnet-lite0", *options, "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("{")
    assert printed.err.startswith("plan: ")
    assert "(0 of 1), measuring some steps on 1 of 1 layers\n" in printed.err
