"""What several requests have: the bucket, the recipe, the devices, the runner and time limits."""

from pathlib import Path
from typing import Annotated, Any, Self

from cyclopts import Group, Parameter
from pydantic import AfterValidator, BeforeValidator, Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.tasks.devices import DEVICES_HELP, check_devices
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

# The preset of the model.
AUTO = "auto"
# The runner that works on this machine.
LOCAL = "local"

RECIPE_PANEL = "Recipe"
_RECIPE_OPTIONS = Group(
    RECIPE_PANEL,
    help="--recipe takes a name or a recipe.json. These options change single fields of it.",
)


def preset_by_name(given: Any) -> Any:
    """Return the fields of a recipe given by name; return any other value unchanged.

    Raises:
        ValueError: the name is unknown.
    """
    if not isinstance(given, str):
        return given
    if given not in (AUTO, *PRESETS):
        names = ", ".join((AUTO, *PRESETS))
        raise ValueError(
            f"the recipe {given!r} does not exist: expected {names}, or on the command line a "
            "recipe.json"
        )
    return {"name": given}


def recipe_as_given(recipe: RenderRecipe) -> str | dict[str, Any]:
    """Return a recipe as its name, or as its name and the fields that differ from that recipe.

    `preset_by_name` and `RenderRecipe` read both.
    """
    named = RenderRecipe(name=recipe.name)
    changed = {
        field: value
        for field, value in recipe.model_dump(mode="json").items()
        if getattr(recipe, field) != getattr(named, field)
    }
    if not changed and recipe.name in (AUTO, *PRESETS):
        return recipe.name
    return {"name": recipe.name, **changed}


BucketPlace = Annotated[
    str, Field(description="the bucket: a folder, created if needed, or a gs:// URL")
]
Runner = Annotated[
    str,
    Field(
        pattern=r"^(local|(dask|ray)://[^\s/]+:\d+)$",
        description="local, or a cluster: dask://scheduler:8786 or ray://head:10001",
    ),
]
Grace = Annotated[
    float,
    Parameter(name="--grace"),
    Field(
        ge=0,
        description="seconds for the tasks in flight after SIGTERM or Ctrl-C; a second signal "
        "stops at once",
    ),
]
Budget = Annotated[
    float | None,
    Field(
        gt=0,
        description="minutes until no more tasks start; those in flight finish, and the same "
        "command continues",
    ),
]
_RecipeName = Annotated[str, Field(title="name", json_schema_extra={"enum": [AUTO, *PRESETS]})]
Devices = Annotated[
    str | None,
    AfterValidator(lambda choice: choice if choice is None else check_devices(choice)),
    Field(description=DEVICES_HELP),
]
Recipe = Annotated[
    RenderRecipe,
    BeforeValidator(preset_by_name, json_schema_input_type=_RecipeName | RenderRecipe),
    Parameter(group=_RECIPE_OPTIONS, n_tokens=1),
]


class FlowRequest(FrozenModel):
    """The request of a flow: parameters of a command, of the flow, and of its deployments."""

    def lasting(self) -> Self:
        """Return the request with absolute paths."""
        places = {name: getattr(self, name, None) for name in ("bucket", "images", "photos")}
        return self.model_copy(
            update={name: lasting_place(place) for name, place in places.items() if place}
        )


def lasting_place(place: str) -> str:
    """Return a path as an absolute path; return a URL unchanged."""
    return place if "://" in place else str(Path(place).expanduser().resolve())
