"""What calls on devices are doing, such as loading TensorFlow, for whoever shows it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], object]] = []


@contextmanager
def phases_heard_by(listener: Callable[[str], object]) -> Iterator[None]:
    """Pass the phases of all calls without a receiver of their own to a listener in the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell_phase(value: object) -> None:
    """Tell the listeners what is being done; values other than text are counts, and ignored."""
    if isinstance(value, str):
        for listener in tuple(_listeners):
            listener(value)
