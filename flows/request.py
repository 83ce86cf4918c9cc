"""What a user asks for: the parameters of the flow, of the command line and of a deployment are the same."""

import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from flows.errors import RequestError
from tasks.image_format import ImageFormat
from tasks.rendering.recipe import RenderRecipe

if TYPE_CHECKING:
    from model_inventory.card import ModelCard

# Two cores are as fast with 16 as with 32, and another number may change the last bits of a sprite.
BATCH_SIZE = 16

_CHANNELS = re.compile(r"(\d+)(?:(:)(\d*))?")


class SpritesRequest(BaseModel):
    """Which sprites to render, how, and where to keep them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="a model's name, of those that `diamond-cutter models` lists")
    layers: tuple[str, ...] = Field(default=("main",), min_length=1, description="names, globs, 'main' or 'all'")
    channels: str | None = Field(default=None, description="of each layer: 0:32, 7 or 1,5,9; all of them if left out")
    bucket: str = Field(default="./bucket", description="a folder, made if need be")
    recipe: RenderRecipe = Field(default=RenderRecipe(), description="how to render")
    spritemap_format: ImageFormat = Field(default="webp", description="what spritemaps are written as; shards are lossless WebP")
    batch_size: int = Field(default=BATCH_SIZE, ge=1, le=256, description="sprites that are optimised at once")
    shard_timeout_s: float = Field(default=3600, gt=0, description="a shard that takes longer is given up and tried again")


def select(card: "ModelCard", request: SpritesRequest) -> dict[str, tuple[int, ...]]:
    """Return the channels that a request asks for, by layer in forward order.

    Raises:
        UnknownLayer: names the nearest layers.
        RequestError: a channel is out of range, or the channels cannot be read.
    """
    return {layer.name: parse_channels(request.channels, layer.name, layer.channels) for layer in card.select_layers(request.layers)}


def parse_channels(text: str | None, layer: str, count: int) -> tuple[int, ...]:
    """Return the channels that `0:32`, `7` or `1,5,9` means of a layer with `count` channels, ascending; None means all.

    Raises:
        RequestError: a channel is out of range, or the text cannot be read.
    """
    if text is None:
        return tuple(range(count))
    chosen: set[int] = set()
    for part in text.split(","):
        match = _CHANNELS.fullmatch(part.strip())
        if match is None:
            raise RequestError(f"channels {text!r} cannot be read; write a range (0:32), a number (7) or several (1,5,9)")
        first = int(match[1])
        end = (int(match[3]) if match[3] else count) if match[2] else first + 1
        if not first < end <= count:
            raise RequestError(f"channels {part.strip()!r} are not in layer {layer!r}, which has {count}: 0 to {count - 1}")
        chosen.update(range(first, end))
    return tuple(sorted(chosen))
