"""One Prefect server for all tests of flows; commands that are started find it through
PREFECT_API_URL.
"""

import fcntl
import functools
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import prefect.main  # noqa: F401  before TensorFlow: it closes all streams that are logged to by then, pytest's among them
import pytest

from tests.waiting import AT_MOST_S, without_progress

if TYPE_CHECKING:
    from diamond_cutter.tasks.devices import DeviceSlots
    from tests.storage.gcs_server import GcsServer


def small(steps: int) -> tuple[str, ...]:
    """Return the options of sprites that take no time and are not tried again; what they look like
    is other tests' business.
    """
    return (
        "--recipe.ladder",
        "--recipe.size-px",
        "32",
        "--recipe.steps",
        str(steps),
        "--recipe.input-sides",
        "1",
    )


SMALL = small(steps=4)

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep commands in this process from telling how far they are, as they do every few seconds:
    sentences are counted here.
    """
    from diamond_cutter.flows.events import display

    for name in ("EVERY_S", "FIRST_AFTER_S"):
        monkeypatch.setattr(display, name, 3600.0)


@pytest.fixture
def signals_restored() -> Iterator[None]:
    """Restore the handlers of signals after a test, because a run that is stopped keeps its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the database of a new Prefect server is, once `server` has begun in some test
    process; a PREFECT_HOME that gets a copy saves five seconds of a processor.
    """
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "prefect.db"


@pytest.fixture(scope="session")
def server(new_database: Path) -> Iterator[None]:
    """Run a Prefect server as long as there are tests that need it."""
    from diamond_cutter.flows.server.prefect_server import prefect_server

    database = Path(os.environ["PREFECT_HOME"], "prefect.db")
    with new_database.with_suffix(".lock").open("w") as lock, ExitStack() as until_the_end:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not new_database.exists():
            until_the_end.enter_context(prefect_server())
            with closing(sqlite3.connect(database)) as begun:
                begun.execute("VACUUM INTO ?", [str(new_database)])
            fcntl.flock(lock, fcntl.LOCK_UN)
        else:
            fcntl.flock(lock, fcntl.LOCK_UN)
            shutil.copy(new_database, database)
            until_the_end.enter_context(prefect_server())
        yield


@pytest.fixture(scope="session")
def diamond_cutter() -> Command:
    """Return what runs the command line in a process of its own, and returns how it ended."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "diamond_cutter.flows.cli.main", *arguments]
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=3 * AT_MOST_S,
        )
        done.stderr = without_progress(done.stderr)
        return done

    return run


@pytest.fixture(scope="session")
def gcs_server() -> "Iterator[GcsServer]":
    """Run the server of Google Cloud Storage that lasting processes find."""
    from tests.storage.gcs_server import serving

    with serving() as server:
        yield server


def _find_gcs(patch: pytest.MonkeyPatch, server: "GcsServer") -> None:
    patch.setenv("STORAGE_EMULATOR_HOST", server.url)
    patch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def gcs_place(gcs_server: "GcsServer", monkeypatch: pytest.MonkeyPatch) -> "GcsServer":
    """Return the server with an empty bucket named `place`."""
    _find_gcs(monkeypatch, gcs_server)
    gcs_server.forget()
    gcs_server.make("place")
    return gcs_server


@pytest.fixture(scope="session")
def lasting_slots(gcs_server: "GcsServer") -> "Iterator[DeviceSlots]":
    """Return devices whose processes stay when a run ends, so that TensorFlow is imported once for
    many runs.
    """
    from diamond_cutter.tasks.devices import DeviceSlots, visible_devices

    with DeviceSlots(visible_devices()) as slots:
        with pytest.MonkeyPatch.context() as patch:
            _find_gcs(patch, gcs_server)
            # It begins at once, with the environment of no single test.
            slots.run(os.getpid, timeout_s=AT_MOST_S)
        yield slots


@pytest.fixture(scope="session")
def lasting_scorers(gcs_server: "GcsServer") -> "Iterator[Callable[[], DeviceSlots]]":
    """Return a function for a process without a device that stays when a run ends, like
    `lasting_slots`. It begins when a run first needs it: few files score layers.
    """
    from diamond_cutter.tasks.devices import DeviceSlots

    of_no_test = dict(os.environ)
    with ExitStack() as until_the_end:

        @functools.cache
        def scorers() -> DeviceSlots:
            slots = until_the_end.enter_context(DeviceSlots([""]))
            with (
                mock.patch.dict(os.environ, of_no_test, clear=True),
                pytest.MonkeyPatch.context() as patch,
            ):
                _find_gcs(patch, gcs_server)
                slots.run(os.getpid, timeout_s=AT_MOST_S)
            return slots

        yield scorers


def _find_ready(
    patch: pytest.MonkeyPatch,
    slots: "DeviceSlots",
    scorers: "Callable[[], DeviceSlots] | None" = None,
) -> None:
    """Let runs in this process find processes that have begun; that a run starts and ends its own
    is others' business.
    """
    modules = ("cli.estimates", "cli.models", "model_check", "run_scope", "tuning")
    found: dict[str, Callable[[], DeviceSlots]] = dict.fromkeys(modules, lambda: slots)
    if scorers is not None:
        found |= dict.fromkeys(("comparing", "cutting"), scorers)
    for module, ready in found.items():
        patch.setattr(
            f"diamond_cutter.flows.{module}.DeviceSlots",
            lambda devices, ready=ready: nullcontext(ready()),
        )


@pytest.fixture
def ready_devices(lasting_slots: "DeviceSlots", monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs in this process find devices whose processes have begun."""
    _find_ready(monkeypatch, lasting_slots)


@pytest.fixture(scope="session")
def at_once(
    server: None, lasting_slots: "DeviceSlots", lasting_scorers: "Callable[[], DeviceSlots]"
) -> Command:
    """Return what runs the command line in this process, without the wait for imports.

    That a command does as well in a process of its own is what the tests of the wheel and of
    interrupted runs show.
    """
    from diamond_cutter.flows.cli.main import run as run_command
    from diamond_cutter.flows.events import display

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        printed, said = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(printed),
            redirect_stderr(said),
        ):
            _find_ready(patch, lasting_slots, lasting_scorers)
            for name in ("EVERY_S", "FIRST_AFTER_S"):
                patch.setattr(display, name, 3600.0)
            code = run_command(list(arguments))
        return subprocess.CompletedProcess(arguments, code, printed.getvalue(), said.getvalue())

    return run


@pytest.fixture
def only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have folders refuse what is written, as a read-only disk does; root cannot be kept out by a
    folder's mode.
    """
    from diamond_cutter.storage import AccessDenied, LocalBucket

    def refuse(*arguments: object, **options: object) -> None:
        raise AccessDenied("Not allowed to keep objects here. Give another folder.")

    for method in ("check", "put", "delete"):
        monkeypatch.setattr(LocalBucket, method, refuse)


@pytest.fixture
def imported(rendered: tuple[Path, dict[str, Any]], tmp_path: Path) -> tuple[Path, str]:
    """Return a bucket of one's own that has the model and nothing else, and the model's key."""
    shutil.copytree(rendered[0] / "models", tmp_path / "bucket" / "models")
    return tmp_path / "bucket", rendered[1]["model"]


@pytest.fixture
def wide_bucket(tmp_path: Path) -> Path:
    """Return a bucket of one's own that has the network `wide` and nothing else."""
    from diamond_cutter.tasks.importing.stored import keep_bundle
    from tests.flows.wide_network import wide_network

    keep_bundle(str(tmp_path / "bucket"), wide_network())
    return tmp_path / "bucket"


@pytest.fixture(scope="session")
def rendered(
    at_once: Command, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """Return a bucket with eight sprites of the stem, and what the command printed; copy it before
    changing it.
    """
    bucket = tmp_path_factory.mktemp("rendered") / "bucket"
    arguments = ("--layers", "stem", "--channels", "0:8", "--bucket", str(bucket), "--json")
    done = at_once("sprites", "efficientnet-lite0", *arguments, *SMALL)
    assert done.returncode == 0, done.stderr
    return bucket, json.loads(done.stdout)
