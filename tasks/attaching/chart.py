"""Draw the history of a training: loss and accuracy by epoch."""

import math
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

from diamond_cutter.tasks.attaching.checkpoints import Epoch
from diamond_cutter.tasks.svg import (
    INK,
    QUIET,
    add,
    colour,
    dashes,
    drawing,
    px,
    rule,
    svg_text,
    text,
)

_WIDTH, _HEIGHT = 760, 300
_PANEL, _TOP, _BOTTOM, _LEFT, _GAP = 300, 34, 44, 44, 76
_CURVES = ("training images, varied", "validation images")

_Curve = list[tuple[int, float]]


def history_chart(history: Sequence[Epoch], best: int) -> str:
    """Return a drawing of the losses and accuracies; a line marks the epoch that was kept."""
    root = drawing("Loss and accuracy by epoch", _WIDTH, _HEIGHT)
    losses: list[_Curve] = [
        [(place, each.loss) for place, each in enumerate(history) if each.loss is not None],
        [(place, each.validation_loss) for place, each in enumerate(history)],
    ]
    accuracies: list[_Curve] = [
        [(place, each.accuracy) for place, each in enumerate(history) if each.accuracy is not None],
        [(place, each.validation_accuracy) for place, each in enumerate(history)],
    ]
    top = max(value for curve in losses for _, value in curve)
    _panel(root, _LEFT, "loss", losses, _ticks(0.0, top), lambda x: f"{x:.3g}", history, best)
    lowest = min(value for curve in accuracies for _, value in curve)
    left = _LEFT + _PANEL + _GAP
    ticks = _ticks(min(lowest, 0.9), 1.0)
    _panel(root, left, "accuracy", accuracies, ticks, _percent, history, best)
    for number, name in enumerate(_CURVES):
        at = _LEFT + 190 * number
        line = {"stroke-width": "2", "stroke-dasharray": dashes(number)}
        add(root, "line", x1=at, x2=at + 22, y1=12, y2=12, stroke=colour(number), **line)
        text(root, at + 28, 16, name, "start", INK, "ink")
    return svg_text(root)


def _ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers around a range."""
    spread = max(high - low, 1e-3)
    power = 10.0 ** math.floor(math.log10(spread / 5))
    step = next(power * digit for digit in (1, 2, 5, 10) if spread / (power * digit) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * number for number in range(first, max(last, first + 1) + 1)]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _panel(
    root: ElementTree.Element,
    left: float,
    title: str,
    curves: Sequence[_Curve],
    ticks: Sequence[float],
    written: Callable[[float], str],
    history: Sequence[Epoch],
    best: int,
) -> None:
    low, high, last = ticks[0], ticks[-1], max(len(history) - 1, 1)
    bottom = _HEIGHT - _BOTTOM

    def x(place: float) -> float:
        return left + place / last * _PANEL

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (bottom - _TOP)

    for value in ticks:
        rule(root, left, y(value), left + _PANEL, y(value))
        text(root, left - 6, y(value) + 4, written(value), "end", QUIET, "quiet")
    phases = [place for place, each in enumerate(history) if each.epoch == 0 and each.phase]
    for place in phases:
        rule(root, x(place), _TOP, x(place), bottom)
        text(root, x(place) + 4, _TOP + 12, "unfrozen", "start", QUIET, "quiet")
    kept = {"stroke-width": "1.5", "stroke-dasharray": "3 3"}
    add(root, "line", x1=px(x(best)), x2=px(x(best)), y1=_TOP, y2=bottom, stroke=INK, **kept)
    for number, curve in enumerate(curves):
        points = " ".join(f"{px(x(place))},{px(y(value))}" for place, value in curve)
        line = {"stroke-width": "2", "stroke-dasharray": dashes(number)}
        add(root, "polyline", points=points, fill="none", stroke=colour(number), **line)
    starts = f" (the axis starts at {written(low)})" if low else ""
    text(
        root, left + _PANEL / 2, bottom + 34, f"{title} by epoch{starts}", "middle", QUIET, "quiet"
    )
    for place in {0, best, len(history) - 1}:
        text(root, x(place), bottom + 16, str(place), "middle", QUIET, "quiet")
