"""A run as a deployment: on a schedule, or triggered through Prefect's API."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.cli import run
from storage import LocalBucket
from storage.layout import is_run_record
from tests.flows.conftest import SMALL

pytestmark = pytest.mark.prefect

_WITHIN_S = 120.0


def test_without_a_standing_server_it_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        arguments = ["sprites", "efficientnet-lite0", "--bucket", str(tmp_path / "bucket")]
        assert run(["serve", "--cron", "0 2 * * *", *arguments]) == 2
    assert "prefect server start" in capsys.readouterr().err


def test_a_served_run_has_its_schedule_and_can_be_triggered(server: None, tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client
    from prefect.deployments import run_deployment

    arguments = ["sprites", "efficientnet-lite0", "--layers", "stem", "--channels", "0:4", "--bucket", "bucket", *SMALL]
    command = [sys.executable, "-m", "flows.cli", "serve", "--cron", "0 2 * * *", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    serving = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with get_client(sync_client=True) as client:
            ends = time.monotonic() + _WITHIN_S
            while not (found := client.read_deployments()) and time.monotonic() < ends:
                assert serving.poll() is None
                time.sleep(0.5)
        (deployment,) = found
        assert deployment.name == "efficientnet-lite0"
        assert [getattr(schedule.schedule, "cron", None) for schedule in deployment.schedules] == ["0 2 * * *"]
        flow_run = run_deployment("sprites/efficientnet-lite0", timeout=_WITHIN_S, poll_interval=1)
        assert flow_run.state is not None and flow_run.state.is_completed(), flow_run.state
    finally:
        serving.send_signal(signal.SIGINT)
        serving.wait(60)
    written = [info.key for info in LocalBucket(tmp_path / "bucket").list("sprites/")]
    assert any(map(is_run_record, written))
    assert any("/stem/00000-00003." in key for key in written)
