"""Import of a user's model: a Keras or ONNX file, a SavedModel folder or a frozen graph."""

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
)
from diamond_cutter.model_inventory.catalogue import model_names
from diamond_cutter.model_inventory.errors import BadModel, first_few
from diamond_cutter.model_inventory.file_kinds import Format, model_format
from diamond_cutter.model_inventory.heads import choose_output
from diamond_cutter.model_inventory.labels import read_labels
from diamond_cutter.model_inventory.layer_names import is_shortened
from diamond_cutter.model_inventory.model_files import ModelContent, read_model
from diamond_cutter.model_inventory.packed_models import LABELS, model_inside
from diamond_cutter.model_inventory.preprocessing import (
    Preprocessing,
    Scaling,
    image_of,
    requested_scaling,
)
from diamond_cutter.regular_files import open_regular

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle

_IMPORTERS: Mapping[Format, str] = {
    "keras": "keras file/1",
    "saved model": "saved model/2",
    "frozen graph": "frozen graph/1",
    "onnx": "onnx/1",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


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


def import_user_model(
    path: Path,
    name: str,
    labels: Sequence[ClassLabel] = (),
    options: ImportOptions = ImportOptions(),  # noqa: B008
) -> Imported:
    """Read a model and return its bundle.

    Args:
        path: `.keras`, `.h5`, `.onnx` or `.pb` file, the folder of a SavedModel, or a folder or
            zip archive of one of them.
        name: of the model.
        labels: of its classes, in the order of its logits; those in the file or the archive if
            omitted.
        options: properties that the file lacks.

    Raises:
        BadModel: the model cannot be rendered, or a property is missing.
    """
    check_name(name)
    with model_inside(path) as found:
        labels = labels or _labels_in_archive(path, found)
        choose = functools.partial(choose_output, head=options.head, labels=len(labels))
        kind = model_format(found)
        model = read_model(found, kind, choose, options.image_size)
    image, guesses = _image(path, model, options)
    if not labels and not options.regression and _names_fit(model):
        labels, guess = _labels_of(model)
        guesses += (guess,)
    if found != path:
        guesses += (f"that {found.name} in {path.name} is the model",)
    source = ModelSource(
        origin=path.resolve().name,
        weights_sha256=content_hash(path, model.other_files),
        importer=_IMPORTERS[kind],
    )
    bundle, more = _bundle(name, source, model, image, labels, options)
    return Imported(bundle, (*guesses, *more), _missing_labels(bundle.card))


def _bundle(
    name: str,
    source: ModelSource,
    model: ModelContent,
    image: ImageSpec,
    labels: Sequence[ClassLabel],
    options: ImportOptions,
) -> tuple["Bundle", tuple[str, ...]]:
    """Return the bundle of a model, and what was guessed of its logits and layers."""
    from diamond_cutter.model_inventory.bundle import make_bundle
    from diamond_cutter.model_inventory.head_logits import HeadRequest, with_head

    asked = HeadRequest(
        tuple(labels), model.outputs, model.output, options.head is not None, options.regression
    )
    headed = with_head(model.graph, model.input_tensor, model.output_tensor, image, asked)
    bundle = make_bundle(
        name=name,
        source=source,
        graph=headed.graph,
        input_tensor=model.input_tensor,
        output_tensor=model.output_tensor,
        image=image,
        labels=headed.labels,
        layers=model.layers,
        logits=headed.logits,
        head=headed.head,
    )
    return bundle, (*headed.guesses, *_shortened_names(bundle.card))


def _names_fit(model: ModelContent) -> bool:
    """Tell whether the file names as many classes as the head has, or two for one score."""
    count, scores = len(model.class_names), model.output.size
    return count > 0 and (count == scores or (count, scores) == (2, 1))


def _labels_of(model: ModelContent) -> tuple[tuple[ClassLabel, ...], str]:
    """Return the names of classes that a file holds, and a clause about them."""
    labels = tuple(ClassLabel(name=name) for name in model.class_names)
    named = first_few(model.class_names)
    return labels, f"that its classes are {named}, as the file names them; see --labels"


def _labels_in_archive(path: Path, found: Path) -> tuple[ClassLabel, ...]:
    """Return the names of classes that lie beside a model in an archive."""
    inside = found.parent / LABELS
    return read_labels(inside) if path.is_file() and found != path and inside.is_file() else ()


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


def _image(
    path: Path, model: ModelContent, options: ImportOptions
) -> tuple[ImageSpec, tuple[str, ...]]:
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
            f"that black is {low:g} and white is {high:g} at its input, by the type and the "
            "scaling of images in the file; see --value-range"
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
