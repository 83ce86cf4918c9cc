"""The numbers of some images, and the Parquet table that holds them."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from diamond_cutter.storage.errors import Corrupt

TOP_CLASSES = 5
_OF_A_LAYER = ("channels", "positions", "highest", "where")


@dataclass(frozen=True)
class LayerRows:
    """What images do at a layer.

    channels: each channel's attribution, the sum over positions, float32 `[image, channel]`.
    positions: each position's, the sum over channels, float32 `[image, row * column]`.
    highest: each channel's highest activation, float32 `[image, channel]`.
    where: at which position, int32 `[image, channel]`.
    """

    channels: np.ndarray
    positions: np.ndarray
    highest: np.ndarray
    where: np.ndarray


@dataclass(frozen=True)
class ImageRows:
    """Some images.

    numbers: their numbers in the dataset, int32 `[image]`.
    names: their paths below the folder.
    labels: what the user calls them.
    label_classes: the class that the label is, int32 `[image]`; -1 where it is none.
    classes: the classes of the highest logits, int32 `[image, up to 5]`.
    probabilities: of these, float32 `[image, up to 5]`.
    positive, negative: the classes that were explained, int32 `[image]`; -1 where it was none, or
    all. layers: by layer's name.
    """

    numbers: np.ndarray
    names: Sequence[str]
    labels: Sequence[str | None]
    label_classes: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    layers: Mapping[str, LayerRows]


def joined(parts: Sequence[ImageRows]) -> ImageRows | None:
    """Return the rows of some parts in one, or None if there is no part."""
    if not parts:
        return None
    arrays = ("numbers", "label_classes", "classes", "probabilities", "positive", "negative")
    return ImageRows(
        names=[name for part in parts for name in part.names],
        labels=[label for part in parts for label in part.labels],
        layers={
            layer: LayerRows(
                *(
                    np.concatenate([getattr(part.layers[layer], what) for part in parts])
                    for what in _OF_A_LAYER
                )
            )
            for layer in parts[0].layers
        },
        **{what: np.concatenate([getattr(part, what) for part in parts]) for what in arrays},
    )


def to_parquet(rows: ImageRows) -> bytes:
    """Return a table with a row for each image; a layer has four columns, such as
    `channels:block_10`.
    """
    columns: dict[str, pa.Array] = {
        "image": pa.array(rows.numbers),
        "name": pa.array(rows.names, pa.string()),
        "label": pa.array(rows.labels, pa.string()),
        "label_class": pa.array(rows.label_classes),
        "classes": _lists(rows.classes),
        "probabilities": _lists(rows.probabilities),
        "positive": pa.array(rows.positive),
        "negative": pa.array(rows.negative),
    }
    for name, layer in rows.layers.items():
        columns |= {f"{what}:{name}": _lists(getattr(layer, what)) for what in _OF_A_LAYER}
    buffer = io.BytesIO()
    # Dictionaries of floats, which hardly repeat, would take as long again and up to a sixth more
    # room.
    pq.write_table(pa.table(columns), buffer, compression="zstd", use_dictionary=["name", "label"])
    return buffer.getvalue()


def from_parquet(data: bytes, key: str) -> ImageRows:
    """Read such a table.

    Raises:
        Corrupt: it is none.
    """
    try:
        table = pq.ParquetFile(io.BytesIO(data)).read(use_threads=False)
        layers = [
            name.partition(":")[2] for name in table.column_names if name.startswith("channels:")
        ]
        return ImageRows(
            numbers=table["image"].to_numpy(),
            names=table["name"].to_pylist(),
            labels=table["label"].to_pylist(),
            label_classes=table["label_class"].to_numpy(),
            classes=_array(table["classes"]),
            probabilities=_array(table["probabilities"]),
            positive=table["positive"].to_numpy(),
            negative=table["negative"].to_numpy(),
            layers={
                layer: LayerRows(*(_array(table[f"{what}:{layer}"]) for what in _OF_A_LAYER))
                for layer in layers
            },
        )
    except Exception as error:  # whatever the Parquet reader makes of rubbish
        raise Corrupt(
            f"The table {key} cannot be read ({type(error).__name__}); the same run again writes "
            "it anew."
        ) from error


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1]
    )


def _array(column: pa.ChunkedArray) -> np.ndarray:
    joined = column.combine_chunks()
    return joined.flatten().to_numpy().reshape(len(joined), joined.type.list_size)
