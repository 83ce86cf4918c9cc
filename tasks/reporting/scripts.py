"""The numbers that a report's page loads, as scripts, and back."""

from pydantic import BaseModel, ValidationError

from diamond_cutter.storage import Corrupt
from diamond_cutter.tasks.pages.scripts import as_script, read_script
from diamond_cutter.tasks.reporting.contents import ImageList, ImagesPage, LayerNumbers

__all__ = ["IMAGE_LIST", "as_script", "from_script", "layer_name", "page_name"]

# Under which the page takes the list of images.
IMAGE_LIST = "images"
_KINDS: dict[str, type[BaseModel]] = {
    "images": ImageList,
    "page": ImagesPage,
    "layer": LayerNumbers,
}


def layer_name(layer: str) -> str:
    """Return the name under which the page takes a layer's `LayerNumbers`."""
    return f"layer:{layer}"


def page_name(number: int) -> str:
    """Return the name under which the page takes an `ImagesPage`, by its place in the report's
    `pages`.
    """
    return f"page:{number}"


def from_script(script: bytes) -> tuple[str, BaseModel]:
    """Return the name and the numbers that a script of a report hands over; `as_script` writes it
    anew.

    Raises:
        Corrupt: it is not such a script, or not of such numbers.
    """
    name, data = read_script(script)
    kind = _KINDS.get(name.partition(":")[0])
    if kind is None:
        raise Corrupt(f"A report's page takes no numbers by the name of {name!r}.")
    try:
        return name, kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Corrupt(
            f"The numbers of {name!r} cannot be read ({first['msg']} at "
            f"{'.'.join(map(str, first['loc']))})."
        ) from error
