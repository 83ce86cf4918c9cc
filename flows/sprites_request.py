"""What a user asks for: the parameters of the flow, of the command line and of a deployment are the
same.
"""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from cyclopts import Group, Parameter
from pydantic import BeforeValidator, Field, model_validator

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.mix_expressions import check_mixes
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.tasks.image_format import ImageFormat
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.card import ModelCard

# Stands for the model's own preset.
AUTO = "auto"

_MAIN = ("main",)
_CHANNELS = re.compile(r"(\d+)(?:(:)(\d*))?")
_RECIPE_OPTIONS = Group(
    "Recipe",
    help="--recipe takes a recipe's name or a stored recipe.json; these options change single "
    "fields of it.",
)


def preset_by_name(given: Any) -> Any:
    """Return a recipe's name as what the recipe is validated from; leave all else as it is.

    Raises:
        ValueError: there is no recipe of that name.
    """
    if not isinstance(given, str):
        return given
    if given not in (AUTO, *PRESETS):
        names = ", ".join((AUTO, *PRESETS))
        raise ValueError(
            f"there is no recipe named {given!r}; take {names}, or on the command line a stored "
            "recipe.json"
        )
    return {"name": given}


Recipe = Annotated[
    RenderRecipe,
    BeforeValidator(preset_by_name, json_schema_input_type=str | RenderRecipe),
    Parameter(group=_RECIPE_OPTIONS, n_tokens=1),
]


class SpritesRequest(FrozenModel):
    """Which sprites to render, how, and where to keep them."""

    model: str = Field(description="a model's name, of those that `diamond-cutter models` lists")
    layers: tuple[str, ...] = Field(
        default=_MAIN,
        min_length=1,
        description="names, globs ('block_1?' is block_10 to block_15), 'main' or 'all'",
    )
    channels: str | None = Field(
        default=None,
        description="of each layer: 0:32, 7 or 1,5,9; of the logits also classes: 'goldfish; "
        "tabby'; all of them if left out",
    )
    bucket: str = Field(default="./bucket", description="a folder, made if need be")
    recipe: Recipe = Field(
        default=RenderRecipe(name=AUTO),
        description="how to render: a recipe, or the name of one; auto is what `tune` found for "
        "the model, or else fast",
    )
    # The command line has options of its own for it: flows/mix_expressions.py.
    mixes: Annotated[Mixes | None, Parameter(parse=False)] = Field(
        default=None, description="weighted sums of channels, instead of layers"
    )
    # What a report lacks: for programs, not for the command line.
    selection: Annotated[dict[str, tuple[int, ...]] | None, Parameter(parse=False)] = Field(
        default=None, description="channels by layer, instead of layers and channels"
    )
    photos: str | None = Field(
        default=None,
        description="a folder of your own images, or gs://bucket/folder; each channel's sprite is "
        "compared with them",
    )
    spritemap_format: ImageFormat = Field(
        default="webp", description="what spritemaps are written as; shards are lossless WebP"
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="sprites that are optimised at once; what suits the device if left out",
    )
    shard_timeout_s: float = Field(
        default=3600, gt=0, description="a shard that takes longer is given up and tried again"
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.recipe.name == AUTO and self.recipe != RenderRecipe(name=AUTO):
            raise ValueError(
                f"the recipe {AUTO} is the model's own as it is; change fields of another one, "
                f"such as {', '.join(PRESETS)}"
            )
        if self.mixes and (self.layers != _MAIN or self.channels is not None):
            raise ValueError(
                "mixes name their own layers and channels; leave out layers and channels, or the "
                "mixes"
            )
        if self.selection is not None and (
            self.mixes or self.layers != _MAIN or self.channels is not None
        ):
            raise ValueError(
                "a selection names its own layers and channels; leave out layers, channels and "
                "mixes, or the selection"
            )
        if self.photos is not None and (self.mixes or self.recipe.negative):
            what = "mixes" if self.mixes else "what pushes a channel down"
            raise ValueError(
                f"photos are compared with sprites of channels, not with {what}; leave out the "
                "photos"
            )
        return self

    def lasting(self) -> "SpritesRequest":
        """Return the request with paths that mean the same in another working directory."""
        return self.model_copy(
            update={
                "bucket": lasting_place(self.bucket),
                "photos": self.photos and lasting_place(self.photos),
            }
        )


def lasting_place(place: str) -> str:
    """Return a path, or a URL, that means the same in another working directory."""
    return place if "://" in place else str(Path(place).expanduser().resolve())


class TuneRequest(FrozenModel):
    """Which layers of a model to tune, from where, and within what time."""

    model: str = Field(description="a model's name, of those that `diamond-cutter models` lists")
    layers: tuple[str, ...] = Field(
        default=("main",),
        min_length=1,
        description="names, globs ('block_1?' is block_10 to block_15), 'main' or 'all'",
    )
    bucket: str = Field(default="./bucket", description="the folder that holds everything")
    recipe: Recipe = Field(
        default=RenderRecipe(), description="what to start from: a recipe, or the name of one"
    )
    budget_s: float | None = Field(
        default=None,
        gt=0,
        description="seconds for a sprite; the recipe's number of steps if left out",
    )
    again: bool = Field(default=False, description="tune layers that are tuned already")
    layer_timeout_s: float = Field(
        default=7200, gt=0, description="a layer that takes longer is given up"
    )


class Selection(NamedTuple):
    """What is asked for under one name: channels of a layer, or mixes."""

    subjects: Channels | Mixes
    numbers: tuple[int, ...]
    out_of: int


def select(card: "ModelCard", request: SpritesRequest) -> tuple[Selection, ...]:
    """Return what a request asks for: mixes, or the channels of each layer in forward order.

    Raises:
        UnknownLayer: names the nearest layers.
        RequestError: a channel is out of range, or the channels cannot be read.
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
            f"the selection of layer {layer!r} is none, or not in it; it has {count} channels: 0 "
            f"to {count - 1}"
        )
    return Selection(Channels(layer=layer), tuple(sorted(set(channels))), count)


def parse_channels(
    text: str | None, layer: str, count: int, classes: Sequence[str] = ()
) -> tuple[int, ...]:
    """Return the channels that `0:32`, `7`, `1,5,9` or `goldfish; tabby` means, ascending; None
    means all.

    Args:
        text: numbers and ranges with commas between them, or parts of these and of names with
            semicolons between them.
        layer: the layer's name.
        count: how many channels it has.
        classes: what its channels stand for, by number, if it is the layer of the logits.

    Raises:
        RequestError: a channel is out of range, or the text cannot be read.
    """
    if text is None:
        return tuple(range(count))
    chosen: set[int] = set()
    for part in text.split(";"):
        # A class may have a comma in its name, so a part that can be the name of one is that.
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
        how = (
            "write a range (0:32), a number (7) or several (1,5,9); names are for the classes "
            "of the layer of the logits"
        )
        raise RequestError(f"channels {text!r} cannot be read for layer {layer!r}; {how}")
    first = int(match[1])
    end = (int(match[3]) if match[3] else count) if match[2] else first + 1
    if not first < end <= count:
        raise RequestError(
            f"channels {piece!r} are not in layer {layer!r}, which has {count}: 0 to {count - 1}"
        )
    return range(first, end)


def class_number(given: str, layer: str, count: int, classes: Sequence[str]) -> int:
    """Return the class that a name, or a number, means.

    Args:
        given: `tabby`, `281`.
        layer: the name of the layer of the logits.
        count: how many classes there are.
        classes: their names, if they have any.

    Raises:
        RequestError: there is none, or there are several; names the nearest.
    """
    if not given.isdecimal():
        return _class_named(given, layer, classes)
    if int(given) >= count:
        raise RequestError(
            f"class {given} is not among the {count} of layer {layer!r}: 0 to {count - 1}"
        )
    return int(given)


def _class_named(name: str, layer: str, classes: Sequence[str]) -> int:
    found = _classes_named(name, classes)
    if len(found) == 1:
        return found[0]
    if found:
        raise RequestError(
            f"{name!r} names {len(found)} classes of layer {layer!r}; take a number: "
            f"{', '.join(map(str, found[:9]))}"
        )
    wanted = name.casefold()
    by_name = {label.casefold(): label for label in classes}
    near = [label for label in classes if wanted and wanted in label.casefold()]
    near = near or [by_name[label] for label in difflib.get_close_matches(wanted, by_name, n=3)]
    how = (
        f"did you mean {' or '.join(map(repr, near[:3]))}?"
        if near
        else "write numbers (1,5,9) or classes (goldfish; tabby)"
    )
    raise RequestError(f"no class of layer {layer!r} is named {name!r}; {how}")


def _classes_named(name: str, classes: Sequence[str]) -> list[int]:
    """Return the classes of that name, or else those that have it among the synonyms which commas
    separate.
    """
    wanted = name.strip().casefold()
    exact = [number for number, label in enumerate(classes) if label.casefold() == wanted]
    return exact or [
        number
        for number, label in enumerate(classes)
        if wanted in map(str.strip, label.casefold().split(","))
    ]
