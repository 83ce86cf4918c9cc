"""TensorFlow's log stays off the terminal, and no command imports TensorFlow in its own process."""

import subprocess
import sys
from pathlib import Path

import pytest

_LOGS = "import os; os.write(2, b'oneDNN custom operations are on'); error = 'of TensorFlow'"


def _run(code: str, *path: Path) -> "subprocess.CompletedProcess[str]":
    lines = [f"import sys; sys.path[:0] = {[str(folder) for folder in path]}", code]
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )


def test_the_import_of_tensorflow_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(_LOGS)
    code = """
from diamond_cutter.tasks.devices.tensorflow_import import import_tensorflow_quietly
import_tensorflow_quietly()
import tensorflow
print(tensorflow.error, file=sys.stderr)
"""
    done = _run(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "of TensorFlow\n")


@pytest.mark.slow
def test_no_command_imports_tensorflow_in_its_own_process() -> None:
    code = """
import importlib, pkgutil
import diamond_cutter.flows
for module in pkgutil.walk_packages(diamond_cutter.flows.__path__, "diamond_cutter.flows."):
    importlib.import_module(module.name)
    assert not {"keras", "tensorflow"} & sys.modules.keys(), module.name
"""
    done = _run(code)
    assert done.returncode == 0, done.stderr
