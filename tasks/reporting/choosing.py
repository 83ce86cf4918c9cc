"""Chooses what a report shows: sets of images, channels, single images."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TypeVar

import numpy as np

from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import ALL, SetName, Totals

# On each side: of all images, and of any other set.
TOP, TOP_OF_A_SET = 8, 5
# Of labels, and of classes; more are in the tables.
MOST_SETS = 24
_RENDERED_OF_A_SET = 3
# What a class of one image would show is that image's.
_FEWEST_OF_A_CLASS = 2

_Image = TypeVar("_Image")


def shown_sets(totals: Totals) -> list[SetName]:
    """Return the sets of images that a report shows, that of all first."""
    names = list(totals.ordered())
    labels = sorted(
        (name for name in names if name.kind == "label"), key=lambda name: -totals.images(name)
    )[:MOST_SETS]
    classes = [
        name for name in names if name.kind == "class" and totals.images(name) >= _FEWEST_OF_A_CLASS
    ][:MOST_SETS]
    return [
        name for name in names if name.kind in ("all", "wrong") or name in labels or name in classes
    ]


def top_and_bottom(mean: np.ndarray, count: int) -> tuple[list[int], list[int]]:
    """Return the channels of the highest means above 0, the highest first, and of the lowest below
    0, the lowest first.
    """
    order = np.argsort(-mean, kind="stable")
    top = [int(channel) for channel in order[:count] if mean[channel] > 0]
    return top, [int(channel) for channel in order[::-1][:count] if mean[channel] < 0]


def channels_to_render(
    totals: Totals, cells: Mapping[str, Mapping[int, int]], spec: AttributionSpec
) -> dict[str, tuple[int, ...]]:
    """Return, by layer, the channels that the report needs sprites of, ascending, as many as it is
    to show at most.

    Those that decide most over all images come first, then, in turn, those that stand out in most
    cells of single images, and those that decide most over any other set.
    """
    sets = shown_sets(totals)
    return {
        layer: tuple(
            sorted(_first_of(_wanted(totals, sets, layer, cells.get(layer, {})), spec.channels))
        )
        for layer in spec.layers
    }


def _wanted(
    totals: Totals, sets: Sequence[SetName], layer: str, cells: Mapping[int, int]
) -> Iterator[int]:
    # In turn, so that few sprites show both sides, too.
    for pair in zip_longest(*top_and_bottom(totals.sets[ALL][layer].mean, TOP)):
        yield from (channel for channel in pair if channel is not None)
    in_cells = iter(sorted(cells, key=lambda channel: (-cells[channel], channel)))
    for name in sets:
        for channels in top_and_bottom(totals.sets[name][layer].mean, _RENDERED_OF_A_SET):
            yield from channels
            # In this order: of the first that it is given, zip takes one more than the second has.
            yield from (channel for _, channel in zip(channels, in_cells, strict=False))
    yield from in_cells


def _first_of(channels: Iterator[int], count: int) -> list[int]:
    found: dict[int, None] = {}
    for channel in channels:
        if len(found) == count:
            break
        found.setdefault(channel)
    return list(found)


def evenly(images: Sequence[_Image], count: int) -> list[_Image]:
    """Return as many images evenly from all, so that each label has its share: their order follows
    names.
    """
    if len(images) <= count:
        return list(images)
    return [images[place * len(images) // count] for place in range(count)]
