"""The model card: the description of a model for the rest of the pipeline."""

import difflib
import fnmatch
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.attached import Attached
from diamond_cutter.model_inventory.errors import BadModel, UnknownLayer
from diamond_cutter.model_inventory.heads import Head, HeadKind

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$"
# The last operation of a layer, apart from activation functions and normalisation. A block joins
# branches.
LayerKind = Literal["convolution", "expansion", "depthwise", "block", "dense", "pooling", "other"]
ChannelOrder = Literal["rgb", "bgr", "none"]


class ModelSource(FrozenModel):
    """The origin of the weights of a model, and the code that made the graph."""

    origin: str = Field(description="a package with its version, a file or a URL, for display")
    weights_sha256: str
    importer: str = Field(
        description="name and version of the code that built the graph from the weights"
    )


class ClassLabel(FrozenModel):
    """The class of one logit."""

    name: str
    wnid: str | None = Field(default=None, description="WordNet id, for classes of ImageNet")


class ImageSpec(FrozenModel):
    """The format of the images that a graph takes."""

    height: int = Field(ge=1, description="rows of the training images")
    width: int = Field(ge=1, description="columns of the training images")
    channels: int = Field(default=3, ge=1, le=1000)
    value_range: tuple[tuple[float, float], ...] = Field(
        description="values at the input of the graph for 0 and 1 in an image: once for all "
        "channels, or for each in the order of the graph"
    )
    channel_order: ChannelOrder = Field(
        default="rgb", description="none if the channels are not colours"
    )

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "ImageSpec":
        if len(self.value_range) not in (1, self.channels):
            raise ValueError(
                f"value_range has the wrong length: expected 1 or {self.channels}, found "
                f"{len(self.value_range)}"
            )
        if any(
            not (math.isfinite(low) and math.isfinite(high) and low < high)
            for low, high in self.value_range
        ):
            raise ValueError(
                f"value_range is not valid: expected finite numbers, the lower first, found "
                f"{self.value_range}"
            )
        if (self.channel_order == "none") == (self.channels == 3):
            raise ValueError(
                "channel_order does not fit: expected rgb or bgr for 3 channels, none for others, "
                f"found {self.channel_order} for {self.channels}"
            )
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return height, width and channels."""
        return self.height, self.width, self.channels


class ImagenetAccuracy(FrozenModel):
    """The published accuracy of weights on the validation images of ImageNet."""

    top1: float = Field(
        ge=0,
        le=1,
        description="share of the images whose top class is their label, one crop each",
    )
    source: str = Field(pattern="^https://", description="URL of the page that states it")


@dataclass(frozen=True)
class NamedLayer:
    """A layer as named by an importer; fields that are None are derived from the graph."""

    name: str
    tensor: str
    kind: LayerKind | None = None
    main: bool | None = None


class LayerCard(FrozenModel):
    """One layer of a model."""

    name: str
    tensor: str = Field(description="its tensor in the graph, such as 'block_3/add:0'")
    kind: LayerKind
    main: bool = Field(description="selected by `--layers main`")
    channels: int = Field(ge=1)
    height: int | None = Field(
        description="rows at the image size of the model; none for a vector layer"
    )
    width: int | None = Field(
        description="columns at the image size of the model; none for a vector layer"
    )
    any_size: bool = Field(
        default=True,
        description="accepts images of any size, not only of the model's own size",
    )
    receptive_field: int | None = Field(
        default=None,
        description="side in pixels of the receptive field of one position; none if it is the "
        "whole image or unknown",
    )
    macs: int = Field(
        default=0,
        ge=0,
        description="multiplications with weights up to here, for one image of the model's size",
    )
    sha256: str = Field(
        description="hash of the sub-graph that produces it, with weights but without names"
    )


class ModelCard(FrozenModel):
    """A model for all later steps.

    Images have values in [0, 1]; `image` describes the format that the graph expects.
    """

    name: str = Field(pattern=MODEL_NAME, max_length=100)
    source: ModelSource
    graph_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    input_tensor: str
    image: ImageSpec
    logits_tensor: str | None
    labels: tuple[ClassLabel, ...] = ()
    layers: tuple[LayerCard, ...] = Field(description="in forward order")
    imagenet: ImagenetAccuracy | None = Field(
        default=None,
        description="None for users' models, for weights without a published accuracy, and on "
        "cards from earlier versions; see `imagenet_accuracy.known_accuracy`",
    )

    attached: Attached | None = Field(
        default=None, description="how new layers were attached to another model; None for others"
    )
    head: Head | None = Field(
        default=None,
        description="None for a vector with one score for each class that is the only output, and "
        "on cards from earlier versions",
    )

    @model_validator(mode="after")
    def _layer_names_are_unique(self) -> "ModelCard":
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError(f"two layers of {self.name} have the same name")
        return self

    @property
    def key(self) -> str:
        """Return the name and hash for keys in buckets, such as `keras.resnet50@1a2b3c4d`."""
        return f"{self.name.replace('/', '.')}@{self.graph_sha256[:8]}"

    @property
    def reading(self) -> str:
        """Return a short hash of what the card says of labels, images and head.

        The hash of the graph does not cover these.
        """
        said = {"labels", "image", "logits_tensor"}
        # Cards of earlier versions, which had no head, keep their hash.
        text = self.model_dump_json(include=said | ({"head"} if self.head else set()))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def logits(self) -> LayerCard | None:
        """Return the layer of the logits, or None if the model has none."""
        return next((layer for layer in self.layers if layer.tensor == self.logits_tensor), None)

    @property
    def head_kind(self) -> HeadKind:
        """Return how the logits are read."""
        return self.head.kind if self.head else "classes"

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
                "that ends in a classifier, or add it again with --head or --labels."
            )
        return self.logits

    def class_label(self, number: int) -> ClassLabel:
        """Return the label of a class, made from its number if the model has no label for it."""
        if 0 <= number < len(self.labels):
            return self.labels[number]
        if self.head_kind == "values":
            alone = self.logits is not None and self.logits.channels == 1
            return ClassLabel(name="the value" if alone else f"value {number}")
        return ClassLabel(name=f"class {number}")

    def channel_names(self, layer: LayerCard) -> tuple[str, ...]:
        """Return the names of the channels of a layer, by number: only those of logits have any."""
        return self.class_names if layer.tensor == self.logits_tensor else ()

    def layer(self, name: str) -> LayerCard:
        """Return the layer of that name.

        Raises:
            UnknownLayer: no layer has the name; the text suggests similar names.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownLayer(self._no_such_layer(name))

    def select_layers(self, patterns: Sequence[str]) -> list[LayerCard]:
        """Return the layers selected by names, globs, `main` or `all`, in forward order.

        Raises:
            UnknownLayer: a pattern matches no layer.
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
            f"layer {name!r} is not in {self.name}: did you mean {guess}? Run `diamond-cutter "
            f"models show {self.name}` to list all layers."
        )


def _fits(pattern: str, layer: LayerCard) -> bool:
    if pattern == layer.name or pattern == "all":
        return True
    if pattern == "main":
        return layer.main
    return bool(re.search(r"[*?\[]", pattern)) and fnmatch.fnmatchcase(layer.name, pattern)
