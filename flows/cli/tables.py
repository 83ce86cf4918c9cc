"""Tables of text for people, never truncated, even in narrow terminals."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Group, RenderableType
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


def table(rows: Rows, width: int | None) -> RenderableType:
    """Return a table; in a narrow terminal, each row has several lines, and the name is the first.

    Nothing is cut: a cell that is wider than the terminal has a line of its own, which the terminal
    wraps.

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
        return _table(columns)
    # Headings are broken into lines before rows are.
    broken = [column._replace(head="\n".join(column.head.split())) for column in columns]
    if _width_of(broken) <= width:
        return _table(broken)
    *columns, last_column = [_on_one_line(column) for column in columns]
    if _width_of([*columns, last_column._replace(cells=())]) <= width:
        return _last_below([*columns, last_column], width)
    return _under_names([*columns, last_column], width)


def printable(text: str) -> str:
    """Escape control characters, which names of layers and files may contain."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def _on_one_line(column: _Column) -> _Column:
    cells = tuple(cell.replace("\n", " ") for cell in column.cells)
    return _Column(column.head, cells, wrapped=False)


def _last_below(columns: Sequence[_Column], width: int) -> Group:
    """Return rows in which a last cell that is too wide stands below the others."""
    *shorter, last = columns
    start = _width_of(shorter) + _GAP
    heads = _padded([column.head for column in columns], columns).rstrip()
    lines = [Text(heads, style="bold")]
    for place, cell in enumerate(last.cells):
        line = _padded([column.cells[place] for column in shorter], shorter)
        if start + cell_len(cell) <= width:
            lines.append(Text(f"{line}{' ' * (start - cell_len(line))}{cell}"))
        else:
            lines += [Text(line.rstrip()), Text(f"{' ' * _GAP}{cell}")]
    return Group(*lines)


def _under_names(columns: Sequence[_Column], width: int) -> Group:
    """Return rows in which the name is above the other cells."""
    name, *others = columns
    lines = _lines_of(others, width - _GAP)
    rows = [(name.head, [column.head for column in others])]
    rows += [
        (each, [column.cells[place] for column in others]) for place, each in enumerate(name.cells)
    ]
    parts = [
        Text("\n".join([title, *_laid_out(cells, others, lines)]), style="" if place else "bold")
        for place, (title, cells) in enumerate(rows)
    ]
    return Group(*parts)


def _lines_of(columns: Sequence[_Column], width: int) -> list[list[int]]:
    """Return the places of the columns that share a line, in order."""
    lines: list[list[int]] = []
    for place in range(len(columns)):
        if not lines or _width_of([columns[each] for each in (*lines[-1], place)]) > width:
            lines.append([])
        lines[-1].append(place)
    return lines


def _laid_out(
    cells: Sequence[str], columns: Sequence[_Column], lines: Sequence[Sequence[int]]
) -> Iterator[str]:
    """Yield the lines of a row below its name; empty ones are omitted."""
    for line in lines:
        if any(cells[place] for place in line):
            padded = _padded([cells[place] for place in line], [columns[place] for place in line])
            yield f"{' ' * _GAP}{padded}".rstrip()


def _padded(cells: Sequence[str], columns: Sequence[_Column]) -> str:
    padded = (
        cell + " " * (column.width - cell_len(cell))
        for cell, column in zip(cells, columns, strict=True)
    )
    return (" " * _GAP).join(padded)


def _width_of(columns: Sequence[_Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _widths(texts: Iterable[str]) -> list[int]:
    return [0, *map(cell_len, texts)]


def _table(columns: Sequence[_Column]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(column.head), no_wrap=not column.wrapped, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table
