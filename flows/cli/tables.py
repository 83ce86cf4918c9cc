"""Tables of text for people, never truncated, even in narrow terminals."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

_GAP = 2
# The last column is wrapped if needed, but not below this width.
_WRAPPED_WIDTH = 24


class Rows(NamedTuple):
    """A table: the names of its columns, and its cells by row; the first column names the row."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


# What a command prints: lines of text and tables.
Part = str | Rows


class _Column(NamedTuple):
    head: str
    cells: tuple[str, ...]
    wrapped: bool

    @property
    def width(self) -> int:
        """Return the least width without breaks, except between words of the last column."""
        texts = (self.head, *self.cells)
        lines = max(_widths(line for text in texts for line in text.splitlines()))
        if not self.wrapped:
            return lines
        return max(
            max(_widths(word for text in texts for word in text.split())),
            min(lines, _WRAPPED_WIDTH),
        )


def tables(rows: Rows, width: int | None) -> list[Table]:
    """Return a table; if the terminal is too narrow, several tables with the first column in each.

    Args:
        rows: the content.
        width: of the terminal in characters; None for no limit.
    """
    cells = [[printable(cell) for cell in row] for row in (rows.head, *rows.rows)]
    last = len(rows.head) - 1
    columns = [
        _Column(column[0], column[1:], index == last)
        for index, column in enumerate(zip(*cells, strict=True))
    ]
    if width is None or _width_of(columns) <= width:
        return [_table(columns, width)]
    # Headings are broken into lines before the table is divided.
    columns = [column._replace(head="\n".join(column.head.split())) for column in columns]
    return [_table(part, width) for part in _divided(columns, width)]


def printable(text: str) -> str:
    """Escape control characters, which names of layers and files may contain."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def _divided(columns: Sequence[_Column], width: int) -> list[list[_Column]]:
    first, *others = columns
    parts = [[first]]
    for column in others:
        if len(parts[-1]) > 1 and _width_of([*parts[-1], column]) > width:
            parts.append([first])
        parts[-1].append(column)
    return parts


def _width_of(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _widths(texts: Iterable[str]) -> list[int]:
    return [0, *map(cell_len, texts)]


def _table(columns: Sequence[_Column], width: int | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    # If even two columns are too wide, their lines are folded.
    fits = width is None or _width_of(columns) <= width
    for column in columns:
        table.add_column(Text(column.head), no_wrap=fits and not column.wrapped, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table
