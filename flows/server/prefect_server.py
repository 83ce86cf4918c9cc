"""The Prefect server of flow runs: the one at PREFECT_API_URL, or a private one during the run.

Prefect can start a private server by itself. But that server loses unrecorded task runs at the end
of the flow, survives a killed flow, and is started again by every child process.
"""

import http.client
import logging
import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker, PrefectConsoleHandler
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_HOME,
    get_current_settings,
    temporary_settings,
)

from diamond_cutter.flows.errors import PrefectServerError
from diamond_cutter.flows.events.progress import doing
from diamond_cutter.flows.exits import leave_at_once
from diamond_cutter.flows.server.crashed_runs import mark_crashed_runs
from diamond_cutter.flows.server.loss import is_lost
from diamond_cutter.tasks.devices.child_process import kill_child, log_tail, start_child, stop_child

_STARTUP_TIMEOUT_S = 120.0
_ANSWER_TIMEOUT_S = 30.0
_LAST_ANSWER_TIMEOUT_S = 10.0
_DRAIN_TIMEOUT_S = 30.0
_STOP_GRACE_S = 60.0

_HOW_TO_START = (
    "start one with `prefect server start` in another terminal, and `export "
    "PREFECT_API_URL=http://127.0.0.1:4200/api` in this one"
)


@contextmanager
def prefect_server() -> Iterator[None]:
    """Provide a Prefect server for the flow runs in the block, and keep its log off the terminal.

    Without PREFECT_API_URL, the server is private and uses the database in PREFECT_HOME. Child
    processes share it. At the end of the block it records all received events, and stops. It also
    stops if this process is killed.

    Raises:
        PrefectServerError: the server at PREFECT_API_URL does not answer, or the private one does
            not start.
    """
    with quiet_console():
        url = PREFECT_API_URL.value()
        if url:
            _check_answers(url, f"Unset PREFECT_API_URL to use a private one, or {_HOW_TO_START}")
            mark_crashed_runs()
            try:
                yield
            finally:
                if _is_gone(url):
                    leave_at_once()
            return
        with (
            _private_server() as (url, process),
            _environment(_client_variables(url)),
            temporary_settings({PREFECT_API_URL: url}),
        ):
            mark_crashed_runs()
            try:
                yield
            finally:
                if _is_gone(url):
                    leave_at_once()
                    kill_child(process)
                else:
                    EventsWorker.drain_all(timeout=_DRAIN_TIMEOUT_S)
                    APILogWorker.drain_all(timeout=_DRAIN_TIMEOUT_S)


def require_standing_server() -> None:
    """Check that there is a server that outlives this process, which schedules need.

    Raises:
        PrefectServerError: PREFECT_API_URL is not set, or the server there does not answer.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise PrefectServerError(
            f"deployments need a standing Prefect server, not a private one: {_HOW_TO_START}"
        )
    _check_answers(url, f"Deployments need a standing server: {_HOW_TO_START}")
    mark_crashed_runs()


def _check_answers(url: str, remedy: str) -> None:
    error = _silence(_ANSWER_TIMEOUT_S)
    if error is not None:
        raise PrefectServerError(
            f"no Prefect server answers at PREFECT_API_URL={url} ({error}). {remedy}."
        )


def _is_gone(url: str) -> bool:
    """Tell whether the server no longer answers."""
    return is_lost(url) or _silence(_LAST_ANSWER_TIMEOUT_S) is not None


def _silence(within_s: float) -> Exception | None:
    """Return the error of the server in use, or None if it answers."""
    with (
        temporary_settings({PREFECT_API_REQUEST_TIMEOUT: within_s, PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(sync_client=True) as client,
    ):
        return client.api_healthcheck()


@contextmanager
def _private_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryFile() as log:
        port = listener.getsockname()[1]
        process = start_child(
            "diamond_cutter.flows.server.process",
            pass_fd=listener.fileno(),
            environment=_server_variables(),
            log=log,
        )
        try:
            # Our copy must close: otherwise the waiting client would not notice a dead server.
            listener.close()
            with doing("starting a Prefect server"):
                healthy = _healthy(port)
            if not healthy:
                raise PrefectServerError(
                    f"the private Prefect server did not start ({_cause(log_tail(log))}). Check "
                    f"that its folder {PREFECT_HOME.value()} is writable, or {_HOW_TO_START}."
                )
            yield f"http://127.0.0.1:{port}/api", process
        finally:
            stop_child(process, _STOP_GRACE_S)


def _cause(printed: str) -> str:
    """Return the line of a traceback with the error, or the last line."""
    lines = printed.splitlines() or ["it printed nothing"]
    return next(
        (line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)),
        lines[-1],
    ).strip()


def _healthy(port: int) -> bool:
    # The socket listens from the start, so a single request waits until the server is ready.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_STARTUP_TIMEOUT_S)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _server_variables() -> dict[str, str]:
    return {
        # Many events per transaction: SQLite is too slow to write them one by one.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        **os.environ,
        **get_current_settings().to_environment_variables(exclude_unset=True),
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def _client_variables(url: str) -> dict[str, str]:
    proxied = os.environ.get("no_proxy", os.environ.get("NO_PROXY"))
    return {
        "PREFECT_API_URL": url,
        "DO_NOT_TRACK": "1",
        # A proxy in the user's environment cannot reach this server.
        "no_proxy": f"{proxied},127.0.0.1" if proxied else "127.0.0.1",
    }


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def quiet_console() -> Iterator[None]:
    """Keep Prefect's log off the terminal, unless PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL is set.

    The server still gets the log.
    """
    console = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, PrefectConsoleHandler)
    ]
    internal = logging.getLogger("prefect._internal").handlers
    handlers = [handler for handler in (*console, *internal) if handler.level == logging.NOTSET]
    for handler in handlers:
        handler.addFilter(_is_worth_printing)
    # Otherwise each log record that cannot be sent is printed.
    raising, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = raising
        for handler in handlers:
            handler.removeFilter(_is_worth_printing)


def _is_worth_printing(record: logging.LogRecord) -> bool:
    # The command prints its own sentence for each error; the server keeps the tracebacks.
    return record.levelno >= logging.CRITICAL
