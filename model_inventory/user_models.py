"""Import of a user's model: a Keras file, a SavedModel folder or a frozen graph, by content."""

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import (
    ClassLabel,
    ImageSpec,
    ModelCard,
    ModelSource,
    NamedLayer,
)
from diamond_cutter.model_inventory.catalogue import model_names
from diamond_cutter.model_inventory.errors import BadModel, first_few
from diamond_cutter.model_inventory.heads import Choose, Output, choose_output
from diamond_cutter.model_inventory.layer_names import is_shortened
from diamond_cutter.model_inventory.packed_models import model_inside
from diamond_cutter.model_inventory.preprocessing import (
    Preprocessing,
    Scaling,
    image_of,
    requested_scaling,
)
from diamond_cutter.regular_files import open_regular

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
_UNKNOWN_SIDE_PX = 64


class ImportOptions(FrozenModel):
    """Properties of a model that its file lacks or has wrong."""

    value_range: tuple[float, ...] = Field(
        default=(),
        description="the values of black and white at the input of the model, once or for each "
        "channel",
    )
    preprocessing: Preprocessing | None = Field(
        default=None,
        description="the values at the input, by name: caffe (0 to 255 minus means, BGR), torch "
        "(0 to 1 minus means, divided by deviations), tf (-1 to 1), none (0 to 255)",
    )
    mean: tuple[float, ...] = Field(
        default=(),
        description="means of the values 0 to 1 that are subtracted, as in PyTorch: red, green, "
        "blue",
    )
    std: tuple[float, ...] = Field(
        default=(), description="standard deviations of the same values; go with --mean"
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
    head: str | None = Field(
        default=None,
        description="the output to explain, if the model has several; auto: the classifier",
    )
    regression: bool = Field(
        default=False, description="the output is a value, not the score of a class"
    )

    def scaling(self) -> Scaling | None:
        """Return the requested scaling of images, or None without a request.

        Raises:
            BadModel: there are several requests, or the numbers are not valid.
        """
        return requested_scaling(self.preprocessing, self.value_range, self.mean, self.std)


@dataclass(frozen=True)
class Imported:
    """A bundle, a clause about each guess, and sentences about what is missing."""

    bundle: "Bundle"
    guesses: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Model:
    """The content of a file. Sides are None if arbitrary or unknown, channels if unknown."""

    graph: "tf.compat.v1.GraphDef"
    input_tensor: str
    output_tensor: str
    image_shape: tuple[int | None, int | None, int | None]
    layers: tuple[NamedLayer, ...] = ()
    value_range: tuple[float, float] | None = None
    outputs: tuple[Output, ...] = ()
    output: Output | None = None


def import_user_model(
    path: Path,
    name: str,
    labels: Sequence[ClassLabel] = (),
    options: ImportOptions = ImportOptions(),  # noqa: B008
) -> Imported:
    """Read a model and return its bundle.

    Args:
        path: `.keras`, `.h5` or `.pb` file, the folder of a SavedModel, or a folder or zip archive
            of one of them.
        name: of the model.
        labels: of its classes, in the order of its logits.
        options: properties that the file lacks.

    Raises:
        BadModel: the model cannot be rendered, or a property is missing.
    """
    check_name(name)
    choose = functools.partial(choose_output, head=options.head, labels=len(labels))
    with model_inside(path) as found:
        kind = model_format(found)
        model = _read(found, kind, choose)
    image, guesses = _image(path, model, options)
    if found != path:
        guesses += (f"that {found.name} in {path.name} is the model",)
    from diamond_cutter.model_inventory.bundle import make_bundle
    from diamond_cutter.model_inventory.head_logits import HeadRequest, with_head

    asked = HeadRequest(
        tuple(labels), model.outputs, model.output, options.head is not None, options.regression
    )
    headed = with_head(model.graph, model.input_tensor, model.output_tensor, image, asked)
    bundle = make_bundle(
        name=name,
        source=ModelSource(
            origin=path.resolve().name, weights_sha256=content_hash(path), importer=_IMPORTERS[kind]
        ),
        graph=headed.graph,
        input_tensor=model.input_tensor,
        output_tensor=model.output_tensor,
        image=image,
        labels=headed.labels,
        layers=model.layers,
        logits=headed.logits,
        head=headed.head,
    )
    guesses += (*headed.guesses, *_shortened_names(bundle.card))
    return Imported(bundle, guesses, _missing_labels(bundle.card))


def _shortened_names(card: ModelCard) -> tuple[str, ...]:
    shortened = [layer.name for layer in card.layers if is_shortened(layer.name)]
    if not shortened:
        return ()
    return (
        f"that shorter names will do for layers with names too long for files: "
        f"{first_few(shortened)}",
    )


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


def model_format(path: Path) -> Format:
    """Return the format of the model at a path, by its content.

    Raises:
        BadModel: the file is missing or unreadable.
    """
    if path.is_dir():
        return "saved model"
    try:
        with open_regular(path) as file:
            beginning = file.read(8)
    except FileNotFoundError:
        raise BadModel(
            f"file {path} does not exist. Give a .keras, .h5 or .pb file, or the folder of a "
            "SavedModel."
        ) from None
    except OSError as error:
        raise BadModel(
            f"{path} cannot be read ({error.strerror or error}). Give a readable regular file."
        ) from error
    is_keras = beginning.startswith(_KERAS_BEGINNINGS) or path.suffix in (".keras", ".h5", ".hdf5")
    return "keras" if is_keras else "frozen graph"


def is_keras_file(source: ModelSource) -> bool:
    """Tell whether a model was imported from a user's Keras file, by any version."""
    return source.importer.partition("/")[0] == _IMPORTERS["keras"].partition("/")[0]


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


def _read(path: Path, kind: Format, choose: Choose) -> _Model:
    if kind == "keras":
        return _read_keras_model(path, choose)
    if kind == "saved model":
        from diamond_cutter.model_inventory.tensorflow import saved_model

        outputs = saved_model.saved_model_outputs(path)
        output = choose(outputs)
        graph, input_tensor, output_tensor = saved_model.read_saved_model(path, output.name)
    else:
        from diamond_cutter.model_inventory.tensorflow import frozen_graph

        graph = frozen_graph.read_frozen_graph(path)
        input_tensor, outputs = frozen_graph.image_input(graph), frozen_graph.outputs(graph)
        output = choose(outputs)
        output_tensor = f"{output.name}:0"
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
        outputs=outputs,
        output=output,
    )


def _read_keras_model(path: Path, choose: Choose) -> _Model:
    from diamond_cutter.model_inventory.keras.files import load_keras_model
    from diamond_cutter.model_inventory.keras.tracing import trace

    traced = trace(load_keras_model(path), choose)
    return _Model(
        graph=traced.graph,
        input_tensor=traced.input_tensor,
        output_tensor=traced.output_tensor,
        image_shape=traced.image_shape,
        layers=traced.layers,
        value_range=traced.value_range,
        outputs=traced.outputs,
        output=traced.output,
    )


def _missing_labels(card: ModelCard) -> tuple[str, ...]:
    """Return a sentence on how to name the classes of a model without labels."""
    if card.labels or card.logits is None or card.head_kind == "values":
        return ()
    count = card.logits.channels
    two = card.head_kind == "two classes"
    folders = ", or explain images in one folder for each class" if two else ""
    return (
        f"no labels: its {count} classes are shown by number. Add it again with --labels FILE, a "
        f"file with {count} names in the order of the output{folders}.",
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
    if options.input_channels and channels != 3:
        raise BadModel(
            f"{path.name} takes images of {channels} channels, which have no order of colours. "
            "Omit --input-channels."
        )
    scaling = options.scaling()
    if scaling is None:
        scaling = _guessed(path, model.value_range)
        low, high = scaling.value_range[0]
        guesses.append(
            f"that black is {low:g} and white is {high:g} at its input, by how it scales images "
            "itself; see --value-range"
        )
    image = image_of(scaling, height, width, channels, options.input_channels)
    return image, tuple(guesses)


def _guessed(path: Path, found: tuple[float, float] | None) -> Scaling:
    if found is None:
        raise BadModel(
            f"{path.name} does not say how images are scaled. Give --value-range, the values of "
            "black and white at its input: 0 1, -1 1 or 0 255; or --preprocessing caffe or torch."
        )
    return Scaling((found,))
