"""Import of a user's model: a Keras or ONNX file, a SavedModel folder or a frozen graph."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ClassLabel, ImageSpec, ModelSource, NamedLayer
from diamond_cutter.model_inventory.catalogue import model_names
from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.file_kinds import Format, model_format
from diamond_cutter.regular_files import open_regular, read_regular

if TYPE_CHECKING:
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import Bundle

_IMPORTERS: Mapping[Format, str] = {
    "keras": "keras file/1",
    "saved model": "saved model/2",
    "frozen graph": "frozen graph/1",
    "onnx": "onnx/1",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_MOST_LABELS_BYTES = 10_000_000
_UNKNOWN_SIDE_PX = 64


class ImportOptions(FrozenModel):
    """Properties of a model that its file lacks or has wrong."""

    value_range: tuple[float, float] | None = Field(
        default=None, description="the values of black and white at the input of the model"
    )
    input_channels: Literal["rgb", "bgr"] | None = Field(
        default=None, description="the order of the colours at the input of the model"
    )
    image_size: int | None = Field(
        default=None,
        ge=8,
        le=4096,
        description="side in pixels of the training images",
    )


@dataclass(frozen=True)
class Imported:
    """A bundle, and a sentence about each guess."""

    bundle: "Bundle"
    guesses: tuple[str, ...]


@dataclass(frozen=True)
class _Model:
    """The content of a file. Sides are None if arbitrary or unknown, channels if unknown."""

    graph: "tf.compat.v1.GraphDef"
    input_tensor: str
    output_tensor: str
    image_shape: tuple[int | None, int | None, int | None]
    layers: tuple[NamedLayer, ...] = ()
    value_range: tuple[float, float] | None = None
    other_files: tuple[Path, ...] = ()


def import_user_model(
    path: Path,
    name: str,
    labels: Sequence[ClassLabel] = (),
    options: ImportOptions = ImportOptions(),  # noqa: B008
) -> Imported:
    """Read a model and return its bundle.

    Args:
        path: `.keras`, `.h5`, `.onnx` or `.pb` file, or the folder of a SavedModel.
        name: of the model.
        labels: of its classes, in the order of its logits.
        options: properties that the file lacks.

    Raises:
        BadModel: the model cannot be rendered, or a property is missing.
    """
    check_name(name)
    kind = model_format(path)
    model = _read(path, kind, options)
    image, guesses = _image(path, model, options)
    from diamond_cutter.model_inventory.bundle import make_bundle

    bundle = make_bundle(
        name=name,
        source=ModelSource(
            origin=path.resolve().name,
            weights_sha256=content_hash(path, model.other_files),
            importer=_IMPORTERS[kind],
        ),
        graph=model.graph,
        input_tensor=model.input_tensor,
        output_tensor=model.output_tensor,
        image=image,
        labels=tuple(labels),
        layers=model.layers,
    )
    return Imported(bundle, guesses)


def check_name(name: str) -> None:
    """Check that a user's model can have the name.

    Raises:
        BadModel: the name is not valid, or is that of a known model.
    """
    if name in model_names():
        raise BadModel(f"{name!r} is the name of a built-in model. Choose another name.")
    if not _NAME.fullmatch(name):
        raise BadModel(
            f"{name[:80]!r} is not a valid name of a model: expected up to 80 letters, digits and "
            "_.-, a letter or digit first"
        )


def is_keras_file(source: ModelSource) -> bool:
    """Tell whether a model was imported from a user's Keras file, by any version."""
    return source.importer.partition("/")[0] == _IMPORTERS["keras"].partition("/")[0]


def content_hash(path: Path, others: Sequence[Path] = ()) -> str:
    """Return the sha256 of a file, or of all files in a folder and their names.

    Args:
        path: of the file or folder.
        others: files that belong to a file, in a fixed order.
    """
    if others:
        hashes = [content_hash(each) for each in (path, *others)]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    if path.is_file():
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file_path in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(
            f"{content_hash(file_path)} {file_path.relative_to(path).as_posix()}\n".encode(
                errors="surrogateescape"
            )
        )
    return digest.hexdigest()


def read_labels(path: Path) -> tuple[ClassLabel, ...]:
    """Read a text file with the name of a class on each line, in the order of the logits.

    Raises:
        BadModel: the file is unreadable, too large or not text.
    """
    try:
        lines = read_regular(path, _MOST_LABELS_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise BadModel(
            f"the labels {path} cannot be read ({reason}). Give a text file with one class on each "
            "line."
        ) from error
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(ClassLabel(name=line.strip()) for line in lines)


def _read(path: Path, kind: Format, options: ImportOptions) -> _Model:
    if kind == "keras":
        return _read_keras_model(path)
    if kind == "onnx":
        return _read_onnx_model(path, options)
    if kind == "saved model":
        from diamond_cutter.model_inventory.tensorflow.saved_model import read_saved_model

        graph, input_tensor, output_tensor = read_saved_model(path)
    else:
        from diamond_cutter.model_inventory.tensorflow import frozen_graph

        graph = frozen_graph.read_frozen_graph(path)
        input_tensor, output_tensor = (
            frozen_graph.image_input(graph),
            frozen_graph.output_tensor(graph),
        )
    from diamond_cutter.model_inventory.graph.graph_def import placeholder_shape
    from diamond_cutter.model_inventory.value_range import guess_value_range

    shape = placeholder_shape(graph, input_tensor)
    guess = guess_value_range(
        graph,
        input_tensor,
        (shape[0] or _UNKNOWN_SIDE_PX, shape[1] or _UNKNOWN_SIDE_PX, shape[2] or 3),
    )
    return _Model(
        graph=graph,
        input_tensor=input_tensor,
        output_tensor=output_tensor,
        image_shape=shape,
        value_range=guess,
    )


def _read_keras_model(path: Path) -> _Model:
    from diamond_cutter.model_inventory.keras.files import load_keras_model
    from diamond_cutter.model_inventory.keras.tracing import trace

    traced = trace(load_keras_model(path))
    return _Model(
        graph=traced.graph,
        input_tensor=traced.input_tensor,
        output_tensor=traced.output_tensor,
        image_shape=traced.image_shape,
        layers=traced.layers,
        value_range=traced.value_range,
    )


def _read_onnx_model(path: Path, options: ImportOptions) -> _Model:
    from diamond_cutter.model_inventory.onnx.importing import read_onnx_model
    from diamond_cutter.model_inventory.value_range import guess_value_range

    model = read_onnx_model(path, options.image_size)
    height, width, channels = model.image_shape
    return _Model(
        graph=model.graph,
        input_tensor=model.input_tensor,
        output_tensor=model.output_tensor,
        image_shape=model.image_shape,
        layers=model.layers,
        other_files=model.files,
        value_range=guess_value_range(
            model.graph,
            model.input_tensor,
            (height or _UNKNOWN_SIDE_PX, width or _UNKNOWN_SIDE_PX, channels),
        ),
    )


def _image(path: Path, model: _Model, options: ImportOptions) -> tuple[ImageSpec, tuple[str, ...]]:
    """Return the format of the images of a model, and a sentence about each guess."""
    guesses = []
    height, width, channels = model.image_shape
    if options.image_size:
        height = width = options.image_size
    if height is None or width is None:
        raise BadModel(
            f"{path.name} takes images of any size. Give the size of its training images, such as "
            "--image-size 224."
        )
    if channels is None:
        channels = 3
        guesses.append("that its images have 3 channels, which the graph does not say")
    low, high = _value_range(path, options.value_range or model.value_range)
    if options.value_range is None:
        guesses.append(
            f"that black is {low:g} and white is {high:g} at its input, by how it scales images "
            "itself; see --value-range"
        )
    if options.input_channels and channels != 3:
        raise BadModel(
            f"{path.name} takes images of {channels} channels, which have no order of colours. "
            "Omit --input-channels."
        )
    order = options.input_channels or ("rgb" if channels == 3 else "none")
    return ImageSpec(
        height=height,
        width=width,
        channels=channels,
        value_range=((low, high),),
        channel_order=order,
    ), tuple(guesses)


def _value_range(path: Path, found: tuple[float, float] | None) -> tuple[float, float]:
    if found is None:
        raise BadModel(
            f"{path.name} does not say how images are scaled. Give --value-range, the values of "
            "black and white at its input: 0 1, -1 1 or 0 255."
        )
    low, high = found
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise BadModel(
            "the value range is not valid: expected the values of black and white at the model's "
            f"input, black lower than white, found {low:g} to {high:g}"
        )
    return low, high
