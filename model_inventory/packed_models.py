"""Finds the model in a folder of versions, and unpacks the model in a zip archive."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from diamond_cutter.model_inventory.errors import BadModel, first_few
from diamond_cutter.regular_files import open_regular

# As Teachable Machine names the classes in its archives.
LABELS = "labels.txt"
_GRAPH = "saved_model.pb"
_SUFFIXES = {".keras", ".h5", ".hdf5", ".onnx", ".pb"}
# What programs for macOS add to archives.
_NO_MODELS = "__MACOSX"


@contextmanager
def model_inside(path: Path) -> Iterator[Path]:
    """Yield the path of the model that a path stands for.

    - A folder of versions, as TensorFlow Serving reads them, stands for its highest version:
      `birds` for `birds/2`. A folder with one other folder, a SavedModel, stands for that one.
    - A zip archive stands for the only model in it, which is unpacked for as long as it is needed.
      The names of its classes lie beside it if the archive has them.
    - Any other path stands for itself.

    Errors about an unpacked model name the archive.

    Raises:
        BadModel: the archive is damaged, not safe to unpack, or does not hold one model.
    """
    if path.is_dir():
        yield _version(path)
    elif not _is_archive_of_models(path):
        yield path
    else:
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield _unpacked(path, Path(folder))
            except BadModel as error:
                raise BadModel(str(error).replace(folder, str(path))) from error


def _version(folder: Path) -> Path:
    """Return the SavedModel that a folder is, or the one to take of those that it holds."""
    try:
        if (folder / _GRAPH).exists():
            return folder
        models = [inner for inner in folder.iterdir() if (inner / _GRAPH).is_file()]
    except OSError:
        return folder  # its reader says why
    versions = [inner for inner in models if inner.name.isdecimal()]
    if versions:
        return max(versions, key=lambda inner: (int(inner.name), inner.name))
    return models[0] if len(models) == 1 else folder


def _is_archive_of_models(path: Path) -> bool:
    """Tell whether a file is a zip archive, but not a `.keras` file."""
    try:
        with open_regular(path) as file:
            if not zipfile.is_zipfile(file):
                return False
            with zipfile.ZipFile(file) as archive:
                return bool(_models(archive))
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False  # its reader says why


def _models(archive: zipfile.ZipFile) -> list[PurePosixPath]:
    """Return the models in an archive: files, and folders of SavedModels."""
    names = [PurePosixPath(name) for name in archive.namelist()]
    if PurePosixPath("config.json") in names:
        return []
    names = [name for name in names if _NO_MODELS not in name.parts]
    folders = {name.parent for name in names if name.name == _GRAPH}
    files = {
        name
        for name in names
        if name.suffix in _SUFFIXES and not any(_is_in(name, folder) for folder in folders)
    }
    return sorted(folders | files)


def _is_in(name: PurePosixPath, folder: PurePosixPath) -> bool:
    return folder in name.parents


def _unpacked(path: Path, folder: Path) -> Path:
    """Unpack the only model of an archive; return its path."""
    from diamond_cutter.model_inventory.keras.archives import opened_archive

    with opened_archive(path, "Download it again.") as archive:
        models = _models(archive)
        if len(models) != 1:
            raise BadModel(
                f"{path} holds several models: expected one, found "
                f"{first_few([str(model) for model in models])}. Unpack it, and give one."
            )
        (model,) = models
        for member in archive.infolist():
            name = PurePosixPath(member.filename)
            wanted = name in (model, model.parent / LABELS) or _is_in(name, model)
            if not member.is_dir() and wanted:
                _unpack(archive, member, folder)
    return folder / model


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    with archive.open(member) as packed:
        place = folder / member.filename
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
