"""Draw the charts of a report: accuracy over depth, and accuracy over cost."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from diamond_cutter.tasks.cut_report.contents import ComparedModelCard, CutName, CutRow
from diamond_cutter.tasks.svg import (
    INK,
    QUIET,
    add,
    colour,
    dashes,
    drawing,
    printable,
    px,
    rule,
    svg_text,
    text,
)

_WIDTH, _HEIGHT = 760, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 190, 32, 50
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
    _x_axis(frame, [0, 0.25, 0.5, 0.75, 1], _percent, "depth: share of the compared layers")
    for place, model in enumerate(models):
        curve = [row for row in rows if row.model == model.name]
        if not curve:
            continue
        upper = [(row.depth, row.probe_high) for row in curve]
        lower = [(row.depth, row.probe_low) for row in reversed(curve)]
        points = _points(frame, [*upper, *lower])
        add(frame.root, "polygon", points=points, fill=colour(place), **{"fill-opacity": "0.14"})
        _line(frame, [(row.depth, row.probe) for row in curve], colour(place), place)
        for row in curve:
            _mark(frame, row.depth, row, place, (row.model, row.layer) == (best.model, best.layer))
    _legend(frame.root, models)
    return svg_text(frame.root)


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
    _x_axis(frame, ticks, short_count, "multiplications for one image (logarithmic)")
    front = sorted((row for row in rows if row.on_front), key=lambda row: row.macs)
    steps = [
        point
        for before, row in zip([None, *front], front, strict=False)
        for point in ([(row.macs, before.probe)] if before else []) + [(row.macs, row.probe)]
    ]
    _line(frame, steps, QUIET, 1)
    places = {model.name: place for place, model in enumerate(models)}
    for row in rows:
        chosen = (row.model, row.layer) == (best.model, best.layer)
        _mark(frame, row.macs, row, places[row.model], chosen)
    _legend(frame.root, models)
    return svg_text(frame.root)


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

    height = max(_HEIGHT, _TOP + _LEGEND_ROW * models)
    root = drawing(title, _WIDTH, height)
    frame = _Frame(root, x, y)
    for step in range(round(10 * low), round(10 * high) + 1):
        at = y(step / 10)
        rule(root, _LEFT, at, _WIDTH - _RIGHT, at)
        text(root, _LEFT - 8, at + 4, f"{10 * step} %", "end", QUIET, "quiet")
    starts = f" (the axis starts at {100 * low:.0f} %)" if low else ""
    text(root, _LEFT - 44, 12, f"accuracy{starts}", "start", QUIET, "quiet")
    return frame


def _x_axis(
    frame: _Frame, ticks: Sequence[float], written: Callable[[float], str], title: str
) -> None:
    bottom = _HEIGHT - _BOTTOM
    for tick in ticks:
        rule(frame.root, frame.x(tick), bottom, frame.x(tick), bottom + 5)
        text(frame.root, frame.x(tick), bottom + 19, written(tick), "middle", QUIET, "quiet")
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    text(frame.root, middle, bottom + 40, title, "middle", QUIET, "quiet")


def _mark(frame: _Frame, value: float, row: CutRow, place: int, chosen: bool) -> None:
    """Draw a point, whose form tells the models apart as its colour does."""
    x, y = frame.x(value), frame.y(row.probe)
    size = 7 if chosen else 4
    if place % 3 == 0:
        node = add(frame.root, "circle", cx=px(x), cy=px(y), r=size, fill=colour(place))
    elif place % 3 == 1:
        side = 1.8 * size
        node = add(
            frame.root,
            "rect",
            x=px(x - side / 2),
            y=px(y - side / 2),
            width=px(side),
            height=px(side),
            fill=colour(place),
        )
    else:
        corners = ((x, y - 1.3 * size), (x + 1.2 * size, y + size), (x - 1.2 * size, y + size))
        points = " ".join(f"{px(left)},{px(top)}" for left, top in corners)
        node = add(frame.root, "polygon", points=points, fill=colour(place))
    half = 100 * (row.probe_high - row.probe_low) / 2
    add(node, "title").text = printable(
        f"{row.model}, {row.layer}: {100 * row.probe:.1f} % ± {half:.1f}, "
        f"{short_count(row.macs)} multiplications"
    )
    if chosen:
        text(frame.root, x, y - 13, row.layer[:_NAME_LENGTH], "middle", INK, "strong")


def _legend(root: ElementTree.Element, models: Sequence[ComparedModelCard]) -> None:
    left = _WIDTH - _RIGHT + 18
    for place, model in enumerate(models):
        top = _TOP + 10 + _LEGEND_ROW * place
        add(
            root,
            "line",
            x1=left,
            x2=left + 22,
            y1=top - 4,
            y2=top - 4,
            stroke=colour(place),
            **{"stroke-width": "3", "stroke-dasharray": dashes(place)},
        )
        name = model.name
        shown = name if len(name) <= _NAME_LENGTH - 4 else f"{name[: _NAME_LENGTH - 5]}…"
        text(root, left + 28, top, shown, "start", INK, "ink")
        imagenet = (
            "ImageNet unknown"
            if model.imagenet is None
            else f"ImageNet {100 * model.imagenet:.1f} %"
        )
        text(root, left + 28, top + 15, imagenet, "start", QUIET, "quiet")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _line(frame: _Frame, points: Sequence[tuple[float, float]], colour: str, place: int) -> None:
    add(
        frame.root,
        "polyline",
        points=_points(frame, points),
        fill="none",
        stroke=colour,
        **{"stroke-width": "2", "stroke-dasharray": dashes(place)},
    )


def _points(frame: _Frame, points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{px(frame.x(x))},{px(frame.y(y))}" for x, y in points)


def short_count(count: float) -> str:
    """Return a large number with a unit: 576, 57.6 k, 10.8 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.0f}"
