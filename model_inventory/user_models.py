"""A model that a user brings: a Keras file, a SavedModel folder or a frozen graph, whatever its
name ends in.
"""

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
from diamond_cutter.regular_files import open_regular, read_regular

if TYPE_CHECKING:
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import Bundle

Format = Literal["keras", "saved model", "frozen graph"]

_IMPORTERS: Mapping[Format, str] = {
    "keras": "keras file/1",
    "saved model": "saved model/2",
    "frozen graph": "frozen graph/1",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_KERAS_BEGINNINGS = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n")
_MOST_LABELS_BYTES = 10_000_000
_UNKNOWN_SIDE_PX = 64


class ImportOptions(FrozenModel):
    """What a file does not say of its model, or says wrongly."""

    value_range: tuple[float, float] | None = Field(
        default=None, description="what black and white are at the model's input"
    )
    input_channels: Literal["rgb", "bgr"] | None = Field(
        default=None, description="the order of the colours at the model's input"
    )
    image_size: int | None = Field(
        default=None,
        ge=8,
        le=4096,
        description="side in pixels of the images that it was trained on",
    )


@dataclass(frozen=True)
class Imported:
    """A bundle, and a sentence for each thing that was guessed."""

    bundle: "Bundle"
    guesses: tuple[str, ...]


@dataclass(frozen=True)
class _Model:
    """What a file says of a model. A side is None where any fits or none is known, and the channels
    where they are unknown.
    """

    graph: "tf.compat.v1.GraphDef"
    input_tensor: str
    output_tensor: str
    image_shape: tuple[int | None, int | None, int | None]
    layers: tuple[NamedLayer, ...] = ()
    value_range: tuple[float, float] | None = None


def import_user_model(
    path: Path,
    name: str,
    labels: Sequence[ClassLabel] = (),
    options: ImportOptions = ImportOptions(),  # noqa: B008
) -> Imported:
    """Read a model and return its bundle.

    Args:
        path: `.keras`, `.h5` or `.pb` file, or the folder of a SavedModel.
        name: what it shall be called.
        labels: of its classes, in the order of its logits.
        options: what the file does not say.

    Raises:
        BadModel: it is no model that can be rendered, or something that has to be known of it is
            not.
    """
    check_name(name)
    kind = model_format(path)
    model = _read(path, kind)
    image, guesses = _image(path, model, options)
    from diamond_cutter.model_inventory.bundle import make_bundle

    bundle = make_bundle(
        name=name,
        source=ModelSource(
            origin=path.resolve().name, weights_sha256=content_hash(path), importer=_IMPORTERS[kind]
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
    """Refuse what cannot be the name of a user's model.

    Raises:
        BadModel: says what can.
    """
    if name in model_names():
        raise BadModel(f"{name!r} is the name of a model that is known already; choose another")
    if not _NAME.fullmatch(name):
        raise BadModel(
            f"{name[:80]!r} cannot be the name of a model; take up to 80 letters, digits and _.-, "
            "a letter or digit first"
        )


def model_format(path: Path) -> Format:
    """Return what kind of model lies at a path, by its content.

    Raises:
        BadModel: there is none.
    """
    if path.is_dir():
        return "saved model"
    try:
        with open_regular(path) as file:
            beginning = file.read(8)
    except FileNotFoundError:
        raise BadModel(
            f"there is no file {path}; give a .keras, .h5 or .pb file, or the folder of a "
            "SavedModel"
        ) from None
    except OSError as error:
        raise BadModel(
            f"{path} cannot be read ({error.strerror or error}). Give a regular file that you may "
            "read"
        ) from error
    is_keras = beginning.startswith(_KERAS_BEGINNINGS) or path.suffix in (".keras", ".h5", ".hdf5")
    return "keras" if is_keras else "frozen graph"


def content_hash(path: Path) -> str:
    """Return the sha256 of a file, or of all files in a folder and their names."""
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
        BadModel: it cannot be read, or is no such text.
    """
    try:
        lines = read_regular(path, _MOST_LABELS_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise BadModel(
            f"the labels {path} cannot be read ({reason}). Give a text file with one class on each "
            "line"
        ) from error
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(ClassLabel(name=line.strip()) for line in lines)


def _read(path: Path, kind: Format) -> _Model:
    if kind == "keras":
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


def _image(path: Path, model: _Model, options: ImportOptions) -> tuple[ImageSpec, tuple[str, ...]]:
    """Return the images that a model takes, and a sentence for each thing that was guessed."""
    guesses = []
    height, width, channels = model.image_shape
    if options.image_size:
        height = width = options.image_size
    if height is None or width is None:
        raise BadModel(
            f"{path.name} takes images of any size; say with --image-size what it was trained on, "
            "such as --image-size 224"
        )
    if channels is None:
        channels = 3
        guesses.append("that its images have 3 channels, which the graph does not say")
    value_range = options.value_range or model.value_range
    if value_range is None:
        raise BadModel(
            f"{path.name} does not say how images are scaled; give --value-range, what black and "
            "white are: 0 1, -1 1 or 0 255"
        )
    low, high = value_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise BadModel(
            "a value range is what black and white are at the model's input, black being lower; "
            f"found {low:g} to {high:g}"
        )
    if options.value_range is None:
        guesses.append(
            f"that black is {low:g} and white is {high:g} at its input, by how it scales images "
            "itself; see --value-range"
        )
    if options.input_channels and channels != 3:
        raise BadModel(
            f"{path.name} takes images of {channels} channels, which have no order of colours; "
            "leave --input-channels out"
        )
    order = options.input_channels or ("rgb" if channels == 3 else "none")
    return ImageSpec(
        height=height,
        width=width,
        channels=channels,
        value_range=((low, high),),
        channel_order=order,
    ), tuple(guesses)
