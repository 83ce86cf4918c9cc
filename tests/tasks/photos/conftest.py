"""Folders of small images, and a user who may not read everything."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_NOBODY = 65534


@pytest.fixture
def not_root() -> Iterator[Path]:
    """Return a folder, and be a user whom permissions hold for; root, as whom tests may run, reads
    everything.
    """
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, _NOBODY, _NOBODY)
        os.seteuid(_NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for below, _, _ in os.walk(folder):
            os.chmod(below, 0o700)
        shutil.rmtree(folder)
