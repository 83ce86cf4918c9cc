"""The index of a sprite set: a table with a row for each sprite, rebuilt from the records."""

import io
from collections.abc import Iterable, Mapping

import pandas as pd

from storage.sprite_set import LayerShards

COLUMNS = {
    "layer": "string",
    "channel": "int32",
    "objective": "float64",
    "highest_activation": "float64",
    "contrast": "float64",
    "saturation": "float64",
    "dead": "bool",
    "grey": "bool",
    "saturated": "bool",
    "not_finite": "bool",
    "shard": "string",
    "cell": "int32",
    "columns": "int32",
    "cell_px": "int32",
}


def sprite_table(layers: Mapping[str, LayerShards], order: Iterable[str]) -> pd.DataFrame:
    """Return a row for each sprite: layers in the order given, channels ascending.

    `shard`, `cell`, `columns` and `cell_px` say where the sprite's lossless picture is.
    """
    rows = [
        {
            "layer": layer,
            **place.scores.model_dump(exclude={"flags"}),
            **{flag: flag in place.scores.flags for flag in ("dead", "grey", "saturated", "not_finite")},
            "shard": place.shard.file.key,
            "cell": place.cell,
            "columns": place.shard.columns,
            "cell_px": place.shard.cell_px,
        }
        for layer in order
        if layer in layers
        for place in layers[layer].places().values()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def to_parquet(table: pd.DataFrame) -> bytes:
    """Return the table as a Parquet file, the same bytes for the same table."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, engine="pyarrow", index=False, compression="zstd")
    return buffer.getvalue()
