"""Render the page of a report, and read and write the scripts of data that it loads."""

from pydantic import BaseModel, ValidationError

from diamond_cutter.storage import Corrupt
from diamond_cutter.storage.sets.report_keys import report_asset_key
from diamond_cutter.tasks.pages.frontend import Frontend, render
from diamond_cutter.tasks.pages.scripts import read_script
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.page_data import ImageList, ImagesPage, LayerNumbers, LayerSets

_SCRIPTS = (
    "data",
    "wording",
    "pictures",
    "sprites",
    "plots",
    "distribution",
    "scatter",
    "sets",
    "layer_cards",
    "flow",
    "reliability",
    "annotated",
    "sets_overview",
    "citation",
    "about",
    "overview",
    "channels",
    "groups",
    "layer",
    "compare",
    "images",
    "heat",
    "contours",
    "semantic",
    "stage",
    "position",
    "image_state",
    "image_layers",
    "image_groups",
    "image_facts",
    "image_painting",
    "image",
    "main",
)
_STYLES = ("report", "overview", "layer", "image")
REPORT = Frontend("diamond_cutter.tasks.reporting", _SCRIPTS, _STYLES, report_asset_key)

# The page's name for the list of images.
IMAGE_LIST = "images"
_KINDS: dict[str, type[BaseModel]] = {
    "images": ImageList,
    "page": ImagesPage,
    "layer": LayerNumbers,
    "sets": LayerSets,
}


def report_page(contents: ReportContents) -> bytes:
    """Return the page of a report.

    The page needs `asset_files(REPORT, folder)`, and all files in the contents, in its folder.
    """
    return render(REPORT, "report.html.jinja", "", report=contents.model_dump(mode="json"))


def layer_name(layer: str) -> str:
    """Return the page's name for the `LayerNumbers` of a layer."""
    return f"layer:{layer}"


def sets_name(layer: str) -> str:
    """Return the page's name for the `LayerSets` of a layer."""
    return f"sets:{layer}"


def page_name(number: int) -> str:
    """Return the page's name for an `ImagesPage`, given its index in the report's `pages`."""
    return f"page:{number}"


def from_script(script: bytes) -> tuple[str, BaseModel]:
    """Return the name and the data of a report's script; `as_script` is the inverse.

    Raises:
        Corrupt: the script is not such a script, or holds other data.
    """
    name, data = read_script(script)
    kind = _KINDS.get(name.partition(":")[0])
    if kind is None:
        raise Corrupt(
            f"Script of a report has an unknown name: expected {', '.join(_KINDS)}, found {name!r}."
        )
    try:
        return name, kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Corrupt(
            f"The data of {name!r} is not valid ({first['msg']} at "
            f"{'.'.join(map(str, first['loc']))})."
        ) from error
