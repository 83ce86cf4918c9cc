"""Write the command that makes a report again, from its request."""

import shlex
from collections.abc import Iterator
from typing import Any

from diamond_cutter.flows.attribution_request import AttributionRequest
from diamond_cutter.flows.request_fields import recipe_as_given

# In the order of the page on reports. Where and when the work is done changes nothing in the
# report, and the paths of a machine concern nobody else.
_OPTIONS = {
    "layers": "--layers",
    "positive": "--class",
    "negative": "--against",
    "threshold": "--threshold",
    "method": "--method",
    "steps": "--steps",
    "channels": "--channels",
    "shown": "--shown",
    "groups": "--groups",
}


def command_of(request: AttributionRequest, images: str) -> str:
    """Return the command of a request; `images` is the name of the folder, without its path."""
    words = ["diamond-cutter", "attribute", request.model, images]
    for field, option in _OPTIONS.items():
        value = getattr(request, field)
        if value != AttributionRequest.model_fields[field].default:
            words += [option, *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return shlex.join([*words, *_recipe_options(recipe_as_given(request.recipe))])


def _recipe_options(given: str | dict[str, Any]) -> Iterator[str]:
    if isinstance(given, str):
        yield from () if given == "auto" else ("--recipe", given)
        return
    yield from ("--recipe", given["name"])
    for field, value in given.items():
        option = f"--recipe.{field.replace('_', '-')}"
        if value is True:
            yield option
        elif isinstance(value, int | float | str) and field != "name":
            yield from (option, str(value))
        elif isinstance(value, list) and all(isinstance(one, int | float | str) for one in value):
            yield from (option, *map(str, value))
