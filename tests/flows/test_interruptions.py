"""Runs that are interrupted, killed or cannot begin: what is left, and what the next run makes of
it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from benchmarks.kill_and_resume import descendants, differences, records
from tests.flows.conftest import Command, small
from tests.waiting import AT_MOST_S, wait_for

pytestmark = pytest.mark.prefect

# So many steps that an interruption hits the rendering.
LONGER = small(steps=200)
_MARK = "DIAMOND_CUTTER_TEST"


def marked(mark: str) -> list[str]:
    """Return the processes that inherited the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def newest_run() -> dict[str, Any]:
    """Return what Prefect shows of the run that began last."""
    (run,) = httpx.post(
        f"{os.environ['PREFECT_API_URL']}/flow_runs/filter",
        json={"sort": "START_TIME_DESC", "limit": 1},
    ).json()
    return dict(run)


def shard_records(bucket: Path) -> dict[Path, bytes]:
    found = (bucket / "sprites").rglob("one/0*.json")
    return {path: path.read_bytes() for path in found}


@pytest.mark.parametrize(
    ("signals", "code", "word"),
    [((signal.SIGTERM,), 143, "terminated"), ((signal.SIGINT, signal.SIGINT), 130, "interrupted")],
)
def test_an_end_from_outside_says_how_to_go_on_and_leaves_no_process(
    signals: tuple[signal.Signals, ...],
    code: int,
    word: str,
    wide_bucket: Path,
    tmp_path: Path,
    at_once: Command,
) -> None:
    """After one signal, the shard on the device is finished; after two, it is dropped."""
    bucket = wide_bucket
    where = ("--bucket", str(bucket), "--grace", str(AT_MOST_S))
    arguments = ["sprites", "wide", "--layers", "one", *where, *LONGER]
    with (tmp_path / "said").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "diamond_cutter.flows.cli.main", *arguments],
            env={**os.environ, _MARK: str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
            # A shell that starts the tests in the background ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def finishing() -> bool:
        return "\nfinishing the tasks in flight" in "\n" + (tmp_path / "said").read_text()

    wait_for(lambda: shard_records(bucket) or process.poll() is not None)
    kept = shard_records(bucket)
    for by in signals:
        os.killpg(process.pid, by)
        wait_for(lambda: finishing() or process.poll() is not None)
    printed, _ = process.communicate(timeout=AT_MOST_S)
    assert (process.returncode, printed) == (code, "")
    *progress, sentence = (tmp_path / "said").read_text().splitlines()
    finished = shard_records(bucket)
    sprites = sum(len(json.loads(record)["sprites"]) for record in finished.values())
    assert (
        sentence == f"diamond-cutter: {word} after {sprites} of 96 sprites; finished work is kept, "
        "and the same command continues from there"
    )
    assert "diamond-cutter:" not in "".join(progress)
    assert finishing()
    assert newest_run()["state_type"] == "CRASHED"
    assert marked(str(tmp_path)) == []
    # A shard may have landed between the look and the signal.
    dropped = int(len(signals) == 2)
    assert 1 - dropped <= len(finished) - len(kept) <= 2 - dropped
    assert not list(bucket.rglob("claims/**/*.json"))
    assert {path: finished[path] for path in kept} == kept
    if signals[0] == signal.SIGTERM:
        return  # what is kept is finished in the same way as after Ctrl-C
    assert at_once(*arguments).returncode == 0
    assert len(shard_records(bucket)) == 3
    assert {path: shard_records(bucket)[path] for path in kept} == kept
    assert at_once("verify", "--bucket", str(bucket)).returncode == 0


def test_a_killed_run_is_finished_by_the_next_one(
    wide_bucket: Path, tmp_path: Path, at_once: Command
) -> None:
    """Everything is killed once, in the middle; benchmarks/kill_and_resume.py kills more often."""
    disturbed, undisturbed = wide_bucket, tmp_path / "undisturbed"
    shutil.copytree(disturbed, undisturbed)
    arguments = ["sprites", "wide", "--layers", "one", *LONGER, "--bucket"]
    process = subprocess.Popen(
        [sys.executable, "-m", "diamond_cutter.flows.cli.main", *arguments, str(disturbed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: shard_records(disturbed) or process.poll() is not None)
    family = descendants(process.pid)
    process.kill()
    for member in family:
        member.kill()
    process.wait()
    assert psutil.wait_procs(family, timeout=AT_MOST_S)[1] == []
    kept = records(disturbed)
    assert 0 < len(kept) < 3
    for bucket in (disturbed, undisturbed):
        assert at_once(*arguments, str(bucket)).returncode == 0
    assert differences(undisturbed, disturbed, kept) == []
    assert at_once("verify", "--bucket", str(disturbed)).returncode == 0
    # Runs of other tests may have lost their server and still be under way there.
    api = os.environ["PREFECT_API_URL"]
    newest = {"sort": "START_TIME_DESC", "limit": 20}
    ours = {
        run["id"]: run["state_type"]
        for run in httpx.post(f"{api}/flow_runs/filter", json=newest).json()
        if run["parameters"]["request"]["bucket"] in (str(disturbed), str(undisturbed))
    }
    assert len(ours) >= 3 and not {"PENDING", "RUNNING"} & set(ours.values())
    under_way = {
        "flow_runs": {"id": {"any_": list(ours)}},
        "task_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}},
    }
    # The states of tasks travel as events, so the last ones arrive after the end of their run.
    wait_for(lambda: httpx.post(f"{api}/task_runs/filter", json=under_way).json() == [])


def test_a_server_that_does_not_answer_is_named(
    tmp_path: Path, nowhere: str, at_once: Command
) -> None:
    with temporary_settings({PREFECT_API_URL: f"{nowhere}/api"}):
        done = at_once("sprites", "efficientnet-lite0", "--bucket", str(tmp_path / "bucket"))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert f"{nowhere}/api" in done.stderr and "Unset PREFECT_API_URL" in done.stderr
    assert not (tmp_path / "bucket").exists()
