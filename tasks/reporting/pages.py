"""The report's page."""

from diamond_cutter.storage.sets.layout import report_asset_key
from diamond_cutter.tasks.pages.frontend import Frontend, render
from diamond_cutter.tasks.reporting.contents import ReportContents

_SCRIPTS = (
    "wording",
    "data",
    "pictures",
    "plots",
    "flow",
    "overview",
    "channels",
    "groups",
    "layer",
    "images",
    "heat",
    "position",
    "image",
    "main",
)
REPORT = Frontend("diamond_cutter.tasks.reporting", _SCRIPTS, "report", report_asset_key)


def report_page(contents: ReportContents) -> bytes:
    """Return the page of a report; `asset_files(REPORT, folder)` and all files that the contents
    name lie beside it.
    """
    return render(REPORT, "report.html.jinja", "", report=contents.model_dump(mode="json"))
