"""The flow as a deployment on a Prefect server that stands by itself: put there by `serve`,
triggered and scheduled.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from diamond_cutter.flows.cli.main import run
from diamond_cutter.tasks.importing.stored import keep_bundle
from tests.flows.conftest import SMALL
from tests.flows.deployments.triggering import trigger
from tests.flows.explained_images import make_images
from tests.flows.wide_network import wide_network
from tests.waiting import AT_MOST_S, wait_for

pytestmark = pytest.mark.prefect


def stop(process: "subprocess.Popen[str]", by: signal.Signals) -> str:
    """End a process and return what it printed."""
    process.send_signal(by)
    try:
        return process.communicate(timeout=AT_MOST_S)[0]
    finally:
        process.kill()


@pytest.fixture(scope="module")
def standing(
    new_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Start a server as the remedy in our error says; return the environment of those who
    use it.
    """
    # It is held until the server has it, and not listened on, which the server is then free to do:
    # nobody else gets it.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    home = tmp_path_factory.mktemp("standing")
    if new_database.exists():
        shutil.copy(new_database, home)
    offline = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_UI_ENABLED": "false"}
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        **offline,
    }
    environment.pop("PREFECT_API_URL", None)
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        wait_for(lambda: answers(f"{url}/health"))
        yield {
            "PREFECT_API_URL": url,
            "PREFECT_HOME": environment["PREFECT_HOME"],
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        }
    finally:
        stop(process, signal.SIGTERM)
        held.close()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def serve(
    standing: dict[str, str], folder: Path, *arguments: str, shell: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    """Start `serve` with a standing Prefect server, in a folder and possibly by a shell."""
    return subprocess.Popen(
        [*shell, sys.executable, "-m", "diamond_cutter.flows.cli.main", "serve", *arguments],
        env={**os.environ, **standing},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def deployment(api: httpx.Client, name: str) -> dict[str, Any] | None:
    """Return a deployment once it is registered."""
    found = api.get(f"/deployments/name/{name}")
    return found.json() if found.is_success else None


def run_of(api: httpx.Client, served: dict[str, Any], **parameters: Any) -> str:
    """Trigger a deployment, and return the id of its run."""
    return str(trigger(api, served["id"], **parameters).raise_for_status().json()["id"])


def ended_run(api: httpx.Client, run_id: str) -> dict[str, Any] | None:
    """Return a flow run once it has ended, in whatever way."""
    run = api.get(f"/flow_runs/{run_id}").json()
    ended = run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    return run if ended else None


def test_a_deployment_is_scheduled_and_renders_when_it_is_triggered(
    standing: dict[str, str], tmp_path: Path
) -> None:
    keep_bundle(str(tmp_path / "bucket"), wide_network())
    options = ["--layers", "one", "--channels", "0:4", "--bucket", "bucket", *SMALL]
    # As in the background of a script, where Ctrl-C is ignored and SIGTERM is not.
    shell = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    command = ("--cron", "0 2 * * *", "sprites", "wide", *options)
    serving = serve(standing, tmp_path, *command, shell=shell)
    try:
        with httpx.Client(base_url=standing["PREFECT_API_URL"], timeout=AT_MOST_S) as api:
            served = wait_for(lambda: deployment(api, "sprites/wide"))
            (schedule,) = served["schedules"]
            assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 2 * * *", True)
            assert served["parameters"]["request"]["bucket"] == str(tmp_path / "bucket")

            due = wait_for(
                lambda: api.post(
                    "/flow_runs/filter",
                    json={"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}},
                ).json()
            )
            assert {run["deployment_id"] for run in due} == {served["id"]}
            assert all(run["expected_start_time"][11:16] == "02:00" for run in due)

            run_id = run_of(api, served)
            assert wait_for(lambda: ended_run(api, run_id))["state_type"] == "COMPLETED"

            misspelt = {"parameters": {"reqest": served["parameters"]["request"]}}
            refused = api.post(f"/deployments/{served['id']}/create_flow_run", json=misspelt)
            assert (
                refused.status_code == 409 and "'reqest' was unexpected" in refused.json()["detail"]
            )

            lengthy = {
                **served["parameters"]["request"],
                "recipe": {"size_px": 32, "steps": 10_000, "ladder": []},
                "grace_s": 0,
            }
            lengthy_run = run_of(api, served, request=lengthy)
            wait_for(lambda: api.get(f"/flow_runs/{lengthy_run}").json()["state_type"] == "RUNNING")
            printed = stop(serving, signal.SIGTERM)
            assert serving.returncode == 143, printed
            assert printed.endswith("the same command serves again\n")
            assert api.get(f"/flow_runs/{lengthy_run}").json()["state_type"] == "CRASHED"
            assert api.get(f"/deployments/{served['id']}").json()["paused"]
    finally:
        if serving.poll() is None:
            stop(serving, signal.SIGKILL)
    assert len(list((tmp_path / "bucket").rglob("one/spritemap.00000-00003.*.webp"))) == 1


def test_a_folder_is_explained_when_a_trigger_names_it(
    standing: dict[str, str], tmp_path: Path
) -> None:
    first, second = make_images(tmp_path / "first"), tmp_path / "second"
    second.mkdir()
    shutil.copy(first / "goldfish" / "1.jpg", second / "only.jpg")
    keep_bundle(str(tmp_path / "bucket"), wide_network())
    options = ["--layers", "two", "--channels", "0", "--groups", "0", "--bucket", "bucket", *SMALL]
    serving = serve(standing, tmp_path, "attribute", "wide", "first", *options)
    try:
        with httpx.Client(base_url=standing["PREFECT_API_URL"], timeout=AT_MOST_S) as api:
            served = wait_for(lambda: deployment(api, "attribute-dataset/wide"))
            request = served["parameters"]["request"]
            assert (request["images"], request["bucket"]) == (str(first), str(tmp_path / "bucket"))
            run_id = run_of(api, served, request={**request, "images": str(second)})
            assert wait_for(lambda: ended_run(api, run_id))["state_type"] == "COMPLETED"
            shown = api.post(
                "/artifacts/filter",
                json={"artifacts": {"flow_run_id": {"any_": [run_id]}}},
            ).json()
            assert sorted(artifact["type"] for artifact in shown) == [
                "markdown",
                "progress",
                "table",
            ]
    finally:
        printed = stop(serving, signal.SIGINT)
    assert serving.returncode == 0, printed
    (report,) = (tmp_path / "bucket").glob("reports/*/*/*/report.json")
    assert report.parts[-4].startswith("second@")


def test_a_trigger_may_name_a_recipe_or_spell_one_out() -> None:
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.schema_tools import is_valid_schema, validate

    from diamond_cutter.flows.sprites import sprites

    schema = parameter_schema(sprites).model_dump()
    is_valid_schema(schema)
    for recipe in ("lucid", {"name": "lucid", "steps": 7}, {}):
        assert (
            validate({"request": {"model": "efficientnet-lite0", "recipe": recipe}}, schema) == []
        )
    assert validate({"request": {"model": "efficientnet-lite0", "recipe": 7}}, schema) != []
    mixes = {
        "mixes": [{"label": "a", "terms": [{"layer": "stem", "channels": [1], "weights": [1.0]}]}]
    }
    assert validate({"request": {"model": "efficientnet-lite0", "mixes": mixes}}, schema) == []


def test_a_schedule_that_cannot_be_read_is_refused(
    standing: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = tmp_path / "bucket"
    with temporary_settings({PREFECT_API_URL: standing["PREFECT_API_URL"]}):
        assert (
            run(
                [
                    "serve",
                    "--cron",
                    "at noon",
                    "sprites",
                    "efficientnet-lite0",
                    "--bucket",
                    str(bucket),
                ]
            )
            == 2
        )
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (
        "",
        'diamond-cutter: cron is not valid: Invalid cron string: "at noon"\n',
    )
    assert not bucket.exists()


def test_without_a_standing_server_serve_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = tmp_path / "bucket"
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert run(["serve", "sprites", "efficientnet-lite0", "--bucket", str(bucket)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1
    assert "`prefect server start`" in printed.err
    assert not bucket.exists()


def test_a_trigger_may_name_other_images_and_layers_to_attach() -> None:
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.schema_tools import is_valid_schema, validate

    from diamond_cutter.flows.attaching import attach

    schema = parameter_schema(attach).model_dump()
    is_valid_schema(schema)
    request = {"model": "mine", "images": "/data/scans", "at": ["block_12"], "name": "new"}
    assert validate({"request": {**request, "conv": [128, 64]}}, schema) == []
    assert validate({"request": {**request, "augment": "wild"}}, schema) != []
    assert validate({"request": {**request, "at": []}}, schema) != []


def test_a_trigger_may_name_other_images_and_models_to_cut() -> None:
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.schema_tools import is_valid_schema, validate

    from diamond_cutter.flows.cutting import find_cut

    schema = parameter_schema(find_cut).model_dump()
    is_valid_schema(schema)
    request = {"images": "/data/scans", "models": ["efficientnet-lite0", "keras/resnet50"]}
    assert validate({"request": request}, schema) == []
    assert validate({"request": {**request, "pooling": "median"}}, schema) != []
    assert validate({"request": {"images": "/data/scans", "models": []}}, schema) != []


def test_a_trigger_may_name_other_models_to_compare() -> None:
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.schema_tools import is_valid_schema, validate

    from diamond_cutter.flows.comparing import compare_models

    schema = parameter_schema(compare_models).model_dump()
    is_valid_schema(schema)
    request = {"images": "/data/birds", "first": "birds-1", "second": "keras/resnet50"}
    assert validate({"request": request}, schema) == []
    assert validate({"request": {**request, "split": "some"}}, schema) != []
