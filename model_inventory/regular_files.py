"""Opens what users name as regular files only: a pipe, a socket or a device in a file's place would
wait for ever, or act.
"""

import io
import os
import stat
from pathlib import Path

from diamond_cutter.model_inventory.errors import BadModel


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading.

    Raises:
        BadModel: it is a pipe, a socket or a device.
        OSError: it cannot be opened.
    """
    # Without O_NONBLOCK the opening of a pipe waits for a writer.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise BadModel(
        f"{path} is a pipe, a socket or a device, and a regular file is expected; give a copy of "
        "its content"
    )


def refuse_irregular_files(folder: Path) -> None:
    """Refuse a folder in which anything lies beside folders, regular files, and links to these.

    Raises:
        BadModel: names the first such entry.
    """
    for path in sorted(folder.iterdir()):
        if not path.is_file() and not path.is_dir():
            raise BadModel(
                f"{folder} holds {path.name[:80]!r}, which is no regular file: a pipe, a device "
                "or a broken link; remove it"
            )
