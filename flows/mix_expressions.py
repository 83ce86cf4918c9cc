"""Mixes on the command line: expressions, interpolations, and files of directions."""

import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from pydantic import Field, ValidationError

from diamond_cutter.flows.errors import RequestError, sentence
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.regular_files import read_regular
from diamond_cutter.tasks.rendering.subjects import Mix, Mixes, Term

_FRAMES = 6
_LABEL_LENGTH = 200
_MOST_DIRECTIONS_BYTES = 64 << 20
_TERM = re.compile(
    r"\s*(?P<sign>[+-])?\s*(?:(?P<weight>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*\*\s*)?(?P<layer>[^\s*+-][^\s*]*?):(?P<channel>\d+)\s*(?=[+-]|$)"
)
# The weight of each channel, by layer.
Sum = dict[str, dict[int, float]]


class MixOptions(FrozenModel):
    """Mixes to render instead of the channels of layers."""

    # Values of these options may begin with a minus.
    mix: Annotated[
        tuple[str, ...], Parameter(consume_multiple=False, allow_leading_hyphen=True)
    ] = Field(
        default=(),
        description="a weighted sum of channels, such as '0.5*block_10:7 + 0.5*block_3:12'; repeat "
        "the option for more sprites",
    )
    interpolate: Annotated[tuple[str, str] | None, Parameter(allow_leading_hyphen=True)] = Field(
        default=None,
        description="two weighted sums to interpolate between: 'block_10:7' 'block_10:31'",
    )
    frames: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description=f"sprites of the interpolation, with both ends; default: {_FRAMES}",
    )
    directions: str | None = Field(
        default=None,
        description="a .npy or .json file of shape [direction, channel]: a sprite per direction",
    )
    direction_layer: str | None = Field(default=None, description="the layer of the directions")

    @property
    def given(self) -> bool:
        """Tell whether any mix is requested."""
        return any(value not in (None, ()) for value in self.model_dump().values())


def read_mixes(options: MixOptions, card: ModelCard | None = None) -> Mixes:
    """Return the requested mixes: first the sums, then the interpolation, then the directions.

    Args:
        options: at least one of them is given.
        card: of the model; without it, the width of directions is not checked.

    Raises:
        RequestError: a value is not valid, or options contradict each other.
        UnknownLayer: the layer of the directions does not exist; names the most similar ones.
    """
    if options.frames is not None and options.interpolate is None:
        raise RequestError(
            "--frames has no effect without --interpolate. Give --interpolate with two mixes."
        )
    if (options.directions is None) != (options.direction_layer is None):
        raise RequestError("--directions FILE and --direction-layer LAYER must be given together")
    sums = [parse_sum(text) for text in options.mix]
    if options.interpolate is not None:
        start, end = map(parse_sum, options.interpolate)
        sums += _way(start, end, options.frames or _FRAMES)
    mixes = [_mix(total, in_words(total)) for total in sums]
    if options.directions is not None and options.direction_layer is not None:
        width = None if card is None else card.layer(options.direction_layer).channels
        mixes += _directions(Path(options.directions), options.direction_layer, width)
    return Mixes(mixes=tuple(mixes))


def check_mixes(card: ModelCard, mixes: Mixes) -> None:
    """Check that a model has the layers and channels of mixes.

    Raises:
        UnknownLayer: a layer does not exist; names the most similar ones.
        RequestError: a channel is out of range.
    """
    for mix in mixes.mixes:
        for term in mix.terms:
            count = card.layer(term.layer).channels
            for channel in term.channels:
                if not 0 <= channel < count:
                    raise RequestError(
                        f"channel {channel} of layer {term.layer!r} does not exist: expected 0 to "
                        f"{count - 1}"
                    )


def parse_sum(text: str) -> Sum:
    """Return the weights in `0.5*block_10:7 - block_3:12`; repeated channels are added.

    Raises:
        RequestError: the text is not valid, or all weights are 0.
    """
    total: Sum = defaultdict(lambda: defaultdict(float))
    place = 0
    while place < len(text) or not total:
        match = _TERM.match(text, place)
        if match is None or (total and not match["sign"]):
            raise RequestError(
                f"the mix {text!r} is not valid: expected terms of layer:channel, such as "
                "0.5*block_10:7 + 0.5*block_3:12"
            )
        weight = float(match["weight"] or 1) * (-1 if match["sign"] == "-" else 1)
        _add(total, match["layer"], int(match["channel"]), weight)
        place = match.end()
    left = _without_zeros(total)
    if not left:
        raise RequestError(f"the mix {text!r} is empty: its weights are 0 or cancel each other out")
    return left


def in_words(total: Sum) -> str:
    """Return a sum in the form that `parse_sum` reads."""
    terms = [
        (weight, f"{layer}:{channel}")
        for layer, weights in total.items()
        for channel, weight in weights.items()
    ]
    parts = [
        f"{'-' if weight < 0 else '+'} {'' if abs(weight) == 1 else f'{abs(weight):g}*'}{name}"
        for weight, name in terms
    ]
    text = " ".join(parts).removeprefix("+ ")
    return text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH - 4] + " ..."


def _way(start: Sum, end: Sum, frames: int) -> Iterator[Sum]:
    for place in np.linspace(0.0, 1.0, frames):
        total: Sum = defaultdict(lambda: defaultdict(float))
        for share, part in ((1.0 - place, start), (place, end)):
            for layer, weights in part.items():
                for channel, weight in weights.items():
                    _add(total, layer, channel, float(share) * weight)
        left = _without_zeros(total)
        if not left:
            raise RequestError(
                f"the interpolation from {in_words(start)!r} to {in_words(end)!r} has a frame "
                "without weights. Choose another number of frames."
            )
        yield left


def _add(total: Sum, layer: str, channel: int, weight: float) -> None:
    # Weights that cancel out become 0, without a rounding error.
    total[layer][channel] = round(total[layer][channel] + weight, 9)


def _directions(path: Path, layer: str, width: int | None) -> Iterator[Mix]:
    directions = _read_directions(path)
    if width not in (None, directions.shape[1]):
        raise RequestError(
            f"the directions in {path} do not fit layer {layer!r}: expected {width} channels, "
            f"found {directions.shape[1]}"
        )
    for row, direction in enumerate(directions):
        weights = _without_zeros({layer: dict(enumerate(direction.tolist()))})
        if not weights:
            raise RequestError(f"direction {row} of {path} is all zeros. Remove it from the file.")
        yield _mix(weights, f"direction {row} in {layer}"[:_LABEL_LENGTH])


def _read_directions(path: Path) -> np.ndarray:
    """Read a file of directions, float64 `[direction, channel]`."""
    try:
        data = read_regular(path, _MOST_DIRECTIONS_BYTES)
        read = (
            json.loads(data)
            if path.suffix == ".json"
            else np.load(io.BytesIO(data), allow_pickle=False)
        )
        directions = np.atleast_2d(np.asarray(read, np.float64))
    # A file may claim a size that does not fit into memory, and JSON may be nested without end.
    except (
        OSError,
        ValueError,
        TypeError,
        EOFError,
        MemoryError,
        OverflowError,
        RecursionError,
    ) as error:
        raise RequestError(
            f"directions {path} cannot be read: {_reason(error)}. Give a .npy or .json file of "
            "numbers."
        ) from error
    if directions.ndim != 2 or not directions.size or not np.isfinite(directions).all():
        raise RequestError(
            f"directions {path} are not valid: expected finite numbers of shape [direction, "
            f"channel], found shape {list(directions.shape)}"
        )
    return directions


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]


def _without_zeros(total: Sum) -> Sum:
    """Round weights to six digits, so that equal mixes have equal names, and drop those of 0."""
    rounded = {
        layer: {channel: float(f"{weight:.6g}") for channel, weight in weights.items()}
        for layer, weights in total.items()
    }
    left = {
        layer: {channel: weight for channel, weight in weights.items() if weight}
        for layer, weights in rounded.items()
    }
    return {layer: weights for layer, weights in left.items() if weights}


def _mix(total: Sum, label: str) -> Mix:
    try:
        return Mix(
            label=label,
            terms=tuple(
                Term(layer=layer, channels=tuple(weights), weights=tuple(weights.values()))
                for layer, weights in total.items()
            ),
        )
    except ValidationError as error:
        raise RequestError(f"the mix {label!r} cannot be rendered: {sentence(error)}") from error
