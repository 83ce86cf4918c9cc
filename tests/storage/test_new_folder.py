"""A new folder outside of buckets is there with all its files, or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diamond_cutter.storage.errors import StorageError
from diamond_cutter.storage.new_folder import check_new_folder, new_folder
from diamond_cutter.storage.staging import LEFTOVER_AGE_S

KILLED = """
import os, signal, sys
from pathlib import Path
from diamond_cutter.storage.new_folder import new_folder
with new_folder(Path(sys.argv[1])) as made:
    (made / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("exists", [False, True])
def test_the_folder_appears_with_all_its_files(tmp_path: Path, exists: bool) -> None:
    place = tmp_path / "new" / "folder"
    if exists:
        place.mkdir(parents=True)
    with new_folder(place) as made:
        (made / "inner").mkdir()
        (made / "inner" / "file").write_text("whole")
        assert not place.exists() or not list(place.iterdir())
    assert (place / "inner" / "file").read_text() == "whole"
    assert os.listdir(tmp_path / "new") == ["folder"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "new") as made:
        (made / "half").write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_after_a_kill_the_folder_is_missing_and_can_be_written(tmp_path: Path) -> None:
    place = tmp_path / "new"
    done = subprocess.run([sys.executable, "-c", KILLED, str(place)])
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".new.partial.")
    with new_folder(place) as made:
        (made / "file").write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([left, place])
    old_s = left.stat().st_mtime - 2 * LEFTOVER_AGE_S
    os.utime(left, (old_s, old_s))
    (place / "file").unlink()
    with new_folder(place):
        pass
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_that_is_not_new_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for place, problem in (
        (tmp_path, "has files: expected a new or empty folder"),
        (tmp_path / "file", "is a file: expected a folder"),
        (tmp_path / "empty", "is the current folder or a disk"),
        (tmp_path / "file" / "new", "not a directory"),
    ):
        with pytest.raises(StorageError, match=f"(?i){problem}") as refused:
            with new_folder(place):
                pass
        assert "\n" not in str(refused.value)
    assert (tmp_path / "file").read_text() == "mine"
    check_new_folder(tmp_path / "other")


def test_a_leftover_of_a_long_name_is_deleted_too(tmp_path: Path) -> None:
    place = tmp_path / ("long" * 40)
    with new_folder(place) as left:
        pass
    left.mkdir()
    os.utime(left, (0, 0))
    with new_folder(place):
        pass
    assert list(tmp_path.iterdir()) == [place]
