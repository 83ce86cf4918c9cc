"""The report's page."""

from storage.layout import report_asset_key
from tasks.pages.frontend import Frontend, render
from tasks.reporting.contents import ReportContents

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
REPORT = Frontend("tasks.reporting", _SCRIPTS, "report", report_asset_key)


def report_page(contents: ReportContents) -> bytes:
    """Return the page of a report; `asset_files(REPORT, folder)` and all files that the contents name lie beside it."""
    return render(REPORT, "report.html.jinja", "", report=contents.model_dump(mode="json"))
