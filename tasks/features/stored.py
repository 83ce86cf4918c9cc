"""Write and read the features of a set of images, by batch and layer."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, Corrupt, crc32c
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.cut_keys import costs_key, features_key, features_record_key
from diamond_cutter.storage.sets.records import FileRef, Record, Versions
from diamond_cutter.storage.sets.report_keys import report_folder
from diamond_cutter.storage.sets.sprite_set import is_whole, put_determined, read_record
from diamond_cutter.tasks.features.spec import CutSpec

IMAGES_AT_ONCE = 512


class FeaturesRecord(Record):
    """Commits the features of images: a table for each layer, with a row for each image."""

    model: str
    dataset: str
    first: int = Field(description="number of the first image in the dataset", ge=0)
    images: int = Field(description="number of images, including unreadable ones", ge=1)
    numbers: tuple[int, ...] = Field(description="numbers of the readable images, ascending")
    digests: tuple[str, ...] = Field(description="hash of the pixels of each readable image")
    refused: dict[str, str] = Field(default={}, description="why images were omitted, by name")
    layers: dict[str, FileRef] = Field(description="the tables by layer; empty without any image")
    seconds: float
    versions: Versions

    @property
    def files(self) -> tuple[FileRef, ...]:
        """Return the files that the record commits."""
        return tuple(self.layers.values())


class LayerCost(FrozenModel):
    """What a network costs up to a layer, for one image of the model's size."""

    parameters: int = Field(description="weights, with those of BatchNorm")
    macs: int = Field(description="multiplications with weights")
    ms: float = Field(description="milliseconds in batches of 8 images, as measured")


class CostsRecord(Record):
    """Commits the costs of the layers of a model."""

    model: str
    costs: dict[str, LayerCost]
    versions: Versions
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True)
class FeatureSet:
    """The features of one model on a set of images, as far as the bucket has them.

    bucket: of the features.
    folder: of the features, in the bucket.
    records: the record of each batch, in the order of the images.
    """

    bucket: Bucket
    folder: str
    records: tuple[FeaturesRecord, ...]

    @property
    def digests(self) -> dict[int, str]:
        """Return a hash of the pixels of each readable image, by number."""
        return {
            number: digest
            for record in self.records
            for number, digest in zip(record.numbers, record.digests, strict=True)
        }

    @property
    def refused(self) -> dict[str, str]:
        """Return the reason for each unreadable image, by name."""
        return {name: reason for record in self.records for name, reason in record.refused.items()}

    def read(self, layer: str, numbers: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the features of some readable images at a layer, one batch at a time.

        Returns:
            float32 `[image, feature]`, in the order of the numbers.

        Raises:
            Corrupt, NotFound: a table is missing or damaged.
        """
        place = {number: row for row, number in enumerate(numbers)}
        found: npt.NDArray[np.float32] | None = None
        missing = len(numbers)
        for held, values in self._parts(layer):
            rows = [(place[number], row) for row, number in enumerate(held) if number in place]
            if not rows:
                continue
            if found is None:
                found = np.empty((len(numbers), values.shape[1]), np.float32)
            target, source = zip(*rows, strict=True)
            found[list(target)] = values[list(source)]
            missing -= len(rows)
        if found is None or missing:
            raise Corrupt(f"Folder {self.folder} lacks features of {missing} images at {layer!r}.")
        return found

    def _parts(self, layer: str) -> Iterator[tuple[tuple[int, ...], npt.NDArray[np.float32]]]:
        wanted = [record for record in self.records if record.layers]

        def read(record: FeaturesRecord) -> npt.NDArray[np.float32]:
            file = record.layers[layer]
            return _from_parquet(self.bucket.get(file.key, want_crc=file.crc32c), file.key)

        for record, values in zip(wanted, at_once(self.bucket, read, wanted), strict=True):
            yield record.numbers, values


def features_folder(dataset: str, model: str, spec: CutSpec) -> str:
    """Return the folder of the features of a set of images by one model, and of its costs."""
    return report_folder(dataset, model, spec.features_key)


def scores_folder(dataset: str, model: str, spec: CutSpec) -> str:
    """Return the folder of the scores and the trained heads of one model on a set of images."""
    return report_folder(dataset, model, spec.key)


def batch_ranges(images: int) -> list[range]:
    """Return the numbers of the images of each batch."""
    return [
        range(first, min(first + IMAGES_AT_ONCE, images))
        for first in range(0, images, IMAGES_AT_ONCE)
    ]


def stored_features(bucket: Bucket, folder: str, numbers: range) -> FeaturesRecord | None:
    """Return the record of a batch, or None if it or one of its tables is missing or damaged."""
    key = features_record_key(folder, numbers.start, numbers.stop)
    record = read_record(bucket, key, FeaturesRecord)
    return record if record is not None and are_whole_tables(bucket, record) else None


def are_whole_tables(bucket: Bucket, record: FeaturesRecord) -> bool:
    """Tell whether all tables of a batch are in the bucket, as the record says."""
    return all(is_whole(bucket, file) for file in record.files)


def feature_set(bucket: Bucket, folder: str, images: int) -> FeatureSet:
    """Return the features of a set of images.

    Raises:
        Corrupt, NotFound: a batch has no valid record.
    """
    keys = [features_record_key(folder, each.start, each.stop) for each in batch_ranges(images)]
    records = at_once(bucket, lambda key: FeaturesRecord.from_bytes(bucket.get(key), key), keys)
    return FeatureSet(bucket, folder, tuple(records))


def common_digests(found: Sequence[FeatureSet]) -> dict[int, str]:
    """Return a hash of the pixels of each image that all models could read, by number.

    An image can be unreadable for some only, if their features were computed at another time.
    """
    first, *others = [each.digests for each in found]
    return {
        number: digest for number, digest in first.items() if all(number in each for each in others)
    }


def stored_costs(bucket: Bucket, folder: str) -> CostsRecord | None:
    """Return the costs of a model's layers, or None if they are missing or damaged."""
    return read_record(bucket, costs_key(folder), CostsRecord)


def put_features(
    bucket: Bucket, folder: str, numbers: range, layers: Mapping[str, npt.NDArray[np.float32]]
) -> dict[str, FileRef]:
    """Write the features of a batch, float32 `[image, feature]` by layer; return the files."""
    files = {}
    for layer, values in layers.items():
        data = _to_parquet(values)
        key = features_key(folder, layer, numbers.start, numbers.stop, data)
        files[layer] = FileRef.of(put_determined(bucket, key, data), crc32c(data))
    return files


def _to_parquet(values: npt.NDArray[np.float32]) -> bytes:
    column = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1]
    )
    buffer = io.BytesIO()
    pq.write_table(pa.table({"features": column}), buffer, compression="zstd", use_dictionary=False)
    return buffer.getvalue()


def _from_parquet(data: bytes, key: str) -> npt.NDArray[np.float32]:
    try:
        column = pq.ParquetFile(io.BytesIO(data)).read(use_threads=False)["features"]
        joined = column.combine_chunks()
        return joined.flatten().to_numpy().reshape(len(joined), joined.type.list_size)
    except Exception as error:  # the Parquet reader raises many types
        raise Corrupt(
            f"Table {key} is unreadable ({type(error).__name__}). Run the same command again to "
            "write it again."
        ) from error
