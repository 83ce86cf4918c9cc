"""Runs on a cluster of Dask, and what is said where there is none."""

import builtins
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.flows import task_runners
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import is_claim, is_shard_record
from diamond_cutter.storage.sets.records import ShardRecord
from tests.flows.conftest import SMALL, Command
from tests.flows.dask_cluster import Cluster, dask
from tests.waiting import wait_for

pytestmark = pytest.mark.prefect

OPTIONS = ("--layers", "stem", "--channels", "0:8", *SMALL, "--json")
SHARD = ("--layers", "two", "--channels", "0:8", *SMALL, "--json")


def shards(bucket: Path) -> dict[str, tuple[int, float]]:
    """Return the checksum of each shard and the time of its record."""
    place = LocalBucket(bucket)
    return {
        info.key: (
            ShardRecord.from_bytes(place.get(info.key), info.key).file.crc32c,
            info.updated.timestamp(),
        )
        for info in place.list("sprites/")
        if is_shard_record(info.key)
    }


def test_a_dask_worker_renders_what_this_machine_does_even_if_one_is_killed(
    wide_bucket: Path, tmp_path: Path, at_once: Command
) -> None:
    bucket, here = wide_bucket, tmp_path / "here"
    shutil.copytree(bucket, here)
    assert at_once("sprites", "wide", "--bucket", str(here), *SHARD).returncode == 0

    def kill_worker(cluster: Cluster) -> None:
        place = LocalBucket(bucket)
        wait_for(lambda: any(is_claim(info.key) for info in place.list()))
        wait_for(lambda: cluster.worker_process(0)).kill()

    with dask(1) as cluster, ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_worker, cluster)
        runner = ("--runner", f"dask://{cluster.address}")
        done = at_once("sprites", "wide", "--bucket", str(bucket), *SHARD, *runner)
        killed.result()
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rendered"], summary["reused"], summary["failed"]) == (8, 0, 0)
    ours, theirs = shards(here), shards(bucket)
    assert {key: crc for key, (crc, _) in ours.items()} == {
        key: crc for key, (crc, _) in theirs.items()
    }
    assert not any(is_claim(info.key) for info in LocalBucket(bucket).list())


def test_no_scheduler_is_one_sentence(
    imported: tuple[Path, str], at_once: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runners, "_ANSWERS_WITHIN_S", 0.5)
    runner = "dask://127.0.0.1:9"
    done = at_once(
        "sprites", "efficientnet-lite0", "--bucket", str(imported[0]), *OPTIONS, "--runner", runner
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"no dask cluster answers at {runner}" in done.stderr


def test_a_cluster_without_workers_is_one_sentence(
    imported: tuple[Path, str], at_once: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runners, "_WORKERS_WITHIN_S", 0.1)
    with dask(0) as cluster:
        runner = f"dask://{cluster.address}"
        arguments = ("--bucket", str(imported[0]), *OPTIONS, "--runner", runner)
        done = at_once("sprites", "efficientnet-lite0", *arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"the cluster at {runner} has no workers" in done.stderr


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_missing_extra_is_named(
    imported: tuple[Path, str], at_once: Command, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    imported_before = builtins.__import__

    def without(name: str, *others: Any, **options: Any) -> Any:
        if name in ("prefect_dask", "ray"):
            raise ImportError(f"No module named {name!r}")
        return imported_before(name, *others, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    runner = ("--runner", f"{kind}://127.0.0.1:8786")
    done = at_once("sprites", "efficientnet-lite0", "--bucket", str(imported[0]), *OPTIONS, *runner)
    assert done.returncode == 2 and f"pip install 'diamond-cutter[{kind}]'" in done.stderr


@pytest.mark.parametrize("runner", ["spark://x:1", "dask://nowhere", "dask:8786", ""])
def test_another_runner_is_refused(at_once: Command, tmp_path: Path, runner: str) -> None:
    bucket = ("--bucket", str(tmp_path))
    done = at_once("sprites", "efficientnet-lite0", *bucket, "--runner", runner)
    assert done.returncode == 2 and "runner" in done.stderr
