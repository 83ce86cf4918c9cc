import os

import pytest

from diamond_cutter.tasks.devices.compiled_programs import (
    KEEP,
    UnsafeFolder,
    folder_for_compiled_programs,
)
from diamond_cutter.tasks.devices.environment import worker_environment


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(KEEP, "1")
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    return tmp_path / "cache"


def test_programs_are_kept_for_gpus_in_a_folder_of_the_users_own(cache, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=1")
    before = os.umask(0)
    try:
        flags = worker_environment("0")["TF_XLA_FLAGS"].split()
    finally:
        os.umask(before)
    folder = folder_for_compiled_programs()
    assert folder is not None and folder.parent == cache / "programs"
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert flags == [
        f"--tf_xla_persistent_cache_directory={folder}",
        "--tf_xla_persistent_cache_device_types=XLA_GPU_JIT",
        "--tf_xla_auto_jit=1",
    ]
    assert worker_environment("")["TF_XLA_FLAGS"] == "--tf_xla_auto_jit=1"


def test_by_default_no_programs_are_kept(cache, monkeypatch):
    monkeypatch.delenv(KEEP)
    assert "TF_XLA_FLAGS" not in worker_environment("0")
    assert not cache.exists()


def test_each_kind_of_gpu_has_a_folder(cache, monkeypatch, tmp_path):
    folders = []
    for gpu in ("H200, 570.1", "T4, 570.1", "H200, 570.1"):
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\necho '{gpu}'\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        folders.append(folder_for_compiled_programs())
    assert folders[0] == folders[2] != folders[1]


def test_a_folder_that_others_can_use_is_refused(cache):
    (cache / "programs").mkdir(parents=True)
    (cache / "programs").chmod(0o770)
    with pytest.raises(UnsafeFolder, match=r"expected a folder of your own .*found mode 770\. Run"):
        worker_environment("0")


def test_a_link_is_refused(cache, tmp_path):
    cache.mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (cache / "programs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFolder, match="found another kind of file"):
        worker_environment("0")
