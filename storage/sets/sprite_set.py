"""Reads and writes sprite sets through their records.

A sprite counts if its record is valid and the file that the record names is intact.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from diamond_cutter.storage.bucket import Bucket, ObjectInfo, crc32c
from diamond_cutter.storage.errors import AccessDenied, Conflict, Corrupt, NotFound
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.retries import write_until_settled
from diamond_cutter.storage.sets.layout import fingerprinted, is_shard_record, layer_folder
from diamond_cutter.storage.sets.records import FileRef, Record, ShardRecord, SpriteScores
from diamond_cutter.storage.sets.survey import damage

AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class SpritePlace:
    """The cell of a sprite in a shard."""

    record_key: str
    shard: ShardRecord
    cell: int

    @property
    def scores(self) -> SpriteScores:
        """Return the measurements of the sprite."""
        return self.shard.sprites[self.cell]


@dataclass(frozen=True)
class LayerShards:
    """The shards of one layer, by the keys of their records.

    Attributes:
        sound: the records of intact shards.
        damaged: why the other shards do not count.
        sums: the CRC32C of each record.
    """

    sound: Mapping[str, ShardRecord]
    damaged: Mapping[str, str] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict)

    def places(self) -> dict[tuple[int, int], SpritePlace]:
        """Return the place of each sprite, ordered by channel and variant.

        All variants of a channel come from one shard, because they were rendered to differ from
        each other: the first shard by key that has the channel.
        """
        shard_of: dict[int, str] = {}
        places: dict[tuple[int, int], SpritePlace] = {}
        for key, shard in sorted(self.sound.items()):
            for cell, sprite in enumerate(shard.sprites):
                if shard_of.setdefault(sprite.channel, key) == key:
                    places[sprite.channel, sprite.variant] = SpritePlace(key, shard, cell)
        return dict(sorted(places.items()))

    def channels(self) -> tuple[int, ...]:
        """Return the channels with sprites, ascending."""
        return tuple(
            sorted({sprite.channel for shard in self.sound.values() for sprite in shard.sprites})
        )


def read_layer(
    bucket: Bucket, model: str, recipe: str, layer: str, *, reread: bool = False
) -> LayerShards:
    """Read the records of a layer's shards and check their files, as `FileRef.is_whole_in` does."""
    listed = {info.key: info for info in bucket.list(layer_folder(model, recipe, layer))}
    sound: dict[str, ShardRecord] = {}
    damaged: dict[str, str] = {}
    sums: dict[str, int] = {}

    def read(key: str) -> tuple[str, ShardRecord | str, int]:
        try:
            data = bucket.get(key)
            record = ShardRecord.from_bytes(data, key)
        except (Corrupt, NotFound) as error:
            return key, str(error), 0
        whole = record.file.is_whole_in(bucket, listed.get(record.file.key), reread=reread)
        return key, record if whole else damage(record.file), crc32c(data)

    for key, found, sum_of_all in at_once(bucket, read, filter(is_shard_record, listed)):
        if isinstance(found, str):
            damaged[key] = found
        else:
            sound[key], sums[key] = found, sum_of_all
    return LayerShards(sound, damaged, sums)


def put_fingerprinted(
    bucket: Bucket, record_key: str, data: bytes, suffix: str, crc: int
) -> FileRef:
    """Write a file that a record will commit to a key that contains its hash."""
    return FileRef.of(put_determined(bucket, fingerprinted(record_key, data, suffix), data), crc)


def put_determined(bucket: Bucket, key: str, data: bytes) -> ObjectInfo:
    """Write a file whose key determines its content; other content is damage and is replaced.

    A read-only bucket is accepted if it holds the file.
    """
    try:
        return bucket.put(key, data)
    except Conflict:
        return bucket.put(key, data, mode="overwrite")
    except AccessDenied:
        present = bucket.stat(key)
        if present is None or bucket.get(key) != data:
            raise
        return present


def commit(
    bucket: Bucket, key: str, record: AnyRecord, counts: Callable[[AnyRecord], bool]
) -> AnyRecord:
    """Create a record, or return a valid one of another writer, even from a read-only bucket.

    Args:
        bucket: of the record.
        key: of the record.
        record: to be committed; all files that it names are in the bucket already.
        counts: tells whether an existing record is sound; otherwise it is replaced.

    Raises:
        Unavailable: other writers keep replacing the record.
    """
    return write_until_settled(key, lambda: _commit_once(bucket, key, record, counts))


def _commit_once(
    bucket: Bucket, key: str, record: AnyRecord, counts: Callable[[AnyRecord], bool]
) -> AnyRecord | None:
    """Return the record that counts now, None if it was removed in the meantime."""
    try:
        bucket.put(key, record.to_bytes())
        return record
    except Conflict:
        present = bucket.stat(key)
    except AccessDenied:
        stored = read_record(bucket, key, type(record))
        if stored is None or not counts(stored):
            raise
        return stored
    if present is None:
        return None
    theirs = read_record(bucket, key, type(record))
    if theirs is not None and counts(theirs):
        return theirs
    bucket.put(key, record.to_bytes(), mode=present.token)
    return record


def is_whole(bucket: Bucket, file: FileRef, *, reread: bool = False) -> bool:
    """Tell whether a file is in the bucket as its record says, as `FileRef.is_whole_in` does."""
    return file.is_whole_in(bucket, bucket.stat(file.key), reread=reread)


def are_whole(bucket: Bucket, folder: str, files: Iterable[FileRef]) -> bool:
    """Tell whether files in a folder are as their records say, with one listing of the folder."""
    listed = {info.key: info for info in bucket.list(folder)}
    return all(file.is_whole_in(bucket, listed.get(file.key)) for file in files)


def read_record(bucket: Bucket, key: str, kind: type[AnyRecord]) -> AnyRecord | None:
    """Return a record, or None if it is missing or not valid."""
    try:
        return kind.from_bytes(bucket.get(key), key)
    except (Corrupt, NotFound):
        return None


def channels_missing(wanted: Iterable[int], there: Iterable[int]) -> tuple[int, ...]:
    """Return the wanted channels that are missing, ascending."""
    return tuple(sorted(set(wanted).difference(there)))
