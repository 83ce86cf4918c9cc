"""Files that take seconds to make are made once for all test processes of a run."""

import atexit
import fcntl
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FOLDER = "DIAMOND_CUTTER_TESTS_FOLDER"


def share_a_folder() -> None:
    """Make a folder for this test process and those that it starts, deleted when it ends."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="diamond-cutter-tests-shared-")
        atexit.register(shutil.rmtree, os.environ[_FOLDER], ignore_errors=True)


def made_once(save: Callable[..., Path]) -> Callable[..., Path]:
    """Let the first call make a file; later ones, in any process, write the same bytes."""
    made: dict[tuple[Any, ...], bytes] = {}

    @functools.wraps(save)
    def write(path: Path, **options: Any) -> Path:
        kind = path.suffix, *sorted(options.items())
        if kind not in made:
            name = "-".join([save.__name__, *map(str, kind)])
            made[kind] = _of_the_run(name, lambda: save(path, **options).read_bytes())
        path.write_bytes(made[kind])
        return path

    return write


def _of_the_run(name: str, make: Callable[[], bytes]) -> bytes:
    """Return the bytes of that name that some process of the run has made, or make them."""
    file = Path(os.environ[_FOLDER], name)
    with Path(f"{file}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            return file.read_bytes()
        data = make()
        file.write_bytes(data)
        return data
