"""The folder in which TensorFlow keeps the programs that XLA compiles for GPUs, if the user wants.

It is off by default, because of how TensorFlow 2.21 keeps them
(`tensorflow/compiler/jit/device_executable_persistor.h`):

- A program is found by the hash of its operations and of its name, and the name holds a counter of
  the process. So only a process that compiles the same layers in the same order finds it again.
- The weights are in the program, once for each side of the network's input, and a file cannot
  exceed 2 GB.
- A program that cannot be written is an error of the call that compiled it.

TensorFlow writes each file under another name first, so that a kill leaves no half of it.
"""

import hashlib
import os
import stat
import subprocess
from importlib.metadata import version
from pathlib import Path

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.model_inventory.weights import cache_folder

KEEP = "DIAMOND_CUTTER_KEEP_PROGRAMS"


class UnsafeFolder(DiamondCutterError):
    """Other users could put programs into the folder."""


def folder_for_compiled_programs() -> Path | None:
    """Return the folder for this TensorFlow and these GPUs, or None if the user wants none.

    Raises:
        UnsafeFolder: the folder is not the user's own, or others may write to it.
    """
    if os.environ.get(KEEP, "") in ("", "0"):
        return None
    programs = cache_folder() / "programs"
    programs.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_unsafe(programs)
    # TensorFlow does not compare these when it loads a program.
    made_for = f"{version('tensorflow')}\n{_gpus()}"
    folder = programs / hashlib.sha256(made_for.encode()).hexdigest()[:16]
    folder.mkdir(mode=0o700, exist_ok=True)
    _refuse_unsafe(folder)
    return folder


def _refuse_unsafe(folder: Path) -> None:
    """Raise an error unless the folder is the user's own, and nobody else can read or change it."""
    found = folder.lstat()
    problem = None
    if not stat.S_ISDIR(found.st_mode):
        problem = "another kind of file"
    elif found.st_uid != os.geteuid():
        problem = f"a folder of user {found.st_uid}"
    elif found.st_mode & 0o077:
        problem = f"mode {stat.S_IMODE(found.st_mode):o}"
    if problem:
        raise UnsafeFolder(
            f"the folder {folder} cannot keep compiled programs: expected a folder of your own "
            f"with mode 700, found {problem}. Run `chmod 700 {folder}`, or unset {KEEP}."
        )


def _gpus() -> str:
    """Return the names of the GPUs and the version of their driver, or an empty text."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
