"""Recognises files and folders by their content, also those that are no models of TensorFlow.

Nothing is unpickled, unpacked or run: only the beginning of a file and the names in an archive are
read.
"""

import json
import re
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO, Literal

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.regular_files import open_regular, read_regular

Format = Literal["keras", "saved model", "frozen graph", "onnx"]

_BEGINNING_BYTES = 4096
_MOST_JSON_BYTES, _MOST_NAMES, _MOST_FIELDS = 16 << 20, 10_000, 200
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
# What torch.save wrote before version 1.6: the pickle of this number.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_CHECKPOINT_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_MODELS = (".keras", ".h5", ".hdf5", ".onnx", ".pb")

_EXPORT = (
    "In PyTorch, load it, then run `model.eval()` and `torch.onnx.export(model, (torch.rand(1, 3, "
    '224, 224),), "model.onnx")`, and add model.onnx.'
)
_AGAIN = "Download or save it again."
_ORIGINAL = "Give the model that it was converted from: .keras, .h5, .onnx or a SavedModel."
_CHECKPOINT = (
    "is a checkpoint of TensorFlow: expected a whole model, found only weights. Build the model, "
    "load the weights, and save it with model.save."
)
_TFJS = f"is a model of TensorFlow.js. {_ORIGINAL}"
_COREML = f"is a model of Core ML. {_ORIGINAL}"
_CAFFE = "is a model of Caffe. Convert it to ONNX, and add that file."
_TORCH = f"is a checkpoint of PyTorch. {_EXPORT}"


def model_format(path: Path) -> Format:
    """Return the format of the model at a path, by its content.

    Raises:
        BadModel: the file is missing or unreadable, or is something else; says what and what to do.
    """
    if path.is_dir():
        found = _folder_problem(path)
        if found:
            raise BadModel(f"{path} {found}")
        return "saved model"
    try:
        with open_regular(path) as file:
            kind = _file_format(path, file)
    except FileNotFoundError:
        if Path(f"{path}.index").is_file():
            raise BadModel(f"{path} {_CHECKPOINT}") from None
        raise BadModel(
            f"file {path} does not exist. Give a .keras, .h5, .onnx or .pb file, or the folder of "
            "a SavedModel."
        ) from None
    except OSError as error:
        raise BadModel(
            f"{path} cannot be read ({error.strerror or error}). Give a readable regular file."
        ) from error
    return kind


def _file_format(path: Path, file: BinaryIO) -> Format:
    start = file.read(_BEGINNING_BYTES)
    problem = (
        _problem_at_start(start)
        or _problem_by_name(path)
        or _problem_by_structure(path, file, start)
    )
    if problem:
        raise BadModel(f"{path} {problem}")
    if start.startswith((_ZIP, _HDF5)):
        return "keras"
    if _is_onnx(_fields(file)) or path.suffix == ".onnx":
        return "onnx"
    return "keras" if path.suffix in (".keras", ".h5", ".hdf5") else "frozen graph"


def _problem_at_start(start: bytes) -> str | None:
    """Return what a file is, and what to do, if its first bytes tell that it is no model."""
    text = start[:400].lstrip().lower()
    if not start:
        return f"is empty. {_AGAIN}"
    if start.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the file itself. Run `git lfs pull` to download it."
    if text.startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a model. Download the file itself."
    if text.startswith(b"<?xml") and b"<net" in start:
        return f"is a model of OpenVINO. {_ORIGINAL}"
    if start.startswith(_OLD_TORCH):
        return _TORCH
    if re.match(rb"\x80[\x02-\x05]", start):
        return (
            "is a pickle of Python, which can run code, so it is not opened. Load it in the "
            "framework that saved it, and save a .keras or .onnx file."
        )
    if start[4:8] == b"TFL3":
        return f"is a model of TensorFlow Lite, which has no gradients. {_ORIGINAL}"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100 << 20:
        return f"is a file of safetensors: expected a whole model, found only weights. {_EXPORT}"
    if start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM6")):
        return "is a picture, not a model. Give the file of the model."
    if start.startswith(b"\x93NUMPY"):
        return "is an array of NumPy, not a model. Give the file of the model."
    if start[257:262] == b"ustar" or start.startswith((b"7z\xbc\xaf", b"Rar!")):
        return "is an archive. Unpack it, and give the model in it."
    if b"model_checkpoint_path:" in start[:400]:
        return _CHECKPOINT
    if re.match(rb'\s*(#[^\n]*\n\s*)*(name|input|layers?)\s*(:\s*"|\{)', start):
        return _CAFFE
    return None


def _problem_by_name(path: Path) -> str | None:
    """Return the same for the weights of an ONNX file, which are numbers without a beginning."""
    found = re.fullmatch(r"(.+\.onnx)[._]data", path.name)
    if found is None:
        return None
    weights = f"holds the weights of {found[1][-80:]}"
    if path.with_name(found[1]).is_file():
        return f"{weights}. Give that file."
    return f"{weights}, which is missing. Put it into the same folder, and give it instead."


def _problem_by_structure(path: Path, file: BinaryIO, start: bytes) -> str | None:
    """Return the same for files whose kind is told by more than their first bytes."""
    if start.startswith(_ZIP):
        return _archive_problem(path)
    if start.lstrip()[:1] in (b"{", b"["):
        return _json_problem(path) or f"is a JSON file, not a model. {_AGAIN}"
    file.seek(max(0, file.seek(0, 2) - 8))
    if file.read(8) == _CHECKPOINT_END or re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        return _CHECKPOINT
    fields = _fields(file)
    version = fields[0][2] if fields and fields[0][:2] == (1, 0) else 0
    numbers = {number for number, _wire, _value in fields}
    if version >= 1 and (max(numbers) >= 200 or (version > 1 and numbers == {1, 2})):
        return _COREML
    if fields and fields[0][:2] == (1, 2) and not _is_graph(file, fields):
        return _CAFFE
    return None


def _archive_problem(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:_MOST_NAMES]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        if path.suffix == ".keras":
            return None  # the reader of Keras files says what is damaged
        return f"is a damaged or truncated archive. {_AGAIN}"
    short = {name.rpartition("/")[2] for name in names}
    if "data.pkl" in short:
        if any("/code/" in f"/{name}" for name in names):
            return f"is a program of TorchScript. {_EXPORT}"
        return _TORCH
    if "config.json" in names or "saved_model.pb" in short:
        return None
    if any("com.apple.CoreML" in name for name in names):
        return _COREML
    if "model.json" in short and any(name.endswith(".bin") for name in names):
        return _TFJS
    inside = next((name for name in names if name.endswith(_MODELS)), None)
    if inside:
        labels = " and `--labels labels.txt`" if "labels.txt" in short else ""
        return f"is an archive with {inside[:80]}. Unpack it, and give that file{labels}."
    if names and all(name.endswith(".npy") for name in names):
        return "is an archive of NumPy: expected a whole model, found only arrays. " + _ORIGINAL
    if path.suffix == ".keras":
        return None
    return f"is an archive without a model: expected one of {', '.join(_MODELS)} in it. {_AGAIN}"


def _json_problem(path: Path) -> str | None:
    try:
        found = json.loads(read_regular(path, _MOST_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    if "weightsManifest" in found or found.get("format") in ("layers-model", "graph-model"):
        return _TFJS
    if "class_name" in found and "config" in found:
        return (
            "is the architecture of a Keras model without its weights. Build the model, load its "
            "weights, and save it with model.save."
        )
    return None


def _folder_problem(folder: Path) -> str | None:
    """Return what a folder is, and what to do, if it is not a SavedModel."""
    names = {
        entry.name for entry, _number in zip(folder.iterdir(), range(_MOST_NAMES), strict=False)
    }
    if not names:
        return "is an empty folder. Give the file or the folder of a model."
    if {"saved_model.pb", "saved_model.pbtxt"} & names or any(folder.glob("*/saved_model.pb")):
        return None
    for test, problem in _FOLDERS:
        if test(names):
            return problem
    if "model.json" in names:
        return _json_problem(folder / "model.json")
    models = sorted(name for name in names if name.endswith(_MODELS))
    if len(models) == 1:
        return f"is a folder with {models[0][:80]}. Give that file."
    photos = any(name.lower().endswith(_PHOTOS) for name in names)
    if photos or any(file.suffix.lower() in _PHOTOS for file in folder.glob("*/*.*")):
        return "is a folder of pictures, not a model. Give the file or the folder of a model."
    return None


_FOLDERS: tuple[tuple[Callable[[Collection[str]], bool], str], ...] = (
    (
        lambda names: {"config.json", "metadata.json", "model.weights.h5"} <= set(names),
        "is an unpacked .keras file. Zip its files again (`zip -r ../model.keras .`), and give "
        "that file.",
    ),
    (
        lambda names: {"config.json", "task.json"} <= set(names),
        "is a preset of KerasHub. Run `diamond-cutter models fetch kerashub/NAME --weights "
        "FOLDER`, and use kerashub/NAME.",
    ),
    (lambda names: "data.pkl" in names, f"is an unpacked checkpoint of PyTorch. {_EXPORT}"),
    (
        lambda names: bool({"model.safetensors", "pytorch_model.bin"} & set(names)),
        f"is a model of Hugging Face for PyTorch. {_EXPORT}",
    ),
    (lambda names: "Manifest.json" in names and "Data" in names, _COREML),
    (
        lambda names: "checkpoint" in names or any(name.endswith(".index") for name in names),
        _CHECKPOINT,
    ),
)


def _fields(file: BinaryIO) -> list[tuple[int, int, int]]:
    """Return the fields of a protocol buffer: number, wire type, and the number or the offset.

    The list is empty if the file is something else.
    """
    end, place = file.seek(0, 2), 0
    fields: list[tuple[int, int, int]] = []
    while place < end and len(fields) < _MOST_FIELDS:
        file.seek(place)
        head = file.read(20)
        tag, used = _varint(head)
        number, wire = tag >> 3, tag & 7
        value, more = _varint(head[used:])
        if number == 0 or wire not in (0, 1, 2, 5) or not used or (wire in (0, 2) and not more):
            return []
        size = {0: more, 1: 8, 2: more + value, 5: 4}[wire]
        fields.append((number, wire, value if wire == 0 else place + used + more))
        place += used + size
    return fields if place == end or len(fields) == _MOST_FIELDS else []


def _varint(data: bytes) -> tuple[int, int]:
    """Return a number of variable length, and the bytes that it takes, 0 if it does not end."""
    value = 0
    for count, byte in enumerate(data[:10]):
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, count + 1
    return 0, 0


def _is_onnx(fields: list[tuple[int, int, int]]) -> bool:
    """Tell whether a protocol buffer has a version first and a graph, as ONNX's have."""
    kinds = {(number, wire) for number, wire, _value in fields}
    return bool(fields) and fields[0][:2] == (1, 0) and {(7, 2), (8, 2)} <= kinds


def _is_graph(file: BinaryIO, fields: list[tuple[int, int, int]]) -> bool:
    """Tell whether the first field is a node, which begins with its name, and not a name itself."""
    if any(number >= 100 for number, _wire, _value in fields):
        return False
    file.seek(fields[0][2])
    return file.read(1) == b"\n"
