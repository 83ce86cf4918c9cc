"""Runs whose Prefect server is lost on the way: what is rendered, what is said, and what Prefect
shows once it is back.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from diamond_cutter.flows import exits as leaving
from diamond_cutter.flows.artifacts import ReportArtifacts, RunArtifacts
from diamond_cutter.flows.server import loss as server_loss
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import is_run_record
from diamond_cutter.storage.sets.records import RunRecord
from tests.flows.conftest import SMALL, Command
from tests.flows.explained_images import make_images
from tests.flows.relay import Loss, Relay, relaying

pytestmark = pytest.mark.prefect


@pytest.fixture
def relay(server: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """Have runs reach the Prefect server through a relay, and be impatient."""
    monkeypatch.setattr(server_loss, "LOST_AFTER_S", 0.5)
    monkeypatch.setattr(server_loss, "_REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(server_loss, "_LOST_TIMEOUT_S", 0.2)
    monkeypatch.setattr(server_loss, "_PAUSE_S", 0.1)
    monkeypatch.setattr(leaving, "_at_once", False)
    with (
        relaying(os.environ["PREFECT_API_URL"]) as relay,
        temporary_settings({PREFECT_API_URL: relay.url}),
    ):
        yield relay


def sentences(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what a command says beside how far it is, which it tells every few seconds; nothing of
    it may be Prefect's own.
    """
    assert not re.search(r"Traceback|ERROR|WARNING|prefect\.|httpx\.", done.stderr), done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("diamond-cutter:")]


def lose_at(
    monkeypatch: pytest.MonkeyPatch, kind: type, method: str, relay: Relay, loss: Loss
) -> None:
    """Have the server lost just before a method of the run's artifacts reaches for it."""
    original = getattr(kind, method)

    def losing(*arguments: Any) -> None:
        relay.lose(loss)
        original(*arguments)

    monkeypatch.setattr(kind, method, losing)


@pytest.mark.parametrize("loss", ["dead", "mute"])
def test_sprites_go_on_without_the_server(
    loss: Loss,
    relay: Relay,
    wide_bucket: Path,
    at_once: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lose_at(monkeypatch, RunArtifacts, "layer_done", relay, loss)
    options = (
        "--layers",
        "one",
        "two",
        "--channels",
        "0:4",
        "--bucket",
        str(wide_bucket),
        *SMALL,
    )
    done = at_once("sprites", "wide", *options)
    assert (done.returncode, len(sentences(done))) == (0, 1), done.stderr
    assert sentences(done)[0].startswith(
        f"diamond-cutter: the Prefect server at {relay.url} no longer answers ("
    )
    assert "The run continues without it" in done.stderr
    assert "8 rendered, 0 reused, 0 failed" in done.stdout
    bucket = LocalBucket(wide_bucket)
    (key,) = (info.key for info in bucket.list("sprites/") if is_run_record(info.key))
    record = RunRecord.from_bytes(bucket.get(key), key)
    assert (record.sprites, record.failures, len(record.spritemaps)) == (8, (), 2)
    assert leaving._at_once  # or Prefect would try for minutes to reach the server


def test_an_explanation_goes_on_without_the_server(
    relay: Relay,
    wide_bucket: Path,
    at_once: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lose_at(monkeypatch, ReportArtifacts, "images_done", relay, "dead")
    options = (
        "--layers",
        "two",
        "--channels",
        "1",
        "--groups",
        "0",
        "--method",
        "gradient",
        "--bucket",
        str(wide_bucket),
        *SMALL,
    )
    done = at_once("attribute", "wide", str(make_images(tmp_path / "pets")), *options)
    assert (done.returncode, len(sentences(done))) == (0, 1), done.stderr
    assert "The run continues without it" in done.stderr
    assert len(list(wide_bucket.rglob("attribution@*/index.html"))) == 1
    assert (
        len(list(wide_bucket.rglob("two/spritemap.*.webp"))) == 1
    )  # of a flow run of its own, which a lost server could not begin


def test_a_server_that_comes_back_is_told_how_the_run_ends(
    relay: Relay, wide_bucket: Path, at_once: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_at(monkeypatch, RunArtifacts, "layer_done", relay, "dead")
    publish = RunArtifacts.publish_summary
    monkeypatch.setattr(
        RunArtifacts, "publish_summary", lambda *arguments: (relay.revive(), publish(*arguments))
    )
    done = at_once(
        "sprites",
        "wide",
        "--layers",
        "one",
        "--channels",
        "0",
        "--bucket",
        str(wide_bucket),
        *SMALL,
    )
    assert (done.returncode, len(sentences(done))) == (0, 1), done.stderr
    assert not leaving._at_once
    newest = {"sort": "START_TIME_DESC", "limit": 1}
    (run,) = httpx.post(f"{os.environ['PREFECT_API_URL']}/flow_runs/filter", json=newest).json()
    assert run["state_type"] == "COMPLETED"


def test_a_run_of_a_deployment_goes_on_when_its_slot_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from uuid import uuid4

    from prefect.client.orchestration import SyncPrefectClient, get_client

    tried = []

    def refuse(client: SyncPrefectClient, *lease: Any) -> None:
        tried.append(lease)
        raise httpx.ConnectError("no server")

    monkeypatch.setattr(SyncPrefectClient, "renew_concurrency_lease", refuse)
    server_loss._outlive_the_lease()
    server_loss._outlive_the_lease()
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        get_client(sync_client=True) as client,
    ):
        client.renew_concurrency_lease(uuid4(), 300.0)
    assert len(tried) == 1
