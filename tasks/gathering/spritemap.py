"""Gathers a layer's sprites from its shards into one picture, and commits it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.storage import Bucket, crc32c
from diamond_cutter.storage.sets.layout import channel_span, spritemap_record_key
from diamond_cutter.storage.sets.records import FileRef, SpritemapRecord, SpriteScores
from diamond_cutter.storage.sets.sprite_set import (
    SpritePlace,
    channels_missing,
    commit,
    is_whole,
    put_fingerprinted,
    read_layer,
    read_record,
)
from diamond_cutter.tasks.rendering.scores import on_white, with_photo_ratios
from diamond_cutter.tasks.sheets import (
    ImageFormat,
    compose,
    cut,
    decode,
    encode,
    spritemap_shape,
)


class SpritesMissing(DiamondCutterError):
    """A layer lacks sprites that its spritemap needs; the text says how many."""

    exit_code = 1


def part_name(channels: Sequence[int], layer_channels: int) -> str:
    """Return the name of a part of a layer: `all`, or the span of its channels."""
    return "all" if len(channels) == layer_channels else channel_span(channels)


def commit_spritemap(
    bucket: Bucket,
    model: str,
    recipe: str,
    layer: str,
    channels: Sequence[int],
    image_format: ImageFormat,
    photo_highest: Mapping[int, float],
    out_of: int,
    claimed: Callable[[str], AbstractContextManager[bool]] = lambda key: nullcontext(True),
) -> SpritemapRecord | None:
    """Return the record of a layer's spritemap, and gather it if the bucket's is out of date.

    Most arguments are those of the task `gather_spritemap`, none of them optional.

    Args:
        claimed: claims the work on a record, before anything is written or many records are read.

    Returns:
        The record, or None if another process has claimed the work.

    Raises:
        SpritesMissing: some channels have no sprite.
    """
    key = spritemap_record_key(model, recipe, layer, part_name(channels, out_of))
    places: list[SpritePlace] = []

    def sound() -> SpritemapRecord | None:
        stored = read_record(bucket, key, SpritemapRecord)
        if stored is None:
            return None
        places.extend(() if places else _places(bucket, model, recipe, layer, channels))
        return stored if still_holds(stored) else None

    def still_holds(record: SpritemapRecord) -> bool:
        return (
            record.shards == _shards_of(places)
            and record.sprites == _sprites_of(places, photo_highest)
            and record.file.key.endswith(f".{image_format}")
            and is_whole(bucket, record.file)
        )

    if (stored := sound()) is not None:
        return stored
    with claimed(key) as is_ours:
        # Another process may have gathered it just before the claim.
        stored = sound() if is_ours else None
        if not is_ours or stored is not None:
            return stored
        places.extend(() if places else _places(bucket, model, recipe, layer, channels))
        sprites = _sprites_of(places, photo_highest)
        record = _gathered(bucket, key, places, sprites, image_format)
        return commit(bucket, key, record, still_holds)


def _sprites_of(
    places: Sequence[SpritePlace], photo_highest: Mapping[int, float]
) -> tuple[SpriteScores, ...]:
    return with_photo_ratios((place.scores for place in places), photo_highest)


def gather_sheet(
    bucket: Bucket, places: Sequence[SpritePlace], cell_px: int
) -> npt.NDArray[np.uint8]:
    """Return the spritemap of sprites in the order given, with transparent parts on white.

    Only one shard is in memory at a time, beside the sheet.

    Args:
        bucket: where.
        places: of the sprites in their shards.
        cell_px: side of a sprite.

    Returns:
        uint8 `[rows * cell_px, columns * cell_px, 3]`.

    Raises:
        Corrupt: a shard differs from its record.
    """
    columns, _ = spritemap_shape(len(places))
    return compose(_cells(bucket, places), len(places), columns, cell_px)


def _places(
    bucket: Bucket, model: str, recipe: str, layer: str, channels: Sequence[int]
) -> list[SpritePlace]:
    """Return the places of all variants of the channels, in ascending order.

    Raises:
        SpritesMissing: some channels have no sprite.
    """
    shards = read_layer(bucket, model, recipe, layer)
    missing = channels_missing(channels, shards.channels())
    if missing:
        raise SpritesMissing(
            f"{layer} lacks {len(missing)} of {len(channels)} sprites, the first of channel "
            f"{missing[0]}. Run the same command again."
        )
    wanted = frozenset(channels)
    return [place for (channel, _), place in shards.places().items() if channel in wanted]


def _gathered(
    bucket: Bucket,
    key: str,
    places: Sequence[SpritePlace],
    sprites: tuple[SpriteScores, ...],
    image_format: ImageFormat,
) -> SpritemapRecord:
    first = places[0].shard
    data = encode(gather_sheet(bucket, places, first.cell_px), image_format)
    columns, rows = spritemap_shape(len(places))
    return SpritemapRecord(
        model=first.model,
        recipe=first.recipe,
        layer=first.layer,
        cell_px=first.cell_px,
        columns=columns,
        rows=rows,
        sprites=sprites,
        shards=_shards_of(places),
        file=put_fingerprinted(bucket, key, data, image_format, crc32c(data)),
    )


def _shards_of(places: Sequence[SpritePlace]) -> tuple[FileRef, ...]:
    files = {place.record_key: place.shard.file for place in places}
    return tuple(files[key] for key in sorted(files))


def _cells(
    bucket: Bucket, places: Sequence[SpritePlace]
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    for wanted in _by_shard(places).values():
        shard = wanted[0][1].shard
        sheet = decode(bucket.get(shard.file.key, want_crc=shard.file.crc32c))
        pictures = list(cut(sheet, len(shard.sprites), shard.columns, shard.cell_px))
        yield from ((position, on_white(pictures[place.cell])) for position, place in wanted)


def _by_shard(places: Sequence[SpritePlace]) -> Mapping[str, list[tuple[int, SpritePlace]]]:
    wanted: dict[str, list[tuple[int, SpritePlace]]] = defaultdict(list)
    for position, place in enumerate(places):
        wanted[place.record_key].append((position, place))
    return wanted
