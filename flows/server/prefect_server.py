"""The Prefect server that flow runs report to: the one PREFECT_API_URL names, or a private one for
as long as they run.

Prefect would start a private server by itself, but that one loses the task runs it has not recorded
when the flow ends, is left behind when the flow is killed, and is started once more by every child
process.
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
from diamond_cutter.flows.exits import leave_at_once
from diamond_cutter.flows.progress import doing
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
    """Give the flow runs inside a Prefect server, and keep Prefect's log off the terminal.

    Without PREFECT_API_URL the server is a private one with the database of the user's
    PREFECT_HOME. Child processes share it. On leaving, it records what the runs have sent, and
    stops; it also stops when this process is killed.

    Raises:
        PrefectServerError: The server that PREFECT_API_URL names does not answer, or the private
            one does not start.
    """
    with _quiet_console():
        url = PREFECT_API_URL.value()
        if url:
            _check_answers(url, f"unset PREFECT_API_URL to do without, or {_HOW_TO_START}")
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
    """Check that there is a server which outlives this process, as schedules need.

    Raises:
        PrefectServerError: PREFECT_API_URL is not set, or what it names does not answer.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise PrefectServerError(
            f"Schedules do not fire on a private Prefect server: {_HOW_TO_START}."
        )
    _check_answers(url, f"schedules do not fire on a private one, so {_HOW_TO_START}")
    mark_crashed_runs()


def _check_answers(url: str, remedy: str) -> None:
    error = _silence(_ANSWER_TIMEOUT_S)
    if error is not None:
        raise PrefectServerError(
            f"No Prefect server answers at PREFECT_API_URL={url} ({error}): {remedy}."
        )


def _is_gone(url: str) -> bool:
    """Tell whether the server does not answer any more."""
    return is_lost(url) or _silence(_LAST_ANSWER_TIMEOUT_S) is not None


def _silence(within_s: float) -> Exception | None:
    """Return why the server in use does not answer, or None if it does."""
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
            # Ours must close, or nobody would tell the waiting client that the server has died.
            listener.close()
            with doing("starting a Prefect server"):
                healthy = _healthy(port)
            if not healthy:
                raise PrefectServerError(
                    f"The private Prefect server did not start ({_cause(log_tail(log))}); see "
                    f"that its folder {PREFECT_HOME.value()} "
                    f"can be written, or {_HOW_TO_START}."
                )
            yield f"http://127.0.0.1:{port}/api", process
        finally:
            stop_child(process, _STOP_GRACE_S)


def _cause(printed: str) -> str:
    """Return the line of a traceback that says what happened, or the last line."""
    lines = printed.splitlines() or ["it printed nothing"]
    return next(
        (line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)),
        lines[-1],
    ).strip()


def _healthy(port: int) -> bool:
    # The socket listens from the start, so one request waits until the server is up.
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
        # One transaction for many events: written one by one, they come faster than SQLite takes
        # them.
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
        # A proxy that the user needs for elsewhere cannot reach this server.
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
def _quiet_console() -> Iterator[None]:
    """Leave the terminal to us, unless the user has set PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL; the
    server still gets all.
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
    raising, logging.raiseExceptions = (
        logging.raiseExceptions,
        False,
    )  # or each log that cannot be sent is printed
    try:
        yield
    finally:
        logging.raiseExceptions = raising
        for handler in handlers:
            handler.removeFilter(_is_worth_printing)


def _is_worth_printing(record: logging.LogRecord) -> bool:
    # What fails, the command says in a sentence of its own; the server keeps the log with its
    # tracebacks.
    return record.levelno >= logging.CRITICAL
