"""Child processes that the terminal's Ctrl-C does not reach and that never outlive this one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, NoReturn

PARENT_POLL_S = 0.5
ORPHAN_GRACE_S = 15.0
_KILL_WAIT_S = 10.0
_LOG_TAIL_BYTES = 2000


def start_child(
    module: str, *, pass_fd: int, environment: Mapping[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start `python -m module PARENT_PID FD` in its own session, with its output in `log`."""
    return subprocess.Popen(
        # -P: a user's own tasks.py or numpy.py must not be imported.
        [sys.executable, "-P", "-m", module, str(os.getpid()), str(pass_fd)],
        env={
            **environment,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        },
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[pass_fd],
        start_new_session=True,
    )


def stop_child(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Ask a child to end; after `grace_s` seconds kill it and its own children."""
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        kill_child(process)


def kill_child(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and its own children if it still runs."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # A process stuck in a device driver goes only when the driver lets it.
    with suppress(subprocess.TimeoutExpired):
        process.wait(_KILL_WAIT_S)


def log_tail(log: IO[bytes]) -> str:
    """Return the end of a child's output."""
    size = os.fstat(log.fileno()).st_size
    # pread, because seek would move the offset at which the child writes.
    tail = os.pread(log.fileno(), _LOG_TAIL_BYTES, max(0, size - _LOG_TAIL_BYTES))
    return tail.decode(errors="replace").strip()


def end_with_parent(parent_pid: int) -> None:
    """Make this process end soon after its parent, however the parent ends."""
    # Linux has a signal for this, but it is sent when the parent's *thread* ends, and task threads
    # come and go.
    threading.Thread(target=_outlast, args=(parent_pid,), daemon=True).start()


def _outlast(parent_pid: int) -> NoReturn:
    while os.getppid() == parent_pid:
        time.sleep(PARENT_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE_S)
    os._exit(1)
