"""The terminal behind standard error, on which bars may be drawn."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_COMMAND = "diamond-cutter "

_drawn_on: list[Console] = []


@contextmanager
def drawing_on(console: Console) -> Iterator[None]:
    """Print on this console in the block, so that lines appear above its bars."""
    _drawn_on.append(console)
    try:
        yield
    finally:
        _drawn_on.remove(console)


def standard_error() -> Console:
    """Return the console of standard error: the one with bars if there are any."""
    return _drawn_on[-1] if _drawn_on else Console(stderr=True, highlight=False)


def print_line(console: Console, text: Text) -> None:
    """Print a line of text, wrapped between words where it is wider than a terminal.

    The terminal itself wraps a line with a wider word, such as a URL, or with a command, so that
    people can click the one and copy the other.
    """
    widest = max(map(cell_len, text.plain.split()), default=0)
    whole = widest > console.width or _COMMAND in text.plain or not console.is_terminal
    console.print(text, soft_wrap=whole, highlight=False)
