"""Signals that arrive at a moment at which their exception would be lost or do harm.

They are sent again soon, when the moment is over.
"""

import signal
import threading
from types import FrameType

_SENT_AGAIN_AFTER_S = 0.05


def send_again(number: int) -> None:
    """Send a signal to the main thread soon. The next instructions may be at the same moment."""
    to_main = (threading.main_thread().ident or 0, number)
    again = threading.Timer(_SENT_AGAIN_AFTER_S, signal.pthread_kill, to_main)
    again.daemon = True
    again.start()


def creates_task_run(frame: FrameType | None) -> bool:
    """Tell whether a frame is at work for Prefect's creation of a task run.

    An exception that is raised there makes Prefect set the state of a task run that does not exist.
    The error of that hides the signal, so Prefect and the command line would report a failure.
    """
    while frame is not None:
        is_engine = frame.f_globals.get("__name__") == "prefect.task_engine"
        if is_engine and frame.f_code.co_name == "initialize_run":
            return getattr(frame.f_locals.get("self"), "task_run", None) is None
        frame = frame.f_back
    return False
