"""What a worker and its parent send each other, and how a worker reports progress."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple

# The first byte of a request: a call that is answered, or work ahead of a call, which is not.
CALL, AHEAD = b"c", b"a"

# Codes of CUDA and its libraries that mean the device. A lack of memory, or an operation that the
# device does not support, is the fault of the call.
_OF_DEVICE = re.compile(
    r"CUDA_ERROR_(?!OUT_OF_MEMORY)\w+"
    r"|(CUDNN|CUBLAS|CUSOLVER|CUFFT)_(STATUS_)?(NOT_INITIALIZED|INTERNAL_ERROR|EXECUTION_FAILED|EXEC_FAILED)"
    r"|no CUDA-capable device|GPU is lost|has fallen off the bus|uncorrectable ECC error"
)


class Message(NamedTuple):
    """A message from a worker."""

    kind: Literal["started", "progress", "result", "raised"]
    value: Any = None


class Raised(NamedTuple):
    """An exception on its way to the caller: as text, and pickled if possible."""

    text: str
    pickled: bytes | None


_parent: Connection | None = None
_phase = ""


def report_progress_to(parent: Connection) -> None:
    """Make this process a worker that sends its progress to `parent`."""
    global _parent
    _parent = parent


def report_progress(value: object) -> None:
    """Send a small value to the `on_progress` of this worker's call; elsewhere do nothing.

    Text is the phase of the call that has begun, numbers are counts.
    """
    global _phase
    if isinstance(value, str):
        _phase = value
    if _parent is not None:
        _parent.send(Message("progress", value))


def forget_phase() -> None:
    """Forget the phase of the call before."""
    global _phase
    _phase = ""


@contextmanager
def phase(text: str) -> Iterator[None]:
    """Report a phase for the block, then again the phase that it interrupts."""
    before = _phase
    report_progress(text)
    try:
        yield
    finally:
        report_progress(before)


def is_of_device(text: str) -> bool:
    """Tell whether the text of an error blames the device, not the call."""
    return _OF_DEVICE.search(text) is not None
