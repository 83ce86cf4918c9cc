import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from diamond_cutter.flows.server.prefect_server import (
    PrefectServerError,
    prefect_server,
    require_standing_server,
)
from tests.waiting import AT_MOST_S, without_progress

ROOT = Path(__file__).parents[3]

SCRIPT = """
import os, sys, time
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner
from diamond_cutter.flows.server.prefect_server import prefect_server

@task
def nap(seconds):
    time.sleep(seconds)

@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def naps(count, seconds):
    naps = nap.map([seconds] * count)
    print("running", flush=True)
    naps.wait()

before = dict(os.environ)
try:
    with prefect_server():
        naps(int(sys.argv[1]), float(sys.argv[2]))
finally:
    assert dict(os.environ) == before
    print("restored", flush=True)
"""

OUTLIVING = """
import sys
from prefect import flow
from prefect.artifacts import create_progress_artifact
from diamond_cutter.flows.server import loss as server_loss
from diamond_cutter.flows.exits import leave
from diamond_cutter.flows.server.prefect_server import prefect_server

server_loss.LOST_AFTER_S = server_loss._REQUEST_TIMEOUT_S = 0.5

@flow
def outliving():
    server_loss.outlive_the_server()
    print("running", flush=True)
    sys.stdin.readline()
    with server_loss.only_shown():
        create_progress_artifact(progress=0.0)
    return "done"

with prefect_server():
    print(outliving())
leave(0)
"""


@pytest.fixture(scope="module")
def home(new_database, tmp_path_factory):
    home = tmp_path_factory.mktemp("prefect")
    if new_database.exists():
        shutil.copy(new_database, home)
    return home


@pytest.fixture
def start(home):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT")
    }
    environment |= {"PREFECT_HOME": str(home), "PYTHONPATH": str(ROOT), "DO_NOT_TRACK": "1"}
    started = []

    def start(count, seconds, script=SCRIPT, **settings):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script, str(count), str(seconds)],
            env={**environment, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def run_until_flow_runs(process):
    assert process.stdout.readline() == "running\n"
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 1
    return children


def task_runs(home):
    """Count the task runs of the newest flow run by state."""
    newest = "SELECT id FROM flow_run ORDER BY created DESC LIMIT 1"
    return count(
        home, f"SELECT state_type, count(*) FROM task_run WHERE flow_run_id = ({newest}) GROUP BY 1"
    )


def newest_flow_run(home):
    return next(
        iter(count(home, "SELECT state_type, created FROM flow_run ORDER BY created DESC LIMIT 1"))
    )


def count(home, query):
    connection = sqlite3.connect(home / "prefect.db")
    try:
        return dict(connection.execute(query).fetchall())
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.prefect
def test_every_task_run_is_recorded_and_the_terminal_stays_quiet(start, home):
    # Written one by one, the events come faster than the server takes them, so there are many left
    # when the flow ends.
    process = start(40, 0, PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE="1")
    servers = run_until_flow_runs(process)
    output, errors = process.communicate(timeout=AT_MOST_S)
    assert (process.returncode, output, without_progress(errors)) == (0, "restored\n", "")
    assert task_runs(home) == {"COMPLETED": 40}
    assert newest_flow_run(home) == "COMPLETED"
    assert not any(server.is_running() for server in servers)


@pytest.mark.slow
@pytest.mark.prefect
def test_ctrl_c_spares_the_server_until_all_is_recorded(start, home):
    process = start(40, 2)
    servers = run_until_flow_runs(process)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=AT_MOST_S)
    assert (process.returncode, output) == (-signal.SIGINT, "restored\n")
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert newest_flow_run(home) == "CRASHED"
    assert "RUNNING" not in task_runs(home)
    assert not any(server.is_running() for server in servers)


@pytest.mark.slow
@pytest.mark.prefect
def test_no_server_outlives_a_killed_parent(start):
    killed = {to_signal: start(40, 2) for to_signal in (signal.SIGTERM, signal.SIGKILL)}
    servers = [server for process in killed.values() for server in run_until_flow_runs(process)]
    for to_signal, process in killed.items():
        process.send_signal(to_signal)
        assert process.wait(AT_MOST_S) == -to_signal
    _, alive = psutil.wait_procs(servers, timeout=AT_MOST_S)
    assert not alive


@pytest.mark.slow
@pytest.mark.prefect
def test_a_flow_whose_server_is_killed_or_hangs_goes_on_and_its_process_ends_soon(start):
    lost = {to_signal: start(0, 0, OUTLIVING) for to_signal in (signal.SIGKILL, signal.SIGSTOP)}
    servers = {to_signal: run_until_flow_runs(process)[0] for to_signal, process in lost.items()}
    for to_signal, process in lost.items():
        servers[to_signal].send_signal(to_signal)
        output, errors = process.communicate(
            "go on\n", timeout=30
        )  # Prefect alone would take minutes
        assert (process.returncode, output, len(without_progress(errors).splitlines())) == (
            0,
            "done\n",
            1,
        ), errors
        assert "no longer answers" in errors and "The run continues without it" in errors
        assert not servers[to_signal].is_running()


@pytest.mark.slow
@pytest.mark.prefect
def test_a_server_that_cannot_start_says_why(monkeypatch, tmp_path):
    database = f"sqlite+aiosqlite:///{tmp_path}/missing/prefect.db"
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", database)
    before = dict(os.environ)
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(PrefectServerError) as caught,
        prefect_server(),
    ):
        pass
    assert dict(os.environ) == before
    assert str(caught.value).startswith("the private Prefect server did not start (")
    assert "unable to open database file" in str(caught.value)


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def standing_server():
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{server.server_port}/api"}):
            yield
        server.shutdown()
        thread.join()


def test_the_server_of_the_user_is_used_and_nothing_is_touched(standing_server):
    before = dict(os.environ), PREFECT_API_URL.value(), psutil.Process().children()
    with prefect_server():
        assert (dict(os.environ), PREFECT_API_URL.value(), psutil.Process().children()) == before
    require_standing_server()


@pytest.mark.slow
def test_a_server_of_the_user_that_is_gone_is_named(nowhere):
    with temporary_settings({PREFECT_API_URL: f"{nowhere}/api"}):
        with (
            pytest.raises(
                PrefectServerError, match=rf"{re.escape(nowhere)}/api .*Unset PREFECT_API_URL"
            ),
            prefect_server(),
        ):
            pass
        with pytest.raises(
            PrefectServerError, match="Deployments need a standing server: start one"
        ):
            require_standing_server()


def test_schedules_ask_for_a_standing_server():
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(PrefectServerError) as caught,
    ):
        require_standing_server()
    assert str(caught.value) == (
        "deployments need a standing Prefect server, not a private one: start one with `prefect "
        "server start` in another terminal, and `export PREFECT_API_URL=http://127.0.0.1:4200/api` "
        "in this one"
    )
