"""Damages the files of a report in turn, and then all at once."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.flows.conftest import Command


def check_damage(
    bucket: Path,
    damaged: Sequence[Path],
    stored: Callable[[], object | None],
    mend: Callable[[], int],
    at_once: Command,
) -> list[tuple[Path, bytes]]:
    """Check that each damage is named and makes a report be refused, and that one command mends
    all.

    Args:
        bucket: the folder of the bucket.
        damaged: the files to damage.
        stored: returns the report, or None if it is not whole.
        mend: runs the command of the report, and returns its exit code.
        at_once: runs other commands.

    Returns:
        the files with their contents from before the damage.
    """
    whole = [(path, path.read_bytes()) for path in damaged]
    for path, data in whole:
        path.write_bytes(data[: len(data) // 2])
        told = at_once("verify", "--bucket", str(bucket))
        assert told.returncode == 1 and path.name in told.stdout
        assert stored() is None, path
        path.write_bytes(data)
    assert stored() is not None
    for path, data in whole:
        path.write_bytes(data[: len(data) // 2])
    assert mend() == 0
    assert at_once("verify", "--bucket", str(bucket)).returncode == 0
    return whole
