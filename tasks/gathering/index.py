"""The index of a sprite set: a table with a row for each sprite, rebuilt from the records."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from diamond_cutter.storage import Bucket, Corrupt, NotFound, StorageError
from diamond_cutter.storage.sets.layout import index_key
from diamond_cutter.storage.sets.records import FLAGS, FileRef
from diamond_cutter.storage.sets.sprite_set import LayerShards
from diamond_cutter.storage.sets.survey import SurveyedShard, SurveyedSprite
from diamond_cutter.tasks.rendering.scores import with_photo_ratios

COLUMNS = {
    "layer": "string",
    "channel": "int32",
    "variant": "int32",
    "objective": "float64",
    "highest_activation": "float64",
    "specificity": "float64",
    "photo_ratio": "float64",
    "contrast": "float64",
    "saturation": "float64",
    "checkerboard": "float64",
    # The prefix tells flags from scores: there is also a score named checkerboard.
    **{f"flag_{flag}": "bool" for flag in FLAGS},
    "rung": "string",
    "record": "string",
    "record_crc32c": "Int64",
    "shard": "string",
    "shard_size": "int64",
    "shard_crc32c": "int64",
    "shard_sprites": "int32",
    "cell": "int32",
    "columns": "int32",
    "cell_px": "int32",
}


def sprite_table(
    layers: Mapping[str, LayerShards],
    order: Iterable[str],
    photo_highest: Mapping[str, Mapping[int, float]] | None = None,
) -> pd.DataFrame:
    """Return a table with a row for each sprite, in the order of layers, channels and variants.

    `shard`, `cell`, `columns` and `cell_px` locate the sprite's lossless picture. `record` and the
    checksums identify the source of the row.

    Args:
        layers: the shards of each layer.
        order: names of layers. Layers without shards are skipped.
        photo_highest: the highest activation on any photo, by layer and channel.
    """
    rows = [
        row
        for layer in order
        if layer in layers
        for row in _rows(layer, layers[layer], (photo_highest or {}).get(layer, {}))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def to_parquet(table: pd.DataFrame) -> bytes:
    """Return the table as a Parquet file, the same bytes for the same table."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False, compression="zstd")
    return buffer.getvalue()


def read_table(bucket: Bucket, key: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a table that `to_parquet` has written, or some of its columns.

    Raises:
        NotFound: there is no such table.
        Corrupt: it is unreadable.
    """
    try:
        # Not with pandas' own reader, which starts threads and loads drivers of file systems for a
        # table of some kilobytes. Keys repeat in many rows: a dictionary takes a tenth of the
        # memory.
        file = pq.ParquetFile(io.BytesIO(bucket.get(key)), read_dictionary=["record", "shard"])
        return file.read(columns, use_threads=False).to_pandas()
    except StorageError:
        raise
    except Exception as error:  # the Parquet reader raises many kinds for damaged files
        raise Corrupt(
            f"the index {key} is unreadable ({type(error).__name__}). The next run writes it again."
        ) from error


def indexed_shards(bucket: Bucket, model: str, recipe: str) -> dict[str, SurveyedShard]:
    """Return the shards in a set's index by the keys of their records; none if it is unreadable.

    Shards are skipped if the index lacks some of their sprites.
    """
    flags = [f"flag_{flag}" for flag in FLAGS]
    columns = [
        "record",
        "record_crc32c",
        "shard",
        "shard_size",
        "shard_crc32c",
        "shard_sprites",
        "channel",
        "variant",
        *flags,
    ]
    try:
        table = read_table(bucket, index_key(model, recipe), columns)
        table["flagged"] = table[flags].any(axis=1)
        return dict(_shards(table))
    except (NotFound, Corrupt, KeyError):
        return {}


def _shards(table: pd.DataFrame) -> Iterator[tuple[str, SurveyedShard]]:
    """Yield each shard of the rows, which are too many to be read one by one in Python."""
    codes, records = pd.factorize(table["record"])
    table = table.iloc[np.argsort(codes, kind="stable")]
    ends = np.cumsum(np.bincount(codes, minlength=len(records))).tolist()
    firsts = table.iloc[[0, *ends[:-1]] if ends else []]
    facts = zip(
        *(
            firsts[name].tolist()
            for name in ("record_crc32c", "shard", "shard_size", "shard_crc32c", "shard_sprites")
        ),
        strict=True,
    )
    sprites = list(
        map(
            SurveyedSprite,
            table["channel"].tolist(),
            table["variant"].tolist(),
            table["flagged"].tolist(),
        )
    )
    begin = 0
    for record, end, (record_crc, file, size, crc, count) in zip(records, ends, facts, strict=True):
        if end - begin == count and not pd.isna(record_crc):
            yield (
                str(record),
                SurveyedShard(
                    record_crc, FileRef(key=file, size=size, crc32c=crc), tuple(sprites[begin:end])
                ),
            )
        begin = end


def _rows(
    layer: str, shards: LayerShards, photo_highest: Mapping[int, float]
) -> Iterator[dict[str, object]]:
    places = shards.places().values()
    for place, scores in zip(
        places, with_photo_ratios((place.scores for place in places), photo_highest), strict=True
    ):
        yield {
            "layer": layer,
            **scores.model_dump(exclude={"flags"}),
            **{f"flag_{flag}": flag in scores.flags for flag in FLAGS},
            "record": place.record_key,
            "record_crc32c": shards.sums.get(place.record_key),
            "shard": place.shard.file.key,
            "shard_size": place.shard.file.size,
            "shard_crc32c": place.shard.file.crc32c,
            "shard_sprites": len(place.shard.sprites),
            "cell": place.cell,
            "columns": place.shard.columns,
            "cell_px": place.shard.cell_px,
        }
