"""What is dear to make is made once for all tests. TensorFlow is imported by the tests that need
it, and by no other.
"""

import gc
import os
import signal
import socket
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.made_once import share_a_folder
from tests.unoptimised_graphs import run_as_they_are

# Prefect reads it when it is imported; no test touches the runs of whoever tests.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="diamond-cutter-tests-")
os.environ["DO_NOT_TRACK"] = "1"
share_a_folder()
# As the processes of devices have it: sprites are the same bit for bit in any company with the
# kernels that render them.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Test processes and those that they start share the cores. Threads of linear algebra would wait for
# each other, and burn a processor meanwhile.
for library in ("OPENBLAS", "OMP"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
# Imports make many objects that stay; `pytest_collection_finish` begins to look for garbage.
gc.disable()

# Tests that run in the background of a script ignore Ctrl-C, and so would the commands that they
# start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.scheduler import LoadFileScheduling

    from benchmarks.lucid_reference import Lucid
    from diamond_cutter.model_inventory.bundle import Bundle
    from tests.storage.gcs_server import GcsServer


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one process more than there are cores: many tests wait for other processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadFileScheduling | None":
    """Give the tests of a file to one process, and all tests in a browser to one.

    They mostly wait for Chromium, so the other processes compute meanwhile, and it begins once.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            in_browser = nodeid.startswith("tests/browser/")
            return "browser" if in_browser else str(super()._split_scope(nodeid))

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run a whole flow as slow."""
    for item in items:
        if item.get_closest_marker("prefect"):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Keep imported modules from being looked through for garbage: with TensorFlow it takes 0.3 s
    each time, and Keras does it whenever its session is cleared.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    if "tensorflow" in sys.modules:
        run_as_they_are()


@pytest.fixture(scope="session")
def lite0() -> "Bundle":
    """Return the bundle of a real network, efficientnet-lite0."""
    from diamond_cutter.model_inventory.catalogue import import_model

    return import_model("efficientnet-lite0")


@pytest.fixture(scope="session")
def toy() -> "Bundle":
    """Return the bundle of a made-up network of four layers."""
    from tests.toy_network import toy_bundle

    return toy_bundle()


@pytest.fixture(scope="session")
def lucid() -> "Lucid":
    """Return lucid, the reference."""
    from benchmarks.lucid_reference import import_lucid

    return import_lucid()


@pytest.fixture
def optimised() -> "Iterator[None]":
    """Let TensorFlow optimise graphs, as it does for users."""
    run_as_they_are(False)
    yield
    run_as_they_are()


@pytest.fixture
def nowhere() -> "Iterator[str]":
    """Return an address where nobody listens, and nobody else will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def gcs_place(monkeypatch: pytest.MonkeyPatch) -> "Iterator[GcsServer]":
    """Run a server of Google Cloud Storage with an empty bucket named `place`, which whoever asks
    for gs:// in this test finds.
    """
    from tests.storage.gcs_server import serving

    with serving() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        server.make("place")
        yield server
