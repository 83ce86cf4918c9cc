"""Hold the measurements of images, and convert them to and from a Parquet table."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from diamond_cutter.storage.errors import Corrupt

TOP_CLASSES = 5
_OF_A_LAYER = ("channels", "positions", "highest", "where")


@dataclass(frozen=True)
class LayerRows:
    """The measurements of images at one layer.

    channels: the attribution of each channel, summed over positions, float32 `[image, channel]`.
    positions: the attribution of each position, summed over channels, float32
        `[image, row * column]`.
    highest: the highest activation of each channel, float32 `[image, channel]`.
    where: the position of the highest activation, int32 `[image, channel]`.
    """

    channels: npt.NDArray[np.float32]
    positions: npt.NDArray[np.float32]
    highest: npt.NDArray[np.float32]
    where: npt.NDArray[np.int32]


@dataclass(frozen=True)
class ImageRows:
    """The measurements of images, one row each.

    numbers: the images' numbers in the dataset, int32 `[image]`.
    names: the images' paths below the folder.
    labels: the user's labels.
    label_classes: the class of each label, int32 `[image]`; -1 if no class matches.
    classes: the classes of the highest logits, int32 `[image, up to 5]`.
    probabilities: the probabilities of these classes, float32 `[image, up to 5]`.
    positive, negative: the explained classes, int32 `[image]`; -1 for no class or all classes.
    layers: the measurements by layer name.
    """

    numbers: npt.NDArray[np.int32]
    names: Sequence[str]
    labels: Sequence[str | None]
    label_classes: npt.NDArray[np.int32]
    classes: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]
    positive: npt.NDArray[np.int32]
    negative: npt.NDArray[np.int32]
    layers: Mapping[str, LayerRows]


def join_rows(parts: Sequence[ImageRows]) -> ImageRows | None:
    """Return the rows of all parts together, or None without any part."""
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
    """Return a table with one row for each image.

    Each layer has four columns, such as `channels:block_10`.
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
    # Dictionaries of floats would double the time and take up to a sixth more space: floats hardly
    # repeat.
    pq.write_table(pa.table(columns), buffer, compression="zstd", use_dictionary=["name", "label"])
    return buffer.getvalue()


def from_parquet(data: bytes, key: str) -> ImageRows:
    """Return the rows of a table that `to_parquet` wrote.

    Raises:
        Corrupt: the file is not such a table.
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
    except Exception as error:  # the Parquet reader raises many types
        raise Corrupt(
            f"Table {key} is unreadable ({type(error).__name__}). Run the same command again to "
            "write it again."
        ) from error


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1]
    )


def _array(column: pa.ChunkedArray) -> np.ndarray:
    joined = column.combine_chunks()
    return joined.flatten().to_numpy().reshape(len(joined), joined.type.list_size)
