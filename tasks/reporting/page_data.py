"""The schema of the data that the pages of a report load.

Numbers mean the same as in report.json.
"""

from pydantic import Field

from diamond_cutter.storage.sets.records import Flag
from diamond_cutter.tasks.reporting.layer_contents import (
    Part,
    Sheet,
)


class ChannelPatches(Part):
    """Example images of a channel, cropped to the receptive field of its highest activation."""

    cells: tuple[int, ...] = Field(
        description="cells in the layer's sheet of patches, highest activation first"
    )
    images: tuple[int, ...]
    names: tuple[str, ...] = Field(description="names of these images")
    values: tuple[float, ...] = Field(description="activations")
    quantiles: tuple[float | None, ...] = Field(
        description="quantile of all images that it samples; none for the highest activations"
    )


class ChannelNumbers(Part):
    """A channel in the report."""

    channel: int
    sprite: int | None = Field(description="cell in the layer's sheet of sprites")
    flags: tuple[Flag, ...] = Field(default=(), description="of the sprite")
    label: str = Field(default="", description="name of the class, if the channels are classes")
    words: str = Field(description="one line, derived from the numbers")
    highest: float = Field(description="highest activation over all images")
    classes: tuple[tuple[str, float], ...] = Field(
        description="name, and mean in deviations above the channel's mean, of the top classes"
    )
    patches: ChannelPatches


class SetNumbers(Part):
    """A layer's attributions over one set of images.

    `spread` and `share` hold the channels of `top`, followed by the channels of `bottom`.
    """

    mean: tuple[float, ...] = Field(description="mean attribution, [channel]")
    spread: tuple[float, ...] = Field(description="standard deviation over the images")
    share: tuple[float, ...] = Field(
        description="share of the images with an attribution above 0 (top) or below 0 (bottom)"
    )
    top: tuple[int, ...] = Field(description="channels with means above 0, in descending order")
    bottom: tuple[int, ...] = Field(description="channels with means below 0, in ascending order")


class LayerSets(Part):
    """A layer's attributions over all sets of images."""

    sets: tuple[SetNumbers, ...] = Field(description="in the order of report.json")


class LayerNumbers(Part):
    """The channels of a layer, for the pages of the layer and of images."""

    patches: Sheet | None
    channels: tuple[ChannelNumbers, ...] = Field(
        description="channels shown anywhere, in ascending order"
    )
    sets: tuple[SetNumbers, ...] = Field(
        default=(), description="in the order of report.json; only in earlier reports"
    )


class HeatMap(Part):
    """The attribution of each cell of a layer in one image."""

    values: tuple[int, ...] = Field(description="-127 to 127, by cell, row by row")
    scale: float = Field(description="attribution of the value 127")
    channels: tuple[tuple[int, ...], ...] = Field(
        description="by cell: channels of the highest attributions, in descending order"
    )


class ImageLayer(Part):
    """An image at a layer."""

    maps: tuple[HeatMap, ...] = Field(description="in the order of the image's `explained`")
    activated: tuple[tuple[int, ...], ...] = Field(
        description="by cell: channels of the highest activations, in descending order"
    )
    amounts: tuple[int, ...] = Field(
        default=(),
        description="by cell: activation of the first of these channels, 0 to 255; empty in "
        "earlier reports",
    )
    highest: float = Field(default=0, description="activation of the amount 255")
    same_place: tuple[tuple[int, ...], ...] = Field(
        description="by cell: other images with high activations of the first of these channels "
        "in the same cell, in descending order"
    )
    groups: tuple[tuple[int, ...], ...] = Field(
        default=(), description="by group and cell: 0 to 255"
    )
    group_attribution: tuple[float, ...] = Field(default=(), description="by group")
    seen_from: tuple[tuple[tuple[int, int], ...], ...] = Field(
        default=(),
        description="by cell: the cells of the previous layer in the report that contribute most, "
        "each with its share, 255 for the first",
    )


class Explained(Part):
    """The classes that a heat map explains."""

    positive: int | None = Field(description="class; none for the log-sum-exp of all classes")
    negative: int | None


class ImageDetails(Part):
    """The details of a shown image."""

    number: int
    name: str
    file: str = Field(description="square picture; path relative to the report's folder")
    label: str | None
    right: bool | None = Field(
        description="whether the top class is the label; none if the label is not a class"
    )
    predicted: tuple[tuple[int, float], ...] = Field(
        description="class and probability, in descending order; or number and value of a "
        "regression"
    )
    explained: tuple[Explained, ...] = Field(
        description="the first map explains the same as the whole report"
    )
    layers: tuple[ImageLayer, ...] = Field(description="in the order of report.json")


class ListedImage(Part):
    """An entry of the list of images."""

    number: int
    name: str
    file: str = Field(description="square picture; path relative to the report's folder")
    label: str | None
    predicted: int = Field(description="class of the highest logit")
    value: float | None = Field(default=None, description="of a regression; none for classes")
    right: bool | None = Field(
        description="whether the top class is the label; none if the label is not a class"
    )
    sets: tuple[int, ...] = Field(description="indices of the image's sets in report.json")


class ImageList(Part):
    """The data of the list of images."""

    images: tuple[ListedImage, ...] = Field(
        description="shown images, in the order of their numbers"
    )


class ImagesPage(Part):
    """The details of some images; each page of an image loads one such file."""

    images: tuple[ImageDetails, ...]
