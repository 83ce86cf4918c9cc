"""The model card: everything the rest of the pipeline knows of a model."""

import difflib
import fnmatch
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.errors import BadModel, UnknownLayer

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$"
# What its values are made by last, activation functions and normalisation aside; a block is where
# branches come together.
LayerKind = Literal["convolution", "expansion", "depthwise", "block", "dense", "pooling", "other"]
ChannelOrder = Literal["rgb", "bgr", "none"]


class ModelSource(FrozenModel):
    """Where a model's weights come from and which code turned them into a graph."""

    origin: str = Field(description="for people: a package with its version, a file, a URL")
    weights_sha256: str
    importer: str = Field(
        description="name and version of the code that built the graph from the weights"
    )


class ClassLabel(FrozenModel):
    """What one logit stands for."""

    name: str
    wnid: str | None = Field(default=None, description="WordNet id, for ImageNet's classes")


class ImageSpec(FrozenModel):
    """The images that a graph takes."""

    height: int = Field(ge=1, description="rows that the model was trained at")
    width: int = Field(ge=1, description="columns that the model was trained at")
    channels: int = Field(default=3, ge=1, le=1000)
    value_range: tuple[tuple[float, float], ...] = Field(
        description="what 0 and 1 of an image become at the graph's input: once for all channels, "
        "or for each, in the graph's order"
    )
    channel_order: ChannelOrder = Field(
        default="rgb", description="none where channels are not colours"
    )

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "ImageSpec":
        if len(self.value_range) not in (1, self.channels):
            raise ValueError(
                f"a value range is given once or for each of {self.channels} channels; found "
                f"{len(self.value_range)}"
            )
        if any(
            not (math.isfinite(low) and math.isfinite(high) and low < high)
            for low, high in self.value_range
        ):
            raise ValueError(
                f"a value range is two numbers, the lower first; found {self.value_range}"
            )
        if (self.channel_order == "none") == (self.channels == 3):
            raise ValueError(
                "three channels are rgb or bgr, any other number is neither; found "
                f"{self.channels}, {self.channel_order}"
            )
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return height, width and channels."""
        return self.height, self.width, self.channels


@dataclass(frozen=True)
class NamedLayer:
    """A layer as an importer names it; what is None is found in the graph."""

    name: str
    tensor: str
    kind: LayerKind | None = None
    main: bool | None = None


class LayerCard(FrozenModel):
    """One layer whose activations can be read."""

    name: str
    tensor: str = Field(description="its tensor in the graph, such as 'block_3/add:0'")
    kind: LayerKind
    main: bool = Field(description="one of the layers that `--layers main` means")
    channels: int = Field(ge=1)
    height: int | None = Field(
        description="rows at the model's image size; none for a vector layer"
    )
    width: int | None = Field(
        description="columns at the model's image size; none for a vector layer"
    )
    any_size: bool = Field(
        default=True,
        description="can be computed of images of any size; otherwise of the model's own only",
    )
    receptive_field: int | None = Field(
        default=None,
        description="side in pixels of what one position sees; none where it is the whole image, "
        "or cannot be told",
    )
    macs: int = Field(
        default=0,
        ge=0,
        description="multiplications with weights, for one image of the model's size, up to here",
    )
    sha256: str = Field(
        description="hash of the sub-graph that produces it, weights included, names left out"
    )


class ModelCard(FrozenModel):
    """A model as everything downstream sees it. Images go in with values in [0, 1]; `image` is what
    the graph expects.
    """

    name: str = Field(pattern=MODEL_NAME, max_length=100)
    source: ModelSource
    graph_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    input_tensor: str
    image: ImageSpec
    logits_tensor: str | None
    labels: tuple[ClassLabel, ...] = ()
    layers: tuple[LayerCard, ...] = Field(description="in forward order")

    @model_validator(mode="after")
    def _layer_names_are_unique(self) -> "ModelCard":
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError(f"two layers of {self.name} share a name")
        return self

    @property
    def key(self) -> str:
        """Name the model and its weights, as in the bucket's keys: `efficientnet-lite0@1a2b3c4d`,
        `keras.resnet50@1a2b3c4d`.
        """
        return f"{self.name.replace('/', '.')}@{self.graph_sha256[:8]}"

    @property
    def logits(self) -> LayerCard | None:
        """Return the layer of the logits, or None if the model has none."""
        return next((layer for layer in self.layers if layer.tensor == self.logits_tensor), None)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes, by number; none without labels."""
        return tuple(label.name for label in self.labels)

    def check_logits(self) -> LayerCard:
        """Return the layer of the logits.

        Raises:
            BadModel: the model has none.
        """
        if self.logits is None:
            raise BadModel(
                f"{self.name} has no logits, so it has no classes to attribute to. Use a model "
                "that ends in a classifier"
            )
        return self.logits

    def class_label(self, number: int) -> ClassLabel:
        """Return the label of a class, made from its number if the model has no label for it."""
        labelled = 0 <= number < len(self.labels)
        return self.labels[number] if labelled else ClassLabel(name=f"class {number}")

    def channel_names(self, layer: LayerCard) -> tuple[str, ...]:
        """Return the names of the channels of a layer, by number: only those of logits have any."""
        return self.class_names if layer.tensor == self.logits_tensor else ()

    def layer(self, name: str) -> LayerCard:
        """Return the layer of that name.

        Raises:
            UnknownLayer: names the nearest layers.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownLayer(self._no_such_layer(name))

    def select_layers(self, patterns: Sequence[str]) -> list[LayerCard]:
        """Return the layers that names, globs, `main` or `all` stand for, in forward order.

        Raises:
            UnknownLayer: a pattern fits no layer.
        """
        chosen: set[str] = set()
        for pattern in patterns:
            fitting = [layer.name for layer in self.layers if _fits(pattern, layer)]
            if not fitting:
                raise UnknownLayer(self._no_such_layer(pattern))
            chosen.update(fitting)
        return [layer for layer in self.layers if layer.name in chosen]

    def _no_such_layer(self, name: str) -> str:
        names = [layer.name for layer in self.layers]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        guess = " or ".join(repr(other) for other in near)
        return (
            f"layer {name!r} is not in {self.name}; did you mean {guess}? (diamond-cutter "
            f"models show {self.name} lists them)"
        )


def _fits(pattern: str, layer: LayerCard) -> bool:
    if pattern == layer.name or pattern == "all":
        return True
    if pattern == "main":
        return layer.main
    return bool(re.search(r"[*?\[]", pattern)) and fnmatch.fnmatchcase(layer.name, pattern)
