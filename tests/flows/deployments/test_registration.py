"""Deployments that `deploy` puts on a Prefect server, triggered through its API and run by a worker
of their work pool.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL

from diamond_cutter.flows.cli.main import run
from diamond_cutter.flows.server.crashed_runs import crash_runs
from diamond_cutter.storage import LocalBucket
from tests.flows.deployments.triggering import trigger
from tests.flows.made_up_set import put_bundle, put_shard
from tests.waiting import AT_MOST_S

pytestmark = pytest.mark.prefect

DEPLOY = (
    *("sprites", "made-up", "--layers", "stem"),
    *("--recipe.size-px", "32", "--recipe.steps", "4"),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a bucket with a model, one layer of which is rendered."""
    monkeypatch.chdir(tmp_path)
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    put_shard(bucket, "stem", range(32))
    return tmp_path / "bucket"


@pytest.fixture
def api(server: None) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(PREFECT_API_URL.value()), timeout=AT_MOST_S) as client:
        yield client


def deployed(api: httpx.Client, name: str) -> dict[str, Any]:
    return dict(api.get(f"/deployments/name/{name}").raise_for_status().json())


def test_a_worker_runs_what_the_api_accepts(
    place: Path, api: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["deploy", "--cron", "0 2 * * SUN", *DEPLOY]) == 0
    assert capsys.readouterr().out == (
        "deployed sprites/made-up\n"
        "start a worker:  prefect worker start --pool diamond-cutter\n"
        "run one now:     prefect deployment run sprites/made-up\n"
    )
    made = deployed(api, "sprites/made-up")
    assert made["parameters"]["request"] == {
        "model": "made-up",
        "layers": ["stem"],
        "bucket": str(place),
        "recipe": {"name": "fast", "size_px": 32, "steps": 4},
    }
    assert [each["schedule"]["cron"] for each in made["schedules"]] == ["0 2 * * SUN"]

    for wrong, field in (
        ({"model": "bogus"}, "request.model"),
        ({"model": "made-up", "layers": ["bogus"]}, "request.layers[0]"),
        ({"model": "made-up", "recipe": "bogus"}, "request.recipe"),
    ):
        refused = trigger(api, made["id"], request=wrong)
        assert refused.status_code == 409 and f"'{field}'" in refused.json()["detail"]

    # A trigger that names no bucket means that of the deployment.
    request = {key: made["parameters"]["request"][key] for key in ("model", "layers", "recipe")}
    accepted = trigger(api, made["id"], request=request).raise_for_status().json()
    worker = subprocess.run(
        [
            *(sys.executable, "-m", "prefect", "worker", "start"),
            *("--run-once", "--pool", "diamond-cutter"),
        ],
        env={**os.environ, "PREFECT_API_URL": str(api.base_url).rstrip("/")},
        capture_output=True,
        text=True,
        timeout=AT_MOST_S,
    )
    ended = api.get(f"/flow_runs/{accepted['id']}").json()
    assert ended["state_type"] == "COMPLETED", worker.stdout + worker.stderr
    assert len(list(place.rglob("stem/spritemap.*.webp"))) == 1


@pytest.mark.parametrize(
    ("options", "state"), [([], "CANCELLED"), (["--on-collision", "enqueue"], "SCHEDULED")]
)
def test_a_run_that_is_due_during_another_is_skipped_or_waits(
    place: Path, api: httpx.Client, options: list[str], state: str
) -> None:
    name = ["--deployment-name", f"then-{state.lower()}"]
    assert run(["deploy", *name, *options, *DEPLOY]) == 0
    made = deployed(api, f"sprites/then-{state.lower()}")
    runs = [trigger(api, made["id"]).raise_for_status().json() for _ in range(3)]
    first, second, third = runs

    def begin(flow_run: dict[str, Any]) -> Any:
        pending = {"state": {"type": "PENDING"}}
        return api.post(f"/flow_runs/{flow_run['id']}/set_state", json=pending).json()

    assert begin(first)["status"] == "ACCEPT"
    refused = begin(second)
    assert (refused["status"], refused["state"]["type"]) == ("REJECT", state)
    crash_runs([first["id"]])  # as a command does if the process of the run is gone
    assert begin(third)["status"] == "ACCEPT"
    for flow_run in runs:
        api.delete(f"/flow_runs/{flow_run['id']}")


def test_every_flow_is_deployed_without_a_command(
    place: Path, api: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["deploy", "--bucket", str(place)]) == 0
    flows = ("sprites", "attribute-dataset", "find-cut", "attach", "compare-models", "tune")
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[:-2]] == [
        f"{flow}/on-demand" for flow in flows
    ]
    made = [deployed(api, f"{flow}/on-demand") for flow in flows]
    assert all(each["parameters"] == {"request": {"bucket": str(place)}} for each in made)
    assert trigger(api, made[0]["id"]).json()["detail"].endswith("'model' is a required property")


def test_deploying_again_replaces_the_schedule(place: Path, api: httpx.Client) -> None:
    name = ["--deployment-name", "weekly"]
    for schedule in (["0 2 * * SUN"], ["0 3 * * *"], []):
        cron = [option for each in schedule for option in ("--cron", each)]
        assert run(["deploy", *name, *cron, *DEPLOY]) == 0
        found = deployed(api, "sprites/weekly")["schedules"]
        assert [each["schedule"]["cron"] for each in found] == schedule


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sprites", "bogus"], "model 'bogus' does not exist"),
        (["sprites", "made-up", "--layers", "bogus"], "layer 'bogus' is not in made-up"),
        (["sprites", "made-up", "--recipe", "bogus"], "the recipe 'bogus' does not exist"),
        (["tune", "made-up", "--recipe.variants", "2"], "tuning needs a recipe without settings"),
        (["--cron", "at noon", "sprites", "made-up"], "cron is not valid"),
        (["--cron", "0 2 * * *"], "--cron needs a command"),
        (["--pool", "bogus", "sprites", "made-up"], "the work pool 'bogus' does not exist"),
        (["plan", "made-up"], "the command cannot be deployed"),
    ],
)
def test_what_cannot_be_met_is_not_deployed(
    place: Path,
    api: httpx.Client,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    assert run(["deploy", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"diamond-cutter: {said}")
