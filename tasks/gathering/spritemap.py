"""Gathers a layer's sprites from its shards into one picture."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from diamond_cutter.storage.bucket import Bucket
from diamond_cutter.storage.sets.sprite_set import SpritePlace
from diamond_cutter.tasks.rendering.scores import on_white
from diamond_cutter.tasks.sheets import compose, cut, decode, spritemap_shape


def gather_sheet(bucket: Bucket, places: Sequence[SpritePlace], cell_px: int) -> np.ndarray:
    """Return the spritemap of sprites in the order given, those with opacity on white, uint8 `[rows
    * cell_px, columns * cell_px, 3]`.

    One shard is held beside the sheet at a time.

    Raises:
        Corrupt: a shard is not what its record says.
    """
    columns, _ = spritemap_shape(len(places))
    return compose(_cells(bucket, places), len(places), columns, cell_px)


def _cells(bucket: Bucket, places: Sequence[SpritePlace]) -> Iterator[tuple[int, np.ndarray]]:
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
