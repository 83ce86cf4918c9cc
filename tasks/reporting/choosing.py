"""Choose the sets of images, the channels and the single images that a report shows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import ALL, SetName, Totals
from diamond_cutter.tasks.reporting.contents import AnnotatedImage

# Channels on each side, over all images and over any other set.
TOP, TOP_OF_A_SET = 8, 5
# Labels, and classes; the tables hold all of them.
MOST_SETS = 24
_RENDERED_OF_A_SET = 3
# Channels on each side in the strips of the first page, over all images; or of each of a few sets.
STRIP = 6
LEADING_SETS, CHANNELS_OF_A_LEADING_SET = 4, 3
# A class with a single image would only show that image.
_FEWEST_OF_A_CLASS = 2
_FEWEST_LEADING_SETS = 2

_Item = TypeVar("_Item")


def shown_sets(totals: Totals) -> list[SetName]:
    """Return the sets of images that a report shows, starting with all images."""
    names = list(totals.ordered())
    labels = sorted(
        (name for name in names if name.kind == "label"), key=lambda name: -totals.images(name)
    )[:MOST_SETS]
    classes = [
        name for name in names if name.kind == "class" and totals.images(name) >= _FEWEST_OF_A_CLASS
    ][:MOST_SETS]
    return [
        name
        for name in names
        if name.kind in ("all", "right", "wrong") or name in labels or name in classes
    ]


def leading_sets(totals: Totals) -> list[SetName]:
    """Return the sets whose channels stand on the first page, the set of most images first.

    If all images are explained by one class, the first page shows all images, and the list is
    empty. Otherwise, each set asks one question: a class, or a label whose images are explained by
    one class. Labels that mix questions follow only if fewer than two sets do not.
    """
    if not totals.mixes_questions(ALL):
        return []
    named = [name for name in shown_sets(totals) if name.kind in ("class", "label")]
    named.sort(key=lambda name: (name.kind != "class", -totals.images(name)))
    of_question: dict[int, SetName] = {}
    for name in named:
        for question in () if totals.mixes_questions(name) else totals.explained.get(name, ()):
            of_question.setdefault(question, name)
    chosen = list(of_question.values())
    if len(chosen) < _FEWEST_LEADING_SETS:
        chosen += [name for name in named if totals.mixes_questions(name)]
    return chosen[:LEADING_SETS]


def top_and_bottom(mean: npt.NDArray[np.floating], count: int) -> tuple[list[int], list[int]]:
    """Return the channels of the highest means above 0, and of the lowest means below 0.

    Both lists start with the strongest channel.
    """
    order = np.argsort(-mean, kind="stable")
    top = [int(channel) for channel in order[:count] if mean[channel] > 0]
    return top, [int(channel) for channel in order[::-1][:count] if mean[channel] < 0]


def channels_to_render(
    totals: Totals,
    cells: Mapping[str, Mapping[int, int]],
    spec: AttributionSpec,
    annotated: Iterable[AnnotatedImage] = (),
) -> dict[str, tuple[int, ...]]:
    """Return, by layer, the channels whose sprites the report needs, in ascending order.

    The channels of the first screen come first, and all of them are needed, unless the report shall
    have no sprites. The strongest channels of all sets follow, in turn with the channels that stand
    out in most cells of single images.
    """
    sets, marked = shown_sets(totals), [(image.layer, image.channel) for image in annotated]

    def chosen(layer: str) -> list[int]:
        first = [*_of_first_page(totals, layer), *(one for name, one in marked if name == layer)]
        first = list(dict.fromkeys(first))
        wanted = _wanted(totals, sets, layer, cells.get(layer, {}))
        return sorted(_first_of(chain(first, wanted), max(spec.channels, len(first))))

    return {layer: tuple(chosen(layer)) if spec.channels else () for layer in spec.layers}


def _of_first_page(totals: Totals, layer: str) -> Iterator[int]:
    """Yield the channels of a layer that the first page shows."""
    leading = leading_sets(totals)
    for name in leading:
        mean = totals.sets[name][layer].mean
        yield from top_and_bottom(mean, CHANNELS_OF_A_LEADING_SET)[0]
    if not leading:
        yield from chain(*top_and_bottom(totals.sets[ALL][layer].mean, STRIP))


def _wanted(
    totals: Totals, sets: Sequence[SetName], layer: str, cells: Mapping[int, int]
) -> Iterator[int]:
    # Both sides in turn, so that a small number of sprites shows both.
    for pair in zip_longest(*top_and_bottom(totals.sets[ALL][layer].mean, TOP)):
        yield from (channel for channel in pair if channel is not None)
    in_cells = iter(sorted(cells, key=lambda channel: (-cells[channel], channel)))
    for name in sets:
        for channels in top_and_bottom(totals.sets[name][layer].mean, _RENDERED_OF_A_SET):
            yield from channels
            # The order matters: zip consumes one item too many of its first argument.
            yield from (channel for _, channel in zip(channels, in_cells, strict=False))
    yield from in_cells


def _first_of(channels: Iterator[int], count: int) -> list[int]:
    found: dict[int, None] = {}
    for channel in channels:
        if len(found) == count:
            break
        found.setdefault(channel)
    return list(found)


def evenly(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return up to `count` items, spread evenly over all.

    Images are sorted by name, so each label folder receives its share.
    """
    if len(items) <= count:
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]
