"""Lucid's zoo: the models of lucid 0.3.10, in `lucid_zoo.json`, and their import.

`tools/lucid_zoo_rows.py` makes the rows from lucid's classes. TensorFlow is imported only when a
model is imported.
"""

import functools
import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import Field, TypeAdapter

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ClassLabel, ImageSpec, ModelSource, NamedLayer
from diamond_cutter.model_inventory.errors import BadModel, first_few

if TYPE_CHECKING:
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import Bundle

# Raise the number when the code below makes another bundle from the same file.
_IMPORTER = "lucid_zoo/1"
_MOST_LABEL_BYTES = 1 << 20
_LONGEST_NAME = 200
# InceptionV1 has 1008 logits, more than ImageNet has classes.
_MOST_UNUSED_LOGITS = 8


class LucidLayer(FrozenModel):
    """A layer in lucid's list."""

    name: str
    channels: int = Field(ge=1)
    tags: tuple[str, ...] = Field(description="lucid's: conv, dense, pre_relu")
    main: bool = Field(
        description="shows the network step by step: no layer twice, no auxiliary classifier"
    )

    @property
    def tensor(self) -> str:
        """Return the tensor of the layer in the graph."""
        return f"{self.name}:0"

    @property
    def columns(self) -> int:
        """Return the number of columns of the spritemap of the layer."""
        return math.isqrt(self.channels)


class LucidModel(FrozenModel):
    """A class of `lucid.modelzoo.vision_models`."""

    name: str = Field(pattern=r"^lucid/\w+$")
    weights: str = Field(pattern="^gs://", description="a frozen graph")
    labels: str | None = Field(description="a text file with a class on each line")
    synsets: str | None = Field(
        description="a text file with the WordNet id of a class on each line; lucid's value, which "
        "is not always correct"
    )
    dataset: str | None
    input_name: str = Field(
        description="the node that becomes the placeholder for images, whatever it is in the graph"
    )
    image: ImageSpec
    layers: tuple[LucidLayer, ...] = Field(
        description="in network order; empty if lucid lists none and they are found in the graph"
    )
    output_layer: str | None
    logits_layer: str | None = Field(
        description="the layer of the logits; found in the graph if unknown"
    )
    pre_relu_layers: bool = Field(
        description="lucid also concatenates the inputs of the ReLUs before each concatenation, as "
        "`mixed4a_pre_relu`"
    )

    @property
    def weights_file(self) -> PurePosixPath:
        """Return the path of the graph in the cache, equal to its name in the bucket."""
        return PurePosixPath(self.weights.removeprefix("gs://"))

    @property
    def labels_file(self) -> PurePosixPath | None:
        """Return the path of the labels in the cache."""
        return PurePosixPath(self.labels.removeprefix("gs://")) if self.labels else None

    @property
    def output_size(self) -> int | None:
        """Return the number of classes of the output."""
        return next(
            (layer.channels for layer in self.layers if layer.name == self.output_layer), None
        )


@functools.cache
def lucid_models() -> Mapping[str, LucidModel]:
    """Return all models of the zoo by name, such as `lucid/InceptionV1`."""
    text = (
        resources.files("diamond_cutter.model_inventory.lucid")
        .joinpath("lucid_zoo.json")
        .read_bytes()
    )
    return MappingProxyType(
        {row.name: row for row in TypeAdapter(tuple[LucidModel, ...]).validate_json(text)}
    )


def lucid_source(name: str, graph_file: Path) -> ModelSource:
    """Return the source of the weights in a file, which is only hashed."""
    with graph_file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return ModelSource(
        origin=lucid_models()[name].weights, weights_sha256=digest, importer=_IMPORTER
    )


def import_lucid_model(name: str, graph_file: Path, labels_file: Path | None = None) -> "Bundle":
    """Build the bundle of a model of the zoo.

    Args:
        name: such as `lucid/InceptionV1`.
        graph_file: its frozen graph.
        labels_file: its classes, one on each line.

    Raises:
        BadModel: the file is not a frozen graph, its layers differ from lucid's list, or the labels
            do not fit.
    """
    from diamond_cutter.model_inventory.bundle import make_bundle
    from diamond_cutter.model_inventory.tensorflow.frozen_graph import (
        output_tensor,
        read_frozen_graph,
    )

    row = lucid_models()[name]
    graph = read_frozen_graph(graph_file, input_name=row.input_name)
    _refuse_other_model(row, graph, graph_file)
    layers = [NamedLayer(layer.name, layer.tensor, main=layer.main) for layer in row.layers]
    if row.pre_relu_layers:
        layers = [same for layer in layers for same in (layer, _add_pre_relu(graph, layer)) if same]
    # Classifiers come last. The auxiliary ones of InceptionV1 have convolutions of their own.
    dense = {layer.name for layer in row.layers if "dense" in layer.tags}
    bundle = make_bundle(
        name=name,
        source=lucid_source(name, graph_file),
        graph=graph,
        input_tensor=f"{row.input_name}:0",
        output_tensor=f"{row.output_layer}:0" if row.output_layer else output_tensor(graph),
        image=row.image,
        labels=read_labels(labels_file, row.output_size) if labels_file and row.output_size else (),
        layers=sorted(layers, key=lambda layer: layer.name in dense),
    )
    _refuse_other_channels(row, bundle, graph_file)
    return bundle


def read_labels(file: Path, classes: int) -> tuple[ClassLabel, ...]:
    """Read the labels of so many classes from a file, with unique names.

    A first line for the background is dropped if the network has no such class. A few additional
    logits are labelled as unused.

    Raises:
        BadModel: the file is too large, or the number of lines differs from that of the classes.
    """
    if file.stat().st_size > _MOST_LABEL_BYTES:
        raise BadModel(
            f"the labels {file} are too large: expected at most {_MOST_LABEL_BYTES} bytes, found "
            f"{file.stat().st_size}. Give a text file with one class on each line."
        )
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) == classes + 1:
        del lines[0]
    if not classes - _MOST_UNUSED_LOGITS <= len(lines) <= classes:
        raise BadModel(
            f"the labels {file} do not fit: expected {classes}, one for each class, found "
            f"{len(lines)}. Give the labels of this model."
        )
    names = [_plain(line) or f"class {index}" for index, line in enumerate(lines)]
    names += [f"unused {index}" for index in range(len(lines), classes)]
    return tuple(ClassLabel(name=name) for name in _told_apart(names))


def _plain(line: str) -> str:
    """Return a line without control characters, of bounded length, safe for a terminal."""
    shown = "".join(
        " " if unicodedata.category(character)[0] in "CZ" else character for character in line
    )
    return " ".join(shown.split())[:_LONGEST_NAME]


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return the names with a number after each repeated one."""
    times: Counter[str] = Counter()
    taken = set(names)
    result = []
    for name in names:
        times[name] += 1
        unique = name
        while times[name] > 1 and unique in taken:
            unique = f"{name} ({times[name]})"
            times[name] += unique in taken
        taken.add(unique)
        result.append(unique)
    return result


def _refuse_other_model(row: LucidModel, graph: "tf.compat.v1.GraphDef", file: Path) -> None:
    nodes = {node.name for node in graph.node}
    missing = [layer.name for layer in row.layers if layer.name not in nodes]
    if missing:
        raise BadModel(
            f"{file} is not {row.name}: it lacks {first_few(missing)}. Give the graph from "
            f"{row.weights}."
        )


def _refuse_other_channels(row: LucidModel, bundle: "Bundle", file: Path) -> None:
    for layer in row.layers:
        found = bundle.card.layer(layer.name).channels
        if found != layer.channels:
            raise BadModel(
                f"{file} is not {row.name}: expected {layer.channels} channels in {layer.name}, "
                f"found {found}. Give the graph from {row.weights}."
            )


def _add_pre_relu(graph: "tf.compat.v1.GraphDef", layer: NamedLayer) -> NamedLayer | None:
    """Add the concatenation of the inputs of the ReLUs before a layer, as lucid does."""
    from diamond_cutter.model_inventory.graph.graph_def import node_name

    nodes = {node.name: node for node in graph.node}
    joined = nodes[node_name(layer.tensor)]
    if joined.op != "ConcatV2":
        return None
    *towers, axis = joined.input
    added = graph.node.add()
    added.CopyFrom(joined)
    added.name = f"{joined.name}_pre_relu"
    before = [
        nodes[node_name(tower)].input[0] if nodes[node_name(tower)].op == "Relu" else tower
        for tower in towers
    ]
    added.input[:] = [*before, axis]
    return NamedLayer(added.name, f"{added.name}:0", main=False)
