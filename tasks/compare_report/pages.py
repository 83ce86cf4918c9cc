"""Render the page of a comparison of two models."""

from itertools import zip_longest
from typing import NamedTuple

from diamond_cutter.storage.sets.report_keys import report_asset_key
from diamond_cutter.tasks.compare_report.contents import (
    ChannelPair,
    CompareContents,
    ComparedModelFacts,
    SeenPair,
)
from diamond_cutter.tasks.compare_report.heat_map import drawn_layers, heat_map
from diamond_cutter.tasks.compare_report.wording import belief, p_value
from diamond_cutter.tasks.cut_report.contents import ShownImage
from diamond_cutter.tasks.pages.citation import bibtex
from diamond_cutter.tasks.pages.frontend import Frontend, render

COMPARE_REPORT = Frontend(
    "diamond_cutter.tasks.compare_report",
    ("sorting", "static_page"),
    ("answers", "compare"),
    report_asset_key,
)
_LEADING = 3


class _Leading(NamedTuple):
    """The pictures behind the answer: images, each with the model that is right and the other one;
    or else pairs of channels.
    """

    images: list[tuple[ShownImage, ComparedModelFacts, ComparedModelFacts]]
    channels: list[tuple[SeenPair, ChannelPair]]


def compare_charts(contents: CompareContents) -> dict[str, bytes]:
    """Return the charts of a comparison as SVG files, by their paths in the report."""
    if contents.figure is None:
        return {}
    first, second = contents.models
    chart = heat_map((first.name, second.name), contents.layers, contents.cka)
    return {contents.figure.svg: chart.encode()}


def compare_page(contents: CompareContents) -> bytes:
    """Return the page of a comparison.

    The page needs `asset_files(COMPARE_REPORT, folder)`, and all files in the contents, in its
    folder.
    """
    return render(
        COMPARE_REPORT,
        "compare.html.jinja",
        "",
        report=contents,
        charts=[chart.decode() for chart in compare_charts(contents).values()],
        drawn=[drawn_layers(len(layers)) for layers in contents.layers],
        believed=belief(contents),
        leading=_leading(contents),
        citation=bibtex(
            contents.report,
            f"Two models on {contents.dataset}",
            f"Models: {', '.join(model.key for model in contents.models)}",
            contents.version,
        ),
        p_value=p_value,
    )


def _leading(contents: CompareContents) -> _Leading:
    """Return images that only one model gets right, by turns; without any, channels that differ."""
    first, second = contents.models
    sides = (
        [(image, first, second) for image in contents.only_first],
        [(image, second, first) for image in contents.only_second],
    )
    images = [each for pair in zip_longest(*sides) for each in pair if each is not None]
    if images:
        return _Leading(images[:_LEADING], [])
    rendered = [
        (pair, one)
        for pair in contents.seen
        for one in pair.channels
        if one.first.sprite and one.second.sprite
    ]
    return _Leading([], sorted(rendered, key=lambda each: each[1].correlation)[:_LEADING])
