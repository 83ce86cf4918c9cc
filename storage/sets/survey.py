"""The progress of a sprite set, from one listing; records that its index knows are not read."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeVar

from diamond_cutter.storage.bucket import Bucket, ObjectInfo, Token, crc32c
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

_Value = TypeVar("_Value")


class SurveyedSprite(NamedTuple):
    """A sprite in a shard."""

    channel: int
    variant: int
    flagged: bool


@dataclass(frozen=True, slots=True)
class SurveyedShard:
    """A summary of the record of a shard; `record_crc32c` is the checksum of the record."""

    record_crc32c: int
    file: FileRef
    sprites: tuple[SurveyedSprite, ...]


@dataclass(frozen=True)
class LayerSurvey:
    """The progress of one layer.

    Attributes:
        shards: the intact shards, by the keys of their records.
        damaged: why the other shards do not count, by the keys of their records.
        spritemaps: the keys of the files of the spritemaps.
        size: of all files in bytes.
        updated: time of the last write.
    """

    shards: Mapping[str, SurveyedShard] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    spritemaps: tuple[str, ...] = ()
    size: int = 0
    updated: datetime | None = None

    def owners(self) -> dict[int, str]:
        """Return, by channel, the key of the first record that has sprites of the channel."""
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
    """The progress of a sprite set: its layers by escaped name, and totals of its folder.

    gathered: the versions of the records of spritemaps and runs, by key.
    """

    layers: Mapping[str, LayerSurvey]
    runs: int
    size: int
    updated: datetime | None
    gathered: Mapping[str, Token] = field(default_factory=dict)

    def of(self, layer: str) -> LayerSurvey:
        """Return the survey of a layer or of mixes, empty if the set has no files of it."""
        return self.layers.get(escape(layer), LayerSurvey())


def survey_set(
    bucket: Bucket,
    model: str,
    recipe: str,
    known: Mapping[str, SurveyedShard],
    only: Collection[str] | None = None,
) -> SetSurvey:
    """Return the progress of a sprite set.

    Args:
        bucket: of the set.
        model: the name and hash of the model.
        recipe: the name and hash of the recipe.
        known: the shards in the index of the set, by the keys of their records. They are valid for
            records with the same checksum.
        only: names of the layers or mixes to survey; all if omitted.
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
    shards = _by_layer(folder, zip(keys, surveyed, strict=True))
    files = _by_layer(folder, listed.items())
    return SetSurvey(
        layers={
            layer: _layer(bucket, shards.get(layer, {}), infos)
            for layer, infos in files.items()
            if layer not in ("", "runs")
        },
        runs=sum(map(is_run_record, listed)),
        size=sum(info.size for info in listed.values()),
        updated=max((info.updated for info in listed.values()), default=None),
        gathered={
            key: info.token
            for key, info in listed.items()
            if is_spritemap_record(key) or is_run_record(key)
        },
    )


def _by_layer(folder: str, items: Iterable[tuple[str, _Value]]) -> dict[str, dict[str, _Value]]:
    """Return values by key, for each layer that the keys are in."""
    found: dict[str, dict[str, _Value]] = defaultdict(dict)
    for key, value in items:
        found[_layer_of(folder, key)][key] = value
    return found


def _layer_of(folder: str, key: str) -> str:
    """Return the subfolder of the set that a key is in, or ''."""
    return key.removeprefix(folder).rpartition("/")[0]


def _layer(
    bucket: Bucket, shards: Mapping[str, SurveyedShard | str], files: Mapping[str, ObjectInfo]
) -> LayerSurvey:
    records = [key for key in files if is_spritemap_record(key)]
    beside: dict[str | None, list[str]] = defaultdict(list)
    for key in files:
        beside[record_beside(key)].append(key)
    spritemaps = (_spritemap(bucket, record, beside[record]) for record in records)
    return LayerSurvey(
        shards={key: found for key, found in shards.items() if isinstance(found, SurveyedShard)},
        damaged={key: found for key, found in shards.items() if isinstance(found, str)},
        spritemaps=tuple(file for file in spritemaps if file is not None),
        size=sum(info.size for info in files.values()),
        updated=max((info.updated for info in files.values()), default=None),
    )


def _spritemap(bucket: Bucket, record: str, files: list[str]) -> str | None:
    """Return the file of a spritemap; the record is read only if older files are beside it."""
    if len(files) == 1:
        return files[0]
    try:
        return SpritemapRecord.from_bytes(bucket.get(record), record).file.key
    except (Corrupt, NotFound):
        return None


def _survey(
    bucket: Bucket, key: str, listed: Mapping[str, ObjectInfo], known: Mapping[str, SurveyedShard]
) -> SurveyedShard | str:
    """Return the summary of a record, or why its shard does not count."""
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
    """Return the sentence about a shard whose file is not as its record says."""
    problem = f"shard {file.key} is missing or differs from its record"
    return f"{problem}. Repeat the run to render it again."
