"""What a report explains, in words."""

from diamond_cutter.tasks.reporting.contents import ReportContents


def explained_in_words(contents: ReportContents) -> str:
    """Say what a report explains, and by which method."""
    spec = contents.spec
    names = {known.number: known.name for known in contents.classes}
    what = {"auto": "each image's highest class", "all": "all classes together"}.get(
        str(spec.positive), names.get(_number(spec.positive), "")
    )
    against = {"auto": " against its next highest", "none": ""}.get(
        str(spec.negative), f" against {names.get(_number(spec.negative), '')}"
    )
    method = (
        f"integrated gradients of {spec.steps} steps"
        if spec.method == "integrated"
        else "gradient times activation"
    )
    return f"{what}{against}, by {method}"


def _number(given: int | str) -> int:
    return given if isinstance(given, int) else -1
