"""Options of the command line: shared types, recipes, and their help."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter, Token
from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel
from pydantic import ValidationError

from diamond_cutter.flows.errors import RequestError, sentence
from diamond_cutter.flows.events.json_log import log_as_json
from diamond_cutter.flows.request_fields import RECIPE_PANEL, preset_by_name
from diamond_cutter.regular_files import read_regular
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

Json = Annotated[bool, Parameter(help="print JSON, for scripts")]
LogJson = Annotated[
    bool,
    Parameter(help="write events as JSON lines to standard error, and no progress"),
]
BucketUrl = Annotated[str, Parameter(help="the bucket: a folder, or gs://bucket/prefix")]

HELP_RECIPE = "--help-recipe"
HELP_FLAGS = ("--help", "-h", HELP_RECIPE)

_SHOWN_WHOLE = 5
# Choices are listed in the description.
_SHORT_KINDS = {"INT": "N", "FLOAT": "N", "CHOICE": ""}
_MOST_RECIPE_BYTES = 4 << 20


def spell_out_models(app: App, command: Sequence[str], arguments: ArgumentCollection) -> None:
    """Replace `--all-models` by the glob that all models match."""
    by_name = {argument.name: argument for argument in arguments}
    wanted, model = by_name.get("--all-models"), by_name.get("--model")
    if wanted is None or not wanted.tokens or model is None:
        return
    if model.tokens:
        raise RequestError("--all-models renders all models of the bucket. Omit the model.")
    model.append(Token(keyword="--model", value="*", source="cli"))


def choose_log(app: App, command: Sequence[str], arguments: ArgumentCollection) -> None:
    """Write the events of the command as JSON lines if `--log-json` is given.

    It is done before values are checked, so that errors about them are lines as well. Only an
    unknown option is refused earlier, in plain text.
    """
    log_as_json(any(argument.name == "--log-json" and argument.tokens for argument in arguments))


def spell_out_recipe(app: App, command: Sequence[str], arguments: ArgumentCollection) -> None:
    """Replace `--recipe lucid` or `--recipe recipe.json` by the fields of the recipe.

    Options such as `--recipe.steps` then change single fields.
    """
    # A field with its own option is dropped: otherwise lists would be merged.
    given = {
        argument.name.removeprefix("--recipe.").replace("-", "_")
        for argument in arguments
        if argument.tokens
    }
    for argument in arguments:
        if argument.name == "--recipe":
            argument.tokens = [
                token.evolve(implicit_value=_without(recipe_fields(token.value), given))
                for token in argument.tokens
            ]


def _without(fields: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def recipe_fields(text: str) -> dict[str, Any]:
    """Return all fields of a recipe, given by its name or its file.

    Raises:
        RequestError: the recipe is unknown, or the file is not a recipe.
    """
    file = Path(text).expanduser()
    try:
        if file.suffix == ".json" or file.is_file():
            return RenderRecipe.model_validate_json(
                read_regular(file, _MOST_RECIPE_BYTES)
            ).model_dump(mode="json")
        return RenderRecipe.model_validate(preset_by_name(text)).model_dump(mode="json")
    except OSError as error:
        raise RequestError(
            f"the recipe {text} cannot be read: {error.strerror or error}. Give the recipe.json "
            "of a sprite set."
        ) from error
    except ValidationError as error:
        raise RequestError(f"the recipe {text} is not valid: {sentence(error)}") from error
    except ValueError as error:
        raise RequestError(str(error)) from error


def shown_default(default: object) -> str | None:
    """Return a default as the help shows it: None if it is empty, the range if it is long."""
    if default in (None, False, (), {}):
        return None
    if not isinstance(default, tuple):
        return str(default)
    if len(default) > _SHOWN_WHOLE:
        return f"{len(default)} values from {min(default):g} to {max(default):g}"
    return " ".join(map(str, default))


class HelpFormatter(DefaultFormatter):
    """Folds the options of the recipe, and hides those that only a recipe file can hold."""

    def __init__(self, *, recipe: bool = False) -> None:
        """Prepare to print help; with `recipe`, all options of the recipe are shown."""
        super().__init__()
        self._recipe = recipe

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: HelpPanel) -> None:
        """Print one panel."""
        shown = [
            _by_name_only(entry)
            for entry in panel.entries
            if not any("{NAME}" in name for name in entry.positive_names)
        ]
        if panel.title == RECIPE_PANEL and not self._recipe:
            shown, panel = _folded(len(shown)), panel.copy(description=None)
        super().__call__(console, options, panel.copy(entries=shown))


def _folded(fields: int) -> list[HelpEntry]:
    """Return the entries that stand for all fields of the recipe."""
    return [
        HelpEntry(
            positive_names=("--recipe",),
            metavar="RECIPE",
            description="a name, such as fast or lucid, or a recipe.json",
        ),
        HelpEntry(
            positive_names=(HELP_RECIPE,),
            description=f"show {fields} more options, which change single fields of the recipe",
        ),
    ]


def _by_name_only(entry: HelpEntry) -> HelpEntry:
    """Return an entry without its positional name, unless people give it by position.

    The type of its value is short: the narrower the names, the fewer lines the help has.
    """
    kind = (entry.metavar or "").removesuffix("...")
    if kind in _SHORT_KINDS:
        metavar = (entry.metavar or "").replace(kind, _SHORT_KINDS[kind]).strip() or None
        entry = entry.copy(metavar=None if metavar == "..." else metavar)
    return entry if entry.required else entry.copy(positional_label=None)
