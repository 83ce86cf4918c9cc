"""Write and read checkpoints of a training: the state after each epoch, and the result."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, Corrupt, NotFound, crc32c
from diamond_cutter.storage.sets.attach_keys import attached_key, epoch_key, epochs_folder
from diamond_cutter.storage.sets.records import FileRef, Record, Versions
from diamond_cutter.storage.sets.sprite_set import commit, is_whole, put_fingerprinted, read_record
from diamond_cutter.tasks.importing.stored import read_card

Arrays = dict[str, npt.NDArray[np.float32]]


class Epoch(FrozenModel):
    """How one epoch went; accuracies are shares of images, losses are mean cross-entropies."""

    phase: int = Field(description="0 trains the new layers, 1 also unfrozen ones")
    epoch: int = Field(description="counted from 1 in each phase; 0 is the state before training")
    rate: float = Field(description="learning rate at its end")
    loss: float | None = Field(description="of the training images; none before training")
    accuracy: float | None = Field(description="of the varied training images")
    validation_loss: float
    validation_accuracy: float


class EpochRecord(Record):
    """Commits the state of a training after an epoch."""

    model: str
    division: str = Field(description="hash of the images and of how they were divided")
    batch: int = Field(description="images in a step")
    history: tuple[Epoch, ...]
    best: int = Field(description="place of the best epoch in the history")
    diverged: bool = Field(default=False, description="whether the loss became infinite or NaN")
    file: FileRef

    @property
    def files(self) -> tuple[FileRef, ...]:
        """Return the files that the record commits."""
        return (self.file,)


class AttachedRecord(Record):
    """Commits trained new layers, and unfrozen layers if there are any."""

    model: str = Field(description="name and hash of the network that was cut")
    dataset: str
    division: str = Field(description="hash of the images and of how they were divided")
    classes: tuple[str, ...]
    batch: int = Field(description="images in a step")
    history: tuple[Epoch, ...]
    best: int = Field(description="place in the history of the weights that were kept")
    images: tuple[int, int, int] = Field(description="for training, validation and test")
    test_images: tuple[str, ...] = Field(description="names of the images that no training saw")
    test_accuracy: float
    test_low: float = Field(description="lower end of its 95 % interval")
    test_high: float
    problems: tuple[str, ...] = Field(default=(), description="a sentence for each")
    seconds: float
    weights: FileRef
    chart: FileRef
    versions: Versions

    @property
    def files(self) -> tuple[FileRef, ...]:
        """Return the files that the record commits."""
        return self.weights, self.chart


@dataclass
class State:
    """A training at the end of an epoch.

    weights, best: by name; `best` holds those with the highest validation accuracy.
    optimizer: the variables of the optimizer, in its order; empty at the beginning of a phase.
    """

    weights: Arrays
    best: Arrays
    optimizer: list[npt.NDArray[np.generic]] = field(default_factory=list)
    history: list[Epoch] = field(default_factory=list)
    best_place: int = 0
    diverged: bool = False


def keep_epoch(bucket: Bucket, folder: str, state: State, common: Mapping[str, object]) -> None:
    """Write the state after an epoch; the state before the last one is removed.

    Args:
        bucket: of the training.
        folder: of the training.
        state: of the training.
        common: the record's model, division and batch.
    """
    key = epoch_key(folder, len(state.history) - 1)
    data = _packed(
        {f"weights/{name}": value for name, value in state.weights.items()}
        | {f"best/{name}": value for name, value in state.best.items()}
        | {f"optimizer/{place:06d}": value for place, value in enumerate(state.optimizer)}
    )
    record = EpochRecord.model_validate(
        {
            **common,
            "history": state.history,
            "best": state.best_place,
            "diverged": state.diverged,
            "file": put_fingerprinted(bucket, key, data, "npz", crc32c(data)),
        }
    )
    commit(bucket, key, record, lambda theirs: False)
    _remove_before(bucket, folder, len(state.history) - 2)


def last_epoch(bucket: Bucket, folder: str, common: Mapping[str, object]) -> State | None:
    """Return the state after the last epoch with a sound record, or None.

    Records of other images or another batch size do not count.
    """
    keys = sorted(
        info.key for info in bucket.list(epochs_folder(folder)) if info.key.endswith(".json")
    )
    for key in reversed(keys):
        record = read_record(bucket, key, EpochRecord)
        if record is None or any(getattr(record, name) != value for name, value in common.items()):
            continue
        try:
            arrays = _unpacked(bucket.get(record.file.key, want_crc=record.file.crc32c), key)
        except (Corrupt, NotFound):
            continue
        return State(
            weights=_part(arrays, "weights/"),
            best=_part(arrays, "best/"),
            optimizer=list(_part(arrays, "optimizer/").values()),
            history=list(record.history),
            best_place=record.best,
            diverged=record.diverged,
        )
    return None


def keep_result(bucket: Bucket, folder: str, weights: Arrays, chart: str, facts: object) -> None:
    """Write the trained weights and the chart of the history, and commit them."""
    key = attached_key(folder)
    data, drawn = (
        _packed({f"weights/{name}": value for name, value in weights.items()}),
        chart.encode(),
    )
    record = AttachedRecord.model_validate(
        {
            **dict(facts),  # type: ignore[call-overload]
            "weights": put_fingerprinted(bucket, key, data, "npz", crc32c(data)),
            "chart": put_fingerprinted(bucket, key, drawn, "svg", crc32c(drawn)),
        }
    )
    commit(bucket, key, record, lambda theirs: False)
    _remove_before(bucket, folder, None)


def stored_result(bucket: Bucket, folder: str) -> AttachedRecord | None:
    """Return the record of a finished training, or None if it or a file is missing or damaged."""
    record = read_record(bucket, attached_key(folder), AttachedRecord)
    if record is None or not all(is_whole(bucket, file) for file in record.files):
        return None
    return record


def unseen_images(bucket: Bucket, card: ModelCard, dataset: str) -> frozenset[str] | None:
    """Return the names of the images that a model's trainings here kept for the test.

    The trainings of the models that it was attached to count, too.

    Args:
        bucket: of the trainings.
        card: of the model.
        dataset: name and hash of the images.

    Returns:
        None if no training of the model was on this dataset.
    """
    unseen: frozenset[str] | None = None
    found: ModelCard | None = card
    passed = set[str]()  # cards of others could name each other in a circle
    while found is not None and found.attached is not None and found.key not in passed:
        passed.add(found.key)
        record = stored_result(bucket, found.attached.training) if found.attached.training else None
        if record is not None and record.dataset == dataset:
            names = frozenset(record.test_images)
            unseen = names if unseen is None else unseen & names
        found = read_card(bucket, found.attached.model)
    return unseen


def read_weights(bucket: Bucket, record: AttachedRecord) -> Arrays:
    """Return the weights of a finished training, by name.

    Raises:
        Corrupt, NotFound: the file is missing or damaged.
    """
    file = record.weights
    return _part(_unpacked(bucket.get(file.key, want_crc=file.crc32c), file.key), "weights/")


def _remove_before(bucket: Bucket, folder: str, place: int | None) -> None:
    """Remove older checkpoints, or all: the record first, so that none names a missing file."""
    first_kept = None if place is None else epoch_key(folder, place)
    old = [
        info.key
        for info in bucket.list(epochs_folder(folder))
        if first_kept is None or info.key < first_kept
    ]
    for key in sorted(old, key=lambda key: not key.endswith(".json")):
        bucket.delete(key)


def _packed(arrays: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """Return arrays as an npz file, the same bytes at any time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, value in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(value), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), entry.getvalue())
    return buffer.getvalue()


def _unpacked(data: bytes, key: str) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of a file by name; objects, which could run code, are refused."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # NumPy and zipfile raise many types
        raise Corrupt(
            f"File {key} is unreadable ({type(error).__name__}). Run the same command again to "
            "write it again."
        ) from error


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
