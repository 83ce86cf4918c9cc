"""The process of a device slot; it answers calls until its pipe closes.

It is started as `python -m diamond_cutter.tasks.devices.worker PARENT_PID FD`.
"""

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection

from diamond_cutter.garbage import collect_rarely
from diamond_cutter.tasks.devices.child_process import end_with_parent
from diamond_cutter.tasks.devices.messages import (
    AHEAD,
    Message,
    Raised,
    forget_phase,
    report_progress_to,
)
from diamond_cutter.tasks.devices.tensorflow_import import import_tensorflow_without_keras


def main() -> None:
    """Answer the calls that arrive on the pipe, one at a time; work ahead beside them."""
    # The parent decides whether to stop the work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent_pid, pipe = (int(argument) for argument in sys.argv[1:])
    end_with_parent(parent_pid)
    collect_rarely()
    import_tensorflow_without_keras()
    # Processes that the work starts must not hold the pipe open after this one.
    os.set_inheritable(pipe, False)
    with Connection(pipe) as connection:
        report_progress_to(connection)
        calls: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # Calls run in the main thread, where libraries expect them.
        threading.Thread(target=_receive, args=(connection, calls), daemon=True).start()
        while (request := calls.get()) is not None:
            connection.send_bytes(_answer(request, connection))


def _receive(connection: Connection, calls: "queue.SimpleQueue[bytes | None]") -> None:
    """Queue each call, and start a thread for each piece of work ahead; None is the end."""
    while True:
        try:
            content = connection.recv_bytes()
        except (EOFError, OSError):
            calls.put(None)
            return
        kind, request = content[:1], content[1:]
        if kind == AHEAD:
            threading.Thread(target=_work_ahead, args=(request,), daemon=True).start()
        else:
            calls.put(request)


def _answer(request: bytes, connection: Connection) -> bytes:
    try:
        function, args = pickle.loads(request)
        connection.send(Message("started"))
        forget_phase()
        return pickle.dumps(Message("result", function(*args)))
    except BaseException as error:
        return pickle.dumps(Message("raised", _packed(error)))


def _work_ahead(request: bytes) -> None:
    try:
        function, args = pickle.loads(request)
        function(*args)
    except BaseException:
        # If the call comes, it meets the same error, and its caller can do something about it.
        traceback.print_exc()


def _packed(error: BaseException) -> Raised:
    text = "".join(traceback.format_exception(error)).rstrip()
    # An exit or an interrupt in this process must not end the caller.
    if not isinstance(error, Exception):
        return Raised(text, None)
    try:
        pickled = pickle.dumps(error)
        # Some exceptions can be pickled but not unpickled, because they need other arguments.
        if type(pickle.loads(pickled)) is not type(error):
            return Raised(text, None)
    except Exception:
        return Raised(text, None)
    return Raised(text, pickled)


if __name__ == "__main__":
    main()
