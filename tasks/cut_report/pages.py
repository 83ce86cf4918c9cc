"""Render the page of a report on where to cut."""

from diamond_cutter.storage.sets.report_keys import report_asset_key
from diamond_cutter.tasks.cut_report.charts import cost_chart, depth_chart, short_count
from diamond_cutter.tasks.cut_report.contents import CutContents
from diamond_cutter.tasks.cut_report.wording import SCORE_TITLES, SCORES_EXPLAINED
from diamond_cutter.tasks.pages.frontend import Frontend, render

CUT_REPORT = Frontend(
    "diamond_cutter.tasks.cut_report", ("sorting",), "cut", report_asset_key, ("answers",)
)


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
        short_count=short_count,
        titles=SCORE_TITLES,
        explained=SCORES_EXPLAINED,
    )
