"""The requests of `sprites` and `tune`: parameters of the command, the flow and its deployments."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from cyclopts import Group, Parameter
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.mix_expressions import check_mixes
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.tasks.devices import DEVICES_HELP, check_devices
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes
from diamond_cutter.tasks.sheets import ImageFormat

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.card import ModelCard

# The preset of the model.
AUTO = "auto"
# The runner that works on this machine.
LOCAL = "local"

_MAIN = ("main",)
_CHANNELS = re.compile(r"(\d+)(?:(:)(\d*))?")
_RECIPE_OPTIONS = Group(
    "Recipe",
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
        description="where to work: local, or a cluster at dask://scheduler:8786 or "
        "ray://head:10001",
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


class SpritesRequest(FrozenModel):
    """Which sprites to render, how, and in which bucket."""

    model: str = Field(
        description="the name of a model, as `diamond-cutter models` lists it; a glob selects "
        "models of the bucket"
    )
    also: tuple[str, ...] = Field(
        default=(), description="the names of further models, for the same layers"
    )
    layers: tuple[str, ...] = Field(
        default=_MAIN,
        min_length=1,
        description="layer names, globs ('block_1?' is block_10 to block_15), 'main' or 'all'",
    )
    channels: str | None = Field(
        default=None,
        description="channels of each layer: 0:32, 7 or 1,5,9; for logits also class names: "
        "'goldfish; tabby'; if omitted, all channels",
    )
    bucket: BucketPlace = "./bucket"
    recipe: Recipe = Field(
        default=RenderRecipe(name=AUTO),
        json_schema_extra={"default": AUTO},
        description="how to render: a recipe or its name; auto: the preset that `tune` stored for "
        "the model, otherwise fast",
    )
    # The command line has its own options for mixes, in flows/mix_expressions.py.
    mixes: Annotated[Mixes | None, Parameter(parse=False)] = Field(
        default=None, description="weighted sums of channels, instead of layers"
    )
    # The missing sprites of a report. Not on the command line.
    selection: Annotated[dict[str, tuple[int, ...]] | None, Parameter(parse=False)] = Field(
        default=None, description="channels by layer, instead of layers and channels"
    )
    photos: str | None = Field(
        default=None,
        description="a folder of your own images, or gs://bucket/folder, to compare sprites with",
    )
    spritemap_format: ImageFormat = Field(
        default="webp", description="file format of spritemaps; shards are lossless WebP"
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="sprites to optimise at once; if omitted, the fastest for the device",
    )
    devices: Devices = None
    shard_timeout_s: float = Field(
        default=3600, gt=0, description="time limit for a shard, which is then retried"
    )
    runner: Runner = LOCAL

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.recipe.name == AUTO and self.recipe != RenderRecipe(name=AUTO):
            raise ValueError(
                f"the recipe {AUTO} cannot be changed. Change fields of another recipe, such as "
                f"{', '.join(PRESETS)}."
            )
        if self.mixes and (self.layers != _MAIN or self.channels is not None):
            raise ValueError(
                "mixes name their own layers and channels. Omit layers and channels, or the mixes."
            )
        if self.selection is not None and (
            self.mixes or self.layers != _MAIN or self.channels is not None
        ):
            raise ValueError(
                "a selection names its own layers and channels. Omit layers, channels and mixes, "
                "or the selection."
            )
        if self.photos is not None and (self.mixes or self.recipe.negative):
            what = "mixes" if self.mixes else "negative sprites"
            raise ValueError(f"photos cannot be compared with {what}. Omit the photos.")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """Return the names and globs of all models."""
        return self.model, *self.also

    def of_model(self, model: str) -> "SpritesRequest":
        """Return the request for one of the models."""
        return self.model_copy(update={"model": model, "also": ()})

    def lasting(self) -> "SpritesRequest":
        """Return the request with absolute paths."""
        return self.model_copy(
            update={
                "bucket": lasting_place(self.bucket),
                "photos": self.photos and lasting_place(self.photos),
            }
        )


def lasting_place(place: str) -> str:
    """Return a path as an absolute path; return a URL unchanged."""
    return place if "://" in place else str(Path(place).expanduser().resolve())


class TuneRequest(FrozenModel):
    """Which layers of a model to tune, from which recipe, and within which time."""

    model: str = Field(description="the name of a model, as `diamond-cutter models` lists it")
    layers: tuple[str, ...] = Field(
        default=("main",),
        min_length=1,
        description="layer names, globs ('block_1?' is block_10 to block_15), 'main' or 'all'",
    )
    bucket: BucketPlace = "./bucket"
    recipe: Recipe = Field(
        default=RenderRecipe(),
        json_schema_extra={"default": "fast"},
        description="the recipe to start from, or its name",
    )
    budget_s: float | None = Field(
        default=None,
        gt=0,
        description="seconds per sprite; if omitted, the steps of the recipe",
    )
    devices: Devices = None
    again: bool = Field(default=False, description="tune layers again that are already tuned")
    layer_timeout_s: float = Field(default=7200, gt=0, description="time limit for a layer")

    def lasting(self) -> "TuneRequest":
        """Return the request with absolute paths."""
        return self.model_copy(update={"bucket": lasting_place(self.bucket)})


class Selection(NamedTuple):
    """The requested channels of a layer, or mixes."""

    subjects: Channels | Mixes
    numbers: tuple[int, ...]
    out_of: int


def select(card: "ModelCard", request: SpritesRequest) -> tuple[Selection, ...]:
    """Return the requested mixes, or the channels of each layer in forward order.

    Raises:
        UnknownLayer: a layer does not exist; names the most similar ones.
        RequestError: a channel is out of range, or the channels are not valid.
    """
    if request.mixes:
        check_mixes(card, request.mixes)
        count = len(request.mixes.mixes)
        return (Selection(request.mixes, tuple(range(count)), count),)
    if request.selection is not None:
        return tuple(
            _selected(card, layer, channels) for layer, channels in request.selection.items()
        )
    return tuple(
        Selection(
            Channels(layer=layer.name),
            parse_channels(request.channels, layer.name, layer.channels, card.channel_names(layer)),
            layer.channels,
        )
        for layer in card.select_layers(request.layers)
    )


def _selected(card: "ModelCard", layer: str, channels: tuple[int, ...]) -> Selection:
    count = card.layer(layer).channels
    if not channels or not all(0 <= channel < count for channel in channels):
        raise RequestError(
            f"the selection for layer {layer!r} is empty or out of range: expected channels 0 to "
            f"{count - 1}"
        )
    return Selection(Channels(layer=layer), tuple(sorted(set(channels))), count)


def parse_channels(
    text: str | None, layer: str, count: int, classes: Sequence[str] = ()
) -> tuple[int, ...]:
    """Return the channels in `0:32`, `7`, `1,5,9` or `goldfish; tabby`, ascending; None means all.

    Args:
        text: numbers and ranges, separated by commas; class names, separated by semicolons.
        layer: the name of the layer.
        count: the number of its channels.
        classes: the names of its channels by number, if it is the layer of the logits.

    Raises:
        RequestError: a channel is out of range, or the text is not valid.
    """
    if text is None:
        return tuple(range(count))
    chosen: set[int] = set()
    for part in text.split(";"):
        # The name of a class may contain a comma.
        pieces = [part] if len(_classes_named(part, classes)) == 1 else part.split(",")
        for piece in pieces:
            chosen.update(_channels_of(piece.strip(), text, layer, count, classes))
    return tuple(sorted(chosen))


def _channels_of(
    piece: str, text: str, layer: str, count: int, classes: Sequence[str]
) -> Sequence[int]:
    match = _CHANNELS.fullmatch(piece)
    if match is None and classes:
        return [_class_named(piece, layer, classes)]
    if match is None:
        how = "expected a range (0:32), a number (7) or several (1,5,9); only logits have names"
        raise RequestError(f"channels {text!r} of layer {layer!r} are not valid: {how}")
    first = int(match[1])
    end = (int(match[3]) if match[3] else count) if match[2] else first + 1
    if not first < end <= count:
        raise RequestError(
            f"channels {piece!r} of layer {layer!r} do not exist: expected 0 to {count - 1}"
        )
    return range(first, end)


def class_number(given: str, layer: str, count: int, classes: Sequence[str]) -> int:
    """Return the number of a class that is given by name or number.

    Args:
        given: the name or number, such as `tabby` or `281`.
        layer: the name of the layer of the logits.
        count: the number of classes.
        classes: the names of the classes, if known.

    Raises:
        RequestError: no class, or several, have that name; names the most similar ones.
    """
    if not given.isdecimal():
        return _class_named(given, layer, classes)
    if int(given) >= count:
        raise RequestError(
            f"class {given} of layer {layer!r} does not exist: expected 0 to {count - 1}"
        )
    return int(given)


def _class_named(name: str, layer: str, classes: Sequence[str]) -> int:
    found = _classes_named(name, classes)
    if len(found) == 1:
        return found[0]
    if found:
        raise RequestError(
            f"{name!r} is the name of {len(found)} classes of layer {layer!r}. Give the number "
            f"instead: {', '.join(map(str, found[:9]))}"
        )
    wanted = name.casefold()
    by_name = {label.casefold(): label for label in classes}
    near = [label for label in classes if wanted and wanted in label.casefold()]
    near = near or [by_name[label] for label in difflib.get_close_matches(wanted, by_name, n=3)]
    how = (
        f"did you mean {' or '.join(map(repr, near[:3]))}?"
        if near
        else "expected numbers (1,5,9) or classes (goldfish; tabby)"
    )
    raise RequestError(f"no class of layer {layer!r} is named {name!r}: {how}")


def _classes_named(name: str, classes: Sequence[str]) -> list[int]:
    """Return the classes with a name; without any, the classes with it as a synonym."""
    wanted = name.strip().casefold()
    exact = [number for number, label in enumerate(classes) if label.casefold() == wanted]
    return exact or [
        number
        for number, label in enumerate(classes)
        if wanted in map(str.strip, label.casefold().split(","))
    ]
