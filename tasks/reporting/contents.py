"""What a report says: the schema of report.json, and of the files of numbers that its pages load
one by one.

Channels, classes, images and sets of images are numbers in all of them. Images are numbered in the
order of their names, from 0.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from diamond_cutter.storage.sets.records import FileRef, Record, Versions
from diamond_cutter.tasks.attribution.spec import AttributionSpec, SetKind


class Part(BaseModel):
    """A part of a report."""

    # JSON has no number that is not finite.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ShownClass(Part):
    """A class of the model that the report names."""

    number: int = Field(description="the logit's")
    name: str
    wnid: str | None = None


class RefusedImage(Part):
    """An image that was left out."""

    name: str
    reason: str


class Accuracy(Part):
    """How often the model is right, among the images whose label is a class of the model."""

    images: int
    top1: float = Field(ge=0, le=1)
    top5: float = Field(ge=0, le=1)


class Spread(Part):
    """A number over many images."""

    lower_quartile: float
    median: float
    upper_quartile: float


class Checks(Part):
    """Whether a layer's attributions can be believed, on a sample of the images."""

    images: int
    completeness_error: Spread = Field(
        description="|sum of attributions - (score - score with the layer silent)| over |score - "
        "score with the layer silent|"
    )
    ablated: int = Field(description="how many channels were silenced at once, 5 % of the layer's")
    drop_of_top: Spread = Field(
        description="what silencing those of the highest attribution takes from the score"
    )
    drop_of_random: Spread = Field(
        description="what silencing as many at random takes from it, in the mean of several draws"
    )
    times: float | None = Field(
        description="the first median over the second; none where the second is not above 0"
    )


class ImageSetCard(Part):
    """A set of images over which attributions are summed up."""

    kind: SetKind
    title: str = Field(
        description="for people: 'all images', a label, a class's name, or 'wrong predictions'"
    )
    class_number: int | None = Field(
        default=None, description="of a set of images that one class explains"
    )
    images: int


class Group(Part):
    """A group of neurons: a direction in the space of a layer's channels that images excite
    together.
    """

    number: int
    channels: tuple[int, ...] = Field(description="those that weigh most, the strongest first")
    weights: tuple[float, ...] = Field(description="their weights; the direction has length 1")
    attribution: float = Field(
        description="mean over the shown images, to what each is explained by"
    )
    by_class: tuple[tuple[int, float], ...] = Field(
        default=(), description="class number and mean attribution over its images"
    )
    sprite: int | None = Field(
        default=None, description="cell in the layer's sheet of group sprites"
    )


class Sheet(Part):
    """A picture that holds others in cells, row by row."""

    file: str = Field(description="as seen from the report's folder")
    columns: int
    cell_px: int


class MeanChannel(Part):
    """A channel among a layer's strongest, over all images."""

    channel: int
    attribution: float = Field(description="the mean")
    sprite: int | None = Field(default=None, description="cell in the layer's sheet of sprites")


class ReportedLayer(Part):
    """What report.json says of a layer."""

    name: str
    kind: str
    channels: int
    height: int = Field(
        description="rows in the maps: of positions, put together where there are more than 20; 1 "
        "for a vector"
    )
    width: int = Field(description="columns in the maps")
    receptive_field: int | None
    checks: Checks
    top: tuple[MeanChannel, ...] = Field(
        description="channels of the highest mean attribution over all images, the highest first"
    )
    bottom: tuple[MeanChannel, ...] = Field(description="those of the lowest, the lowest first")
    sprites: Sheet | None = Field(default=None, description="of the channels that the report shows")
    group_sprites: Sheet | None = None
    explained_variance: float | None = Field(
        default=None, description="share of the activations that the groups account for"
    )
    groups: tuple[Group, ...] = ()
    numbers: str = Field(
        description="the file that its page loads, a LayerNumbers; as seen from the report's folder"
    )


class GroupFlow(Part):
    """How much each group of a layer adds to each group of the next one, in the mean over up to 64
    of the shown images.
    """

    layer: str
    next_layer: str
    attribution: tuple[tuple[float, ...], ...] = Field(
        description="[group of layer, group of next_layer]"
    )


class Table(Part):
    """A table for programs."""

    title: str
    file: str = Field(description="as seen from the report's folder")
    rows: int


class ShownPage(Part):
    """Some images whose details one file holds."""

    file: str = Field(description="as seen from the report's folder; an ImagesPage")
    images: tuple[int, ...]


class ReportContents(Part):
    """What report.json says beside the files that it commits, and what its first page is
    made of.
    """

    dataset: str
    model: str
    report: str
    sprites: str = Field(description="the recipe of the sprites, which is the name of their set")
    spec: AttributionSpec
    images: int = Field(description="how many were looked at")
    labels: Literal["folders", "labels.csv"] | None
    refused: tuple[RefusedImage, ...]
    accuracy: Accuracy | None
    classes: tuple[ShownClass, ...] = Field(description="all that any part of the report names")
    sets: tuple[ImageSetCard, ...] = Field(description="the first is of all images")
    layers: tuple[ReportedLayer, ...] = Field(description="in forward order")
    flows: tuple[GroupFlow, ...] = ()
    shown: str = Field(
        description="the file that lists the images that are shown, an ImageList; as seen from "
        "the report's folder"
    )
    pages: tuple[ShownPage, ...]
    tables: tuple[Table, ...] = ()


class ReportRecord(Record):
    """Commits a report: what it says and all of its files. report.json is one."""

    contents: ReportContents
    records: tuple[str, ...] = Field(
        description="keys of the records of what was measured of the images, and of the details"
    )
    files: tuple[FileRef, ...] = Field(
        description="tables, and what its pages load beside the details"
    )
    lacks: tuple[str, ...] = Field(
        default=(),
        description="a sentence on each part that failed; the same run again tries these anew",
    )


class Patches(Part):
    """The images that excite a channel, cut to what the position of its highest activation sees."""

    cells: tuple[int, ...] = Field(
        description="in the layer's sheet of patches, the most exciting first"
    )
    images: tuple[int, ...]
    names: tuple[str, ...] = Field(description="of these images")
    values: tuple[float, ...] = Field(description="the activations")
    quantiles: tuple[float | None, ...] = Field(
        description="which quantile of all images it is a sample of; none for one of the highest"
    )


class ChannelNumbers(Part):
    """A channel that the report shows."""

    channel: int
    sprite: int | None = Field(description="cell in the layer's sheet of sprites")
    label: str = Field(default="", description="of a layer whose channels are classes")
    words: str = Field(description="derived from the numbers")
    highest: float = Field(description="highest activation on any image")
    classes: tuple[tuple[str, float], ...] = Field(
        description="the most selective for: name, and deviations above the channel's mean"
    )
    patches: Patches


class SetNumbers(Part):
    """A layer's attributions over one set of images. What is of the channels in top and bottom
    comes in that order, top first.
    """

    mean: tuple[float, ...] = Field(description="[channel]")
    spread: tuple[float, ...] = Field(
        description="standard deviation over the images, of the channels in top and bottom"
    )
    share: tuple[float, ...] = Field(
        description="of the images, those whose attribution has that sign; of the channels in top "
        "and bottom"
    )
    top: tuple[int, ...] = Field(description="channels, the highest mean first; all above 0")
    bottom: tuple[int, ...] = Field(description="channels, the lowest mean first; all below 0")


class FoundGroups(Part):
    """The groups of a layer as they were found."""

    directions: tuple[tuple[float, ...], ...] = Field(description="[group, channel], of length 1")
    attribution: tuple[float, ...] = Field(description="by group, mean over the shown images")
    by_class: dict[int, tuple[float, ...]] = Field(
        description="the same over the images that the model takes for a class, by its number"
    )
    explained: float = Field(
        description="share of the squares of the activations that the groups account for"
    )


class DetailsRecord(Record):
    """Commits what a report shows of single images, and what was found by looking at them
    closely.
    """

    shown: tuple[int, ...] = Field(description="numbers of the images")
    pages: tuple[ShownPage, ...]
    classes: tuple[int, ...] = Field(description="all that the pages name")
    checks: dict[str, Checks] = Field(description="by layer")
    groups: dict[str, FoundGroups] = Field(description="by layer")
    flows: tuple[GroupFlow, ...]
    cells: dict[str, dict[int, int]] = Field(
        description="by layer and channel, in how many cells of the images it stands out"
    )
    files: tuple[FileRef, ...]
    seconds: float
    versions: Versions


class LayerNumbers(Part):
    """What a layer's page loads."""

    patches: Sheet | None
    channels: tuple[ChannelNumbers, ...] = Field(
        description="those that are shown anywhere, ascending"
    )
    sets: tuple[SetNumbers, ...] = Field(description="as in report.json")


class HeatMap(Part):
    """Where in an image a layer speaks for a class, or for one against another."""

    values: tuple[int, ...] = Field(description="-127 to 127, by position, row by row")
    scale: float = Field(description="the attribution that 127 stands for")
    channels: tuple[tuple[int, ...], ...] = Field(
        description="by position: channels of the highest attribution, the highest first"
    )


class ImageLayer(Part):
    """An image at a layer."""

    maps: tuple[HeatMap, ...] = Field(description="as in the image's `explained`")
    activated: tuple[tuple[int, ...], ...] = Field(
        description="by position: channels of the highest activation, the highest first"
    )
    same_place: tuple[tuple[int, ...], ...] = Field(
        description="by position: other images in which the first of these channels is high at "
        "the same position, the highest first"
    )
    groups: tuple[tuple[int, ...], ...] = Field(
        default=(), description="by group: 0 to 255, by position"
    )
    group_attribution: tuple[float, ...] = Field(default=(), description="by group")
    seen_from: tuple[tuple[tuple[int, int], ...], ...] = Field(
        default=(),
        description="by position: the positions of the layer before (in the report) that most of "
        "what is here comes from, each with its "
        "share, 255 for the first",
    )


class Explained(Part):
    """What a heat map explains."""

    positive: int | None = Field(description="a class; none for the log-sum-exp of all")
    negative: int | None


class ImageDetails(Part):
    """An image that the report shows."""

    number: int
    name: str
    file: str = Field(description="as seen from the report's folder; square, as the model sees it")
    label: str | None
    right: bool | None = Field(
        description="whether the highest logit is the label's; none where the label is no class"
    )
    predicted: tuple[tuple[int, float], ...] = Field(
        description="class and probability, the highest first"
    )
    explained: tuple[Explained, ...] = Field(
        description="the first is what the whole report explains"
    )
    layers: tuple[ImageLayer, ...] = Field(description="as in report.json")


class ListedImage(Part):
    """What the list of images says of one that is shown."""

    number: int
    name: str
    file: str = Field(description="as seen from the report's folder; square, as the model sees it")
    label: str | None
    predicted: int = Field(description="the class of the highest logit")
    right: bool | None = Field(
        description="whether that is the label; none where the label is no class"
    )
    sets: tuple[int, ...] = Field(description="those that it is in, as in report.json")


class ImageList(Part):
    """What the list of images loads."""

    images: tuple[ListedImage, ...] = Field(
        description="that are shown, in the order of their numbers"
    )


class ImagesPage(Part):
    """What the page of some images loads."""

    images: tuple[ImageDetails, ...]
