"""Names a process in a way that another process can check: is it gone?

Runs have the name of their process on the Prefect server, and claims have it in the bucket.
"""

import os
import socket
from pathlib import Path
from typing import Self

import psutil

from diamond_cutter.frozen_model import FrozenModel


class ProcessIdentity(FrozenModel):
    """A process: its machine, its number, and its start, because numbers are used again.

    host: this boot of the machine and the process namespace (of a container).
    """

    host: str
    pid: int
    started: str

    @classmethod
    def of_this_process(cls) -> Self:
        """Return the identity of this process."""
        return cls(host=_this_host(), pid=os.getpid(), started=_start_of(os.getpid()))

    def is_known_to_be_gone(self) -> bool:
        """Tell whether the process ran on this machine and has ended."""
        if self.host != _this_host():
            return False
        if not psutil.pid_exists(self.pid):
            return True
        try:
            status = psutil.Process(self.pid).status()
            return status == psutil.STATUS_ZOMBIE or _start_of(self.pid) != self.started
        except psutil.NoSuchProcess:
            return True
        except (psutil.AccessDenied, PermissionError):
            return False


def _this_host() -> str:
    try:
        boot, processes = (
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            os.stat("/proc/self/ns/pid").st_ino,
        )
    except OSError:
        return f"{socket.gethostname()} {psutil.boot_time():.0f}"
    return f"{socket.gethostname()} {boot} {processes}"


def _start_of(pid: int) -> str:
    """Return the start of a process, in ticks if available: these do not depend on the clock."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return str(psutil.Process(pid).create_time())
