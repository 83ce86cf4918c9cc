"""Which channels of which layers a request selects."""

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.mix_expressions import check_mixes
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.card import ModelCard


from diamond_cutter.flows.sprites_request import SpritesRequest

_CHANNELS = re.compile(r"(\d+)(?:(:)(\d*))?")


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
