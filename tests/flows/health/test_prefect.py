"""The Prefect server is told from other servers, and its version from others."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import prefect
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from diamond_cutter.flows.health.findings import Check, Finding, run_checks
from diamond_cutter.flows.health.prefect import check_prefect
from diamond_cutter.storage import staging
from tests.storage.loopback import listening


@contextmanager
def serving(answer: str, status: int = 200, ahead_s: float = 0.0) -> Iterator[str]:
    """Run a server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", formatdate(time.time() + ahead_s, usegmt=True))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with listening(Handler) as url:
        yield f"{url}/api"


def findings_at(url: str | None, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def check(stop: object) -> Iterator[Finding]:
        with temporary_settings({PREFECT_API_URL: url}):  # settings belong to a thread
            yield from check_prefect(stop)  # type: ignore[arg-type]

    return run_checks([Check("Prefect", 60, check)])  # type: ignore[arg-type]


def test_a_server_of_this_version_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(f'"{prefect.__version__}"') as url:
        found, clock = findings_at(url, monkeypatch)
    assert (found.state, clock.state) == ("ok", "ok")
    assert f"{url} answers and has version {prefect.__version__}" in found.found


@pytest.mark.parametrize(
    ("answer", "status", "state", "words"),
    [
        ('"3.1.0"', 200, "warning", "Update the server to"),
        ('"2.20.1"', 200, "failed", "Versions must agree in their first number"),
        ("<html>Welcome</html>", 200, "failed", "is not a Prefect server (its answer is not JSON)"),
        ('{"version": 3}', 200, "failed", "is not a Prefect server (its answer is not a version)"),
        ('"soon"', 200, "failed", "is not a Prefect server (Invalid version: 'soon')"),
        ("no such page", 404, "failed", "found HTTP status 404. Correct the address"),
        ("who are you", 401, "failed", "found HTTP status 401. Correct the address"),
    ],
)
def test_other_servers(
    answer: str, status: int, state: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answer, status) as url:
        found = findings_at(url, monkeypatch)[0]
    assert (found.check, found.state) == ("Prefect", state)
    assert words in found.found


def test_a_server_that_is_gone(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = findings_at(f"{nowhere}/api", monkeypatch)
    assert found.state == "failed"
    assert f"no Prefect server answers at PREFECT_API_URL={nowhere}/api" in found.found


@pytest.mark.parametrize(("ahead_s", "state"), [(-120, "failed"), (12, "warning"), (0, "ok")])
def test_the_clock_is_compared_with_the_servers(
    ahead_s: float, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(f'"{prefect.__version__}"', ahead_s=ahead_s) as url:
        clock = findings_at(url, monkeypatch)[1]
    assert (clock.check, clock.state) == ("clock", state)
    assert ("ahead of" in clock.found) is (ahead_s < 0) or ahead_s == 0


def test_private_servers_need_a_writable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = findings_at(None, monkeypatch)
    assert found.state == "ok"
    assert f"private server, database in {PREFECT_HOME.value()}, writable" in found.found

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(staging, "check_writable", refuse)
    (found,) = findings_at(None, monkeypatch)
    assert found.state == "failed"
    assert found.found.startswith("not allowed to write the database of a private Prefect server")
