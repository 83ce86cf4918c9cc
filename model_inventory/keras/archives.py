"""Checks zip archives and HDF5 files of Keras before Keras opens them.

A file is refused if it is damaged, refers to other files, or would take far more room than its size
tells.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import h5py

from diamond_cutter.errors import first_line
from diamond_cutter.model_inventory.errors import BadModel

CONFIG = "config.json"
_METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
_WEIGHTS = (WEIGHTS, "model.weights.npz")
# Graphs hold at most 2 GiB of weights. The state of an optimiser can be twice as large.
_LARGEST_FILE_BYTES = 8 << 30
_LARGEST_CONFIG_BYTES = 64 << 20
_LARGEST_METADATA_BYTES = 1 << 20
# Trained weights hardly compress, and few weights are all zero.
_MOST_EXPANSION, _EXPANSION_FLOOR_BYTES = 20, 64 << 20


@dataclass(frozen=True)
class LayerDescription:
    """The description of the layers in a file.

    Attributes:
        text: JSON.
        version: of the Keras that wrote it, such as `2.15.0`; None if the file does not say.
    """

    text: bytes | str
    version: str | None

    @property
    def by_keras_2(self) -> bool:
        """Tell whether Keras 2 wrote the file, or multi-backend Keras, whose files are alike."""
        return (self.version or "2").partition(".")[0] in ("1", "2")


def check_keras_archive(path: Path) -> LayerDescription:
    """Check that a `.keras` file is intact and of plausible size; return what describes its layers.

    Raises:
        BadModel: names the part that is not valid.
    """
    if not zipfile.is_zipfile(path):
        raise BadModel(
            f"{path} is truncated or not a .keras file: expected a zip archive. Save or download "
            "it again."
        )
    with opened_archive(path, "Save or download it again.") as archive:
        _check_parts(path, archive)
        damaged = archive.testzip()  # inflates everything, a little at a time
        if damaged:
            raise BadModel(f"{path} is damaged at {damaged}. Save or download it again.")
        if WEIGHTS in archive.namelist():
            check_h5_weights(path, io.BytesIO(archive.read(WEIGHTS)))
        return LayerDescription(archive.read(CONFIG), _version(archive))


@contextmanager
def opened_archive(path: Path, remedy: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive after checking its members.

    Args:
        path: of the archive.
        remedy: what to do if it is damaged.

    Raises:
        BadModel: the archive is damaged or not safe to unpack, also while it is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            yield archive
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise BadModel(
            f"{path} is a damaged zip archive ({first_line(error)}). {remedy}"
        ) from error


def _version(archive: zipfile.ZipFile) -> str:
    """Return the version of Keras that wrote an archive, 3 if it does not say."""
    if _METADATA not in archive.namelist():
        return "3"
    with archive.open(_METADATA) as file:
        metadata = json.loads(file.read(_LARGEST_METADATA_BYTES))
    return str(metadata.get("keras_version", "3")) if isinstance(metadata, dict) else "3"


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Check that the files in an archive stay in it, and take little more room than the archive.

    Raises:
        BadModel: names the file that does not.
    """
    members = archive.infolist()
    names = [member.filename for member in members]
    strange = [
        name
        for name in names
        if name.startswith(("/", "\\"))
        or ".." in PurePosixPath(name).parts
        or "\\" in name
        or ":" in name
    ]
    if strange or len(set(names)) < len(names):
        found = f"the file {strange[0]!r} outside of it" if strange else "two files of one name"
        raise BadModel(f"{path} is not a safe archive: found {found}. Do not use it.")
    for member in members:
        _check_room(path, member.filename, declared=member.file_size, stored=member.compress_size)
    unpacked = sum(member.file_size for member in members)
    if unpacked > _LARGEST_FILE_BYTES:
        raise BadModel(
            f"{path} is too large: expected at most {_LARGEST_FILE_BYTES} bytes unpacked, found "
            f"{unpacked}. Do not use it."
        )


def _check_parts(path: Path, archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    if CONFIG not in names or not any(name in names for name in _WEIGHTS):
        raise BadModel(
            f"{path} is not a .keras file: expected {CONFIG} and weights. Save the model with "
            "model.save."
        )
    _check_config_size(path, archive.getinfo(CONFIG).file_size)


def _check_room(path: Path, part: str, *, declared: int, stored: int) -> None:
    if declared > _LARGEST_FILE_BYTES or (
        declared > _EXPANSION_FLOOR_BYTES and declared > _MOST_EXPANSION * stored
    ):
        raise BadModel(
            f"{path} is not safe to unpack: expected weights, which hardly compress, found {part}, "
            f"which grows from {stored} to {declared} bytes. Do not use it."
        )


def _check_config_size(path: Path, size: int) -> None:
    if size > _LARGEST_CONFIG_BYTES:
        raise BadModel(
            f"the description of the layers in {path} is too large: expected at most "
            f"{_LARGEST_CONFIG_BYTES} bytes, found {size}. Do not use it."
        )


def check_h5(path: Path) -> LayerDescription:
    """Check that an `.h5` file is intact and of plausible size; return what describes its layers.

    Raises:
        BadModel: names the part that is not valid.
    """
    if not h5py.is_hdf5(path):
        raise BadModel(f"{path} is truncated or not an HDF5 file. Save or download it again.")
    with path.open("rb") as file:
        description = check_h5_weights(path, file)
    if description is None:
        raise BadModel(
            f"{path} has only weights: expected a whole model. Save it with model.save, or use the "
            "weights for a built-in model with `diamond-cutter models fetch MODEL --weights FILE`."
        )
    _check_config_size(path, len(description.text))
    return description


def check_h5_weights(path: Path, file: BinaryIO) -> LayerDescription | None:
    """Check that the datasets are small and in the file; return what describes the layers."""
    try:
        with h5py.File(file, "r") as opened:
            for name, dataset in _datasets(path, opened):
                _check_room(
                    path,
                    name,
                    declared=dataset.size * dataset.dtype.itemsize,
                    stored=dataset.id.get_storage_size(),
                )
            config, version = (opened.attrs.get(name) for name in ("model_config", "keras_version"))
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise BadModel(
            f"{path} is damaged or truncated ({first_line(error)}). Save or download it again."
        ) from error
    if not isinstance(config, bytes | str):
        return None
    version = version.decode(errors="replace") if isinstance(version, bytes) else version
    return LayerDescription(config, version if isinstance(version, str) else None)


def _datasets(path: Path, group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise BadModel(
                f"{path} refers to data outside itself ({group.name}/{name}). Do not use it."
            )
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(path, item)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise BadModel(
                    f"{path} refers to data outside itself ({item.name}). Do not use it."
                )
            yield str(item.name), item
