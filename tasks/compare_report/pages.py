"""Render the page of a comparison of two models."""

from diamond_cutter.storage.sets.report_keys import report_asset_key
from diamond_cutter.tasks.compare_report.contents import CompareContents
from diamond_cutter.tasks.compare_report.heat_map import drawn_layers, heat_map
from diamond_cutter.tasks.compare_report.wording import p_value
from diamond_cutter.tasks.pages.frontend import Frontend, render

COMPARE_REPORT = Frontend(
    "diamond_cutter.tasks.compare_report", ("sorting",), "compare", report_asset_key, ("answers",)
)


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
        p_value=p_value,
    )
