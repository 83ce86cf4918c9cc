"""How far a sprite set is, from one listing: what its index knows of the records that are listed is
not read again.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from diamond_cutter.storage.bucket import Bucket, ObjectInfo, crc32c
from diamond_cutter.storage.errors import Corrupt, NotFound
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import (
    escape,
    is_run_record,
    is_shard_record,
    is_spritemap_record,
    record_beside,
    set_folder,
)
from diamond_cutter.storage.sets.records import FileRef, ShardRecord, SpritemapRecord


class SurveyedSprite(NamedTuple):
    """A sprite that a shard holds."""

    channel: int
    variant: int
    flagged: bool


@dataclass(frozen=True, slots=True)
class SurveyedShard:
    """What a shard's record says, in short; `record_crc32c` is the record's own sum."""

    record_crc32c: int
    file: FileRef
    sprites: tuple[SurveyedSprite, ...]


@dataclass(frozen=True)
class LayerSurvey:
    """A layer's shards by their record's key: those that count, and why the others do not; its
    spritemaps' files; and its size in bytes, and when something of it was last written.
    """

    shards: Mapping[str, SurveyedShard] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    spritemaps: tuple[str, ...] = ()
    size: int = 0
    updated: datetime | None = None

    def owners(self) -> dict[int, str]:
        """Return the key of the record that each channel's sprites are taken from, the first by key
        that has it, by channel.
        """
        found: dict[int, str] = {}
        for key, shard in sorted(self.shards.items()):
            for sprite in shard.sprites:
                found.setdefault(sprite.channel, key)
        return dict(sorted(found.items()))

    def sprites(self) -> list[SurveyedSprite]:
        """Return the sprites that count."""
        owners = self.owners()
        return [
            sprite
            for key, shard in self.shards.items()
            for sprite in shard.sprites
            if owners[sprite.channel] == key
        ]


@dataclass(frozen=True)
class SetSurvey:
    """A sprite set: its layers by name and what lies in its folder."""

    layers: Mapping[str, LayerSurvey]
    runs: int
    size: int
    updated: datetime | None

    def of(self, layer: str) -> LayerSurvey:
        """Return the survey of a layer, or of mixes; an empty one if nothing of it is there."""
        return self.layers.get(escape(layer), LayerSurvey())


def survey_set(
    bucket: Bucket,
    model: str,
    recipe: str,
    known: Mapping[str, SurveyedShard],
    only: Collection[str] | None = None,
) -> SetSurvey:
    """Return how far a set is.

    Args:
        bucket: where.
        model: the model's name and hash.
        recipe: the recipe's name and hash.
        known: what the set's index says of its shards, by the key of their records. It holds for
            records that have the sum it knows.
        only: names of the layers, or mixes, whose shards are looked at; all of them if left out.
    """
    folder = set_folder(model, recipe)
    listed = {info.key: info for info in bucket.list(folder)}
    layers = None if only is None else set(map(escape, only))
    keys = [
        key
        for key in listed
        if is_shard_record(key) and (layers is None or _layer_of(folder, key) in layers)
    ]
    surveyed = at_once(bucket, lambda key: _survey(bucket, key, listed, known), keys)
    by_layer: dict[str, list[tuple[str, SurveyedShard | str]]] = defaultdict(list)
    for key, found in zip(keys, surveyed, strict=True):
        by_layer[_layer_of(folder, key)].append((key, found))
    files: dict[str, list[ObjectInfo]] = defaultdict(list)
    for key, info in listed.items():
        files[_layer_of(folder, key)].append(info)
    return SetSurvey(
        layers={
            layer: _layer(bucket, by_layer[layer], files[layer])
            for layer in files
            if layer not in ("", "runs")
        },
        runs=sum(map(is_run_record, listed)),
        size=sum(info.size for info in listed.values()),
        updated=max((info.updated for info in listed.values()), default=None),
    )


def _layer_of(folder: str, key: str) -> str:
    """Return the folder of a set that a key is in, or '' if it is in none."""
    return key.removeprefix(folder).rpartition("/")[0]


def _layer(
    bucket: Bucket, shards: list[tuple[str, SurveyedShard | str]], files: list[ObjectInfo]
) -> LayerSurvey:
    records = [info.key for info in files if is_spritemap_record(info.key)]
    beside: dict[str | None, list[str]] = defaultdict(list)
    for info in files:
        beside[record_beside(info.key)].append(info.key)
    spritemaps = (_spritemap(bucket, record, beside[record]) for record in records)
    return LayerSurvey(
        shards={key: found for key, found in shards if isinstance(found, SurveyedShard)},
        damaged={key: found for key, found in shards if isinstance(found, str)},
        spritemaps=tuple(file for file in spritemaps if file is not None),
        size=sum(info.size for info in files),
        updated=max((info.updated for info in files), default=None),
    )


def _spritemap(bucket: Bucket, record: str, files: list[str]) -> str | None:
    """Return the file that a spritemap's record commits; of several, of which all but one are left
    over, the record tells which.
    """
    if len(files) == 1:
        return files[0]
    try:
        return SpritemapRecord.from_bytes(bucket.get(record), record).file.key
    except (Corrupt, NotFound):
        return None


def _survey(
    bucket: Bucket, key: str, listed: Mapping[str, ObjectInfo], known: Mapping[str, SurveyedShard]
) -> SurveyedShard | str:
    """Return what a record says, or why it does not count."""
    shard = known.get(key)
    if shard is None or shard.record_crc32c != listed[key].crc32c:
        try:
            shard = _surveyed(bucket.get(key), key, shard)
        except (Corrupt, NotFound) as error:
            return str(error)
    if shard.file.is_whole_in(bucket, listed.get(shard.file.key)):
        return shard
    return damage(shard.file)


def _surveyed(data: bytes, key: str, known: SurveyedShard | None) -> SurveyedShard:
    sum_of_all = crc32c(data)
    if known is not None and known.record_crc32c == sum_of_all:
        return known
    record = ShardRecord.from_bytes(data, key)
    sprites = tuple(
        SurveyedSprite(sprite.channel, sprite.variant, bool(sprite.flags))
        for sprite in record.sprites
    )
    return SurveyedShard(sum_of_all, record.file, sprites)


def damage(file: FileRef) -> str:
    """Say what is wrong with a shard whose file is not as its record says."""
    return (
        f"Shard {file.key} is missing or is not what its record says; the same run again "
        "renders it anew."
    )
