"""Draw the charts of a report as SVG: accuracy over depth, and accuracy over cost.

The drawings carry their own colours, so that they can be downloaded and printed. On the page, its
style replaces the colours of text and lines.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from diamond_cutter.tasks.cut_report.contents import ComparedModelCard, CutName, CutRow

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_WIDTH, _HEIGHT = 760, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 190, 32, 50
_INK, _QUIET, _LINE = "#1f2328", "#686e76", "#d9d7d2"
_NAME_LENGTH = 26
_LEGEND_ROW = 40


class _Frame(NamedTuple):
    """The drawing, with its scales from values to pixels."""

    root: ElementTree.Element
    x: Callable[[float], float]
    y: Callable[[float], float]


def depth_chart(models: Sequence[ComparedModelCard], rows: Sequence[CutRow], best: CutName) -> str:
    """Return a chart of the accuracy over depth: a curve with its interval for each model."""
    frame = _frame(
        "Accuracy of the probe over depth", rows, lambda depth: depth, (0.0, 1.0), len(models)
    )
    _x_axis(frame, [0, 0.25, 0.5, 0.75, 1], lambda value: f"{value:.0%}", "depth: share of layers")
    for place, model in enumerate(models):
        curve = [row for row in rows if row.model == model.name]
        if not curve:
            continue
        upper = [(row.depth, row.probe_high) for row in curve]
        lower = [(row.depth, row.probe_low) for row in reversed(curve)]
        points = _points(frame, [*upper, *lower])
        _add(frame.root, "polygon", points=points, fill=_colour(place), **{"fill-opacity": "0.14"})
        _line(frame, [(row.depth, row.probe) for row in curve], _colour(place), place)
        for row in curve:
            _mark(frame, row.depth, row, place, (row.model, row.layer) == (best.model, best.layer))
    _legend(frame.root, models)
    return _text_of(frame.root)


def cost_chart(models: Sequence[ComparedModelCard], rows: Sequence[CutRow], best: CutName) -> str:
    """Return a chart of the accuracy over multiplications, with the front of the best cuts."""
    exponents = [math.log10(max(row.macs, 1)) for row in rows]
    low, high = min(exponents), max(exponents)
    low, high = (low, high) if high - low > 0.5 else (low - 0.5, high + 0.5)
    frame = _frame(
        "Accuracy of the probe over cost",
        rows,
        lambda macs: math.log10(max(macs, 1)),
        (10**low, 10**high),
        len(models),
    )
    ticks = [
        digit * 10.0**exponent
        for exponent in range(math.floor(low), math.ceil(high) + 1)
        for digit in (1, 3)
        if low <= math.log10(digit) + exponent <= high
    ]
    _x_axis(frame, ticks, short_count, "multiplications for one image")
    front = sorted((row for row in rows if row.on_front), key=lambda row: row.macs)
    steps = [
        point
        for before, row in zip([None, *front], front, strict=False)
        for point in ([(row.macs, before.probe)] if before else []) + [(row.macs, row.probe)]
    ]
    _line(frame, steps, _QUIET, 1)
    places = {model.name: place for place, model in enumerate(models)}
    for row in rows:
        chosen = (row.model, row.layer) == (best.model, best.layer)
        _mark(frame, row.macs, row, places[row.model], chosen)
    _legend(frame.root, models)
    return _text_of(frame.root)


def _frame(
    title: str,
    rows: Sequence[CutRow],
    scale: Callable[[float], float],
    ends: tuple[float, float],
    models: int,
) -> _Frame:
    low = max(0.0, math.floor(10 * min(row.probe_low for row in rows)) / 10)
    high = min(1.0, math.ceil(10 * max(row.probe_high for row in rows)) / 10)
    if high - low < 0.05:  # all accuracies are the same
        low, high = max(0.0, high - 0.1), min(1.0, low + 0.1)
    first, last = scale(ends[0]), scale(ends[1])

    def x(value: float) -> float:
        return _LEFT + (scale(value) - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {max(_HEIGHT, _TOP + _LEGEND_ROW * models)}",
            "role": "img",
            "aria-label": title,
            "class": "chart",
            "font-family": "system-ui, sans-serif",
            "font-size": "12",
        },
    )
    ground = {"width": "100%", "height": "100%", "class": "ground"}
    _add(root, "rect", fill="#ffffff", **ground)
    frame = _Frame(root, x, y)
    for step in range(round(10 * low), round(10 * high) + 1):
        at = y(step / 10)
        _rule(root, _LEFT, at, _WIDTH - _RIGHT, at)
        _text(root, _LEFT - 8, at + 4, f"{10 * step} %", "end", _QUIET, "quiet")
    _text(root, _LEFT - 44, 12, "accuracy", "start", _QUIET, "quiet")
    return frame


def _x_axis(
    frame: _Frame, ticks: Sequence[float], written: Callable[[float], str], title: str
) -> None:
    bottom = _HEIGHT - _BOTTOM
    for tick in ticks:
        _rule(frame.root, frame.x(tick), bottom, frame.x(tick), bottom + 5)
        _text(frame.root, frame.x(tick), bottom + 19, written(tick), "middle", _QUIET, "quiet")
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    _text(frame.root, middle, bottom + 40, title, "middle", _QUIET, "quiet")


def _mark(frame: _Frame, value: float, row: CutRow, place: int, chosen: bool) -> None:
    """Draw a point, whose form tells the models apart as its colour does."""
    x, y = frame.x(value), frame.y(row.probe)
    size = 7 if chosen else 4
    if place % 3 == 0:
        node = _add(frame.root, "circle", cx=_px(x), cy=_px(y), r=size, fill=_colour(place))
    elif place % 3 == 1:
        side = 1.8 * size
        node = _add(
            frame.root,
            "rect",
            x=_px(x - side / 2),
            y=_px(y - side / 2),
            width=_px(side),
            height=_px(side),
            fill=_colour(place),
        )
    else:
        corners = ((x, y - 1.3 * size), (x + 1.2 * size, y + size), (x - 1.2 * size, y + size))
        points = " ".join(f"{_px(left)},{_px(top)}" for left, top in corners)
        node = _add(frame.root, "polygon", points=points, fill=_colour(place))
    half = 100 * (row.probe_high - row.probe_low) / 2
    _add(node, "title").text = _printable(
        f"{row.model}, {row.layer}: {100 * row.probe:.1f} % ± {half:.1f}, "
        f"{short_count(row.macs)} multiplications"
    )
    if chosen:
        _text(frame.root, x, y - 13, row.layer[:_NAME_LENGTH], "middle", _INK, "strong")


def _legend(root: ElementTree.Element, models: Sequence[ComparedModelCard]) -> None:
    left = _WIDTH - _RIGHT + 18
    for place, model in enumerate(models):
        top = _TOP + 10 + _LEGEND_ROW * place
        _add(
            root,
            "line",
            x1=left,
            x2=left + 22,
            y1=top - 4,
            y2=top - 4,
            stroke=_colour(place),
            **{"stroke-width": "3", "stroke-dasharray": _dashes(place)},
        )
        name = model.name
        shown = name if len(name) <= _NAME_LENGTH - 4 else f"{name[: _NAME_LENGTH - 5]}…"
        _text(root, left + 28, top, shown, "start", _INK, "ink")
        imagenet = (
            "ImageNet unknown" if model.imagenet is None else f"ImageNet {model.imagenet:.1%}"
        )
        _text(root, left + 28, top + 15, imagenet, "start", _QUIET, "quiet")


def _line(frame: _Frame, points: Sequence[tuple[float, float]], colour: str, place: int) -> None:
    _add(
        frame.root,
        "polyline",
        points=_points(frame, points),
        fill="none",
        stroke=colour,
        **{"stroke-width": "2", "stroke-dasharray": _dashes(place)},
    )


def _points(frame: _Frame, points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_px(frame.x(x))},{_px(frame.y(y))}" for x, y in points)


def _rule(root: ElementTree.Element, x1: float, y1: float, x2: float, y2: float) -> None:
    ends = {"x1": _px(x1), "y1": _px(y1), "x2": _px(x2), "y2": _px(y2)}
    _add(root, "line", stroke=_LINE, **ends, **{"class": "rule"})


def _text(
    root: ElementTree.Element, x: float, y: float, text: str, anchor: str, fill: str, kind: str
) -> None:
    place = {"x": _px(x), "y": _px(y), "text-anchor": anchor, "class": kind}
    _add(root, "text", fill=fill, **place).text = _printable(text)


def _printable(text: str) -> str:
    """Replace the characters that XML does not allow; layers may have any name."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _add(parent: ElementTree.Element, tag: str, **attributes: object) -> ElementTree.Element:
    given = {name: str(value) for name, value in attributes.items()}
    return ElementTree.SubElement(parent, tag, given)


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]


def _dashes(place: int) -> str:
    # With the six colours, twelve models differ.
    return ("none", "7 3", "2 3", "9 3 2 3", "4 4", "1 4")[(place + place // 6) % 6]


def _px(value: float) -> str:
    return f"{value:.1f}"


def short_count(count: float) -> str:
    """Return a large number with a unit: 576, 57.6 k, 10.8 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.0f}"


def _text_of(root: ElementTree.Element) -> str:
    return ElementTree.tostring(root, encoding="unicode")
