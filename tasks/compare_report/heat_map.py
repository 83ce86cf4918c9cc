"""Draw the similarity of all layers of two models as a heat map."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from diamond_cutter.tasks.reporting.choosing import evenly
from diamond_cutter.tasks.svg import INK, QUIET, add, drawing, printable, px, svg_text, text

Row = Sequence[float | None]

# The page holds a cell for each pair of layers. More layers could not be told apart, either.
MOST_LAYERS = 48
_NAME_LETTERS, _LETTER_PX = 20, 6.6
_WIDTH_PX, _SMALLEST_PX, _LARGEST_PX = 760.0, 12.0, 46.0
_SCALE_PX, _TOP_PX = 84, 34
_SCALE_STEPS, _SCALE_STEP_PX = 20, 6.0
_WRITTEN_FROM_PX = 34.0
_UNKNOWN = "#9a9a9a"
# Viridis at 0, 0.25, 0.5, 0.75 and 1: its lightness rises evenly, also without colour.
_VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


class _Place(NamedTuple):
    """Where the cells of a map are, in pixels."""

    left: float
    top: float
    cell: float


def heat_map(
    names: tuple[str, str], layers: tuple[Sequence[str], Sequence[str]], cka: Sequence[Row]
) -> str:
    """Return a heat map with a cell for each pair of layers, each with its value as a title.

    The first layers are at the bottom left. Of more layers than a page can show, evenly spaced ones
    are drawn.

    Args:
        names: of the models.
        layers: the compared layers of each model, in forward order.
        cka: `[first, second]`, None if unknown.
    """
    rows, columns = (drawn_layers(len(each)) for each in layers)
    shown = [
        [_short(layers[side][place]) for place in places]
        for side, places in enumerate((rows, columns))
    ]
    name_px = [max(map(len, each)) * _LETTER_PX + 8 for each in shown]
    left = 26 + name_px[0]
    room = _WIDTH_PX - left - _SCALE_PX
    cell = min(_LARGEST_PX, max(_SMALLEST_PX, room / len(columns)))
    place = _Place(left, _TOP_PX, cell)
    bottom = place.top + cell * len(rows)
    names_end = max(bottom + name_px[1], place.top + _SCALE_STEPS * _SCALE_STEP_PX)
    title = f"layers of {names[0]}"
    # The scale is beside the cells, and beside the title, which can be wider than a few cells.
    end = max(left + cell * len(columns), 4 + _LETTER_PX * len(title))
    width = max(end + _SCALE_PX, _WIDTH_PX)
    root = drawing(f"Similarity of the layers of {names[0]} and {names[1]}", width, names_end + 30)
    text(root, 4, 16, title, "start", QUIET, "quiet")
    for up, row in enumerate(reversed(rows)):
        middle = place.top + cell * (up + 0.5)
        text(root, left - 7, middle + 4, shown[0][rows.index(row)], "end", INK, "ink")
        for along, column in enumerate(columns):
            pair = f"{layers[0][row]} and {layers[1][column]}"
            _cell(root, place, along, up, cka[row][column], pair)
    for along, name in enumerate(shown[1]):
        _turned(root, left + cell * (along + 0.5), bottom + 7, name)
    text(root, left, names_end + 22, f"layers of {names[1]}", "start", QUIET, "quiet")
    _scale(root, end + 16, place.top)
    text(root, end + 16, 16, "similarity", "start", QUIET, "quiet")
    return svg_text(root)


def drawn_layers(count: int) -> list[int]:
    """Return the places of the layers that a map can show, ascending."""
    return evenly(range(count), MOST_LAYERS)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LETTERS else f"…{name[1 - _NAME_LETTERS :]}"


def _cell(
    root: ElementTree.Element, place: _Place, along: int, up: int, value: float | None, pair: str
) -> None:
    x, y = place.left + place.cell * along, place.top + place.cell * up
    side = px(place.cell - 1)
    group = add(root, "g")
    add(group, "rect", x=px(x), y=px(y), width=side, height=side, fill=shade(value))
    written = "unknown" if value is None else f"{value:.3f}"
    add(group, "title").text = printable(f"{pair}: {written}")
    if value is not None and place.cell >= _WRITTEN_FROM_PX:
        ink = "#ffffff" if value < 0.6 else "#1f2328"
        middle = place.cell / 2
        text(group, x + middle, y + middle + 4, f"{value:.2f}", "middle", ink, "value")


def _turned(root: ElementTree.Element, x: float, y: float, name: str) -> None:
    ends = {"x": px(x + 4), "y": px(y), "text-anchor": "end", "class": "ink", "fill": INK}
    turn = f"rotate(-90 {px(x + 4)} {px(y)})"
    add(root, "text", **ends, transform=turn).text = printable(name)


def _scale(root: ElementTree.Element, x: float, y: float) -> None:
    """Draw the colours from 1 at the top to 0, in steps that read as a continuous bar."""
    for step in range(_SCALE_STEPS):
        value = 1 - (step + 0.5) / _SCALE_STEPS
        rows = {"y": px(y + _SCALE_STEP_PX * step), "height": px(_SCALE_STEP_PX + 0.5)}
        add(root, "rect", x=px(x), width="12.0", fill=shade(value), **rows)
    for value in (1.0, 0.5, 0.0):
        at = y + _SCALE_STEPS * _SCALE_STEP_PX * (1 - value) + 4
        text(root, x + 17, at, f"{value:g}", "start", QUIET, "quiet")


def shade(value: float | None) -> str:
    """Return the colour of a similarity; values outside of 0 to 1 have those of the ends."""
    if value is None:
        return _UNKNOWN
    at = min(max(value, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    place = min(int(at), len(_VIRIDIS) - 2)
    share = at - place
    low, high = _VIRIDIS[place], _VIRIDIS[place + 1]
    mixed = (round(one + share * (other - one)) for one, other in zip(low, high, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
