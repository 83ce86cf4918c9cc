"""Render the page of a report on where to cut."""

from diamond_cutter.storage.sets.report_keys import report_asset_key
from diamond_cutter.tasks.cut_report.charts import cost_chart, depth_chart, short_count
from diamond_cutter.tasks.cut_report.contents import CutContents, ShownChannel
from diamond_cutter.tasks.cut_report.wording import SCORE_TITLES, SCORES_EXPLAINED, belief
from diamond_cutter.tasks.pages.citation import bibtex
from diamond_cutter.tasks.pages.frontend import Frontend, render

CUT_REPORT = Frontend(
    "diamond_cutter.tasks.cut_report",
    ("sorting", "static_page"),
    ("answers", "cut"),
    report_asset_key,
)
_LEADING = 3


def charts(contents: CutContents) -> dict[str, bytes]:
    """Return the charts of a report as SVG files, by their paths in the report."""
    drawn = (
        depth_chart(contents.models, contents.rows, contents.best),
        cost_chart(contents.models, contents.rows, contents.best),
    )
    return {
        figure.svg: chart.encode() for figure, chart in zip(contents.figures, drawn, strict=True)
    }


def cut_page(contents: CutContents) -> bytes:
    """Return the page of a report.

    The page needs `asset_files(CUT_REPORT, folder)`, and all files in the contents, in its folder.
    """
    return render(
        CUT_REPORT,
        "cut.html.jinja",
        "",
        report=contents,
        charts=[chart.decode() for chart in charts(contents).values()],
        believed=belief(contents),
        leading=_leading(contents),
        citation=bibtex(
            contents.report,
            f"Where to cut for {contents.dataset}",
            f"Models: {', '.join(model.key for model in contents.models)}",
            contents.version,
        ),
        short_count=short_count,
        titles=SCORE_TITLES,
        explained=SCORES_EXPLAINED,
    )


def _leading(contents: CutContents) -> list[tuple[str, ShownChannel]]:
    """Return the pictures behind the answer: a class, and the channel that speaks most for it.

    The classes that differ most from the last layer come first. Failed sprites are left out.
    """
    classes = sorted(contents.classes, key=lambda one: -abs(one.right_best - one.right_last))
    found = [
        (one.name, channel)
        for one in classes
        for channel in [next((each for each in one.channels if _is_good(each)), None)]
        if channel is not None
    ]
    return found[:_LEADING]


def _is_good(channel: ShownChannel) -> bool:
    return channel.sprite is not None and not channel.flags and channel.weight > 0
