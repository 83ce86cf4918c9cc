"""The process of a device slot; it answers calls until its pipe closes.

It is started as `python -m diamond_cutter.tasks.devices.worker PARENT_PID FD`.
"""

import os
import pickle
import signal
import sys
import traceback
from multiprocessing.connection import Connection

from diamond_cutter.tasks.devices.child_process import end_with_parent
from diamond_cutter.tasks.devices.slots import Message, Raised, report_progress_to
from diamond_cutter.tasks.devices.tensorflow_import import import_tensorflow_without_keras


def main() -> None:
    """Answer the calls that arrive on the pipe, one at a time."""
    # The parent decides whether to stop the work.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent_pid, pipe = (int(argument) for argument in sys.argv[1:])
    end_with_parent(parent_pid)
    import_tensorflow_without_keras()
    # Processes that the work starts must not hold the pipe open after this one.
    os.set_inheritable(pipe, False)
    with Connection(pipe) as connection:
        report_progress_to(connection)
        while True:
            try:
                request = connection.recv_bytes()
            except EOFError:
                return
            connection.send_bytes(_answer(request, connection))


def _answer(request: bytes, connection: Connection) -> bytes:
    try:
        function, args = pickle.loads(request)
        connection.send(Message("started"))
        return pickle.dumps(Message("result", function(*args)))
    except BaseException as error:
        return pickle.dumps(Message("raised", _packed(error)))


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
