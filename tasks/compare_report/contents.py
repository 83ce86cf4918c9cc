"""The schema of a comparison of two models: the contents of its report.json."""

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.records import FileRef, Record
from diamond_cutter.tasks.comparing.accuracy import Accuracy, PairedTest, Share
from diamond_cutter.tasks.comparing.layer_pairs import LayerPair
from diamond_cutter.tasks.cut_report.contents import Figure, ShownImage
from diamond_cutter.tasks.reporting.contents import RefusedImage


class ComparedModelFacts(FrozenModel):
    """One of the two models."""

    name: str
    key: str
    height: int
    width: int
    sprites: str = Field(description="key of the recipe of its sprites")
    accuracy: Accuracy | None
    without: str = Field(description="why it has no accuracy, in one sentence; empty if it has")


class ImageFacts(FrozenModel):
    """The images of a comparison."""

    images: int = Field(description="readable images, with copies")
    measured: int = Field(description="images that layers are compared on")
    tested: int = Field(description="images that the accuracy is measured on")
    copies: int = Field(description="images that equal an earlier one, pixel for pixel")
    split: str = Field(description="test, train or all: the part that the accuracy is measured on")
    labels: str = Field(description="folders, labels.csv, or empty without labels")


class ClassRow(FrozenModel):
    """A class of the dataset, with the accuracy of both models."""

    name: str
    images: int
    first: Share | None
    second: Share | None
    only_first: int = Field(description="images that only the first model gets right")
    only_second: int


class SeenChannel(FrozenModel):
    """A channel with its pictures."""

    channel: int
    mean: float = Field(description="mean of its average activations over the images")
    sprite: str | None = Field(description="path of its sprite; none if it was not rendered")
    flags: tuple[str, ...] = Field(description="of the sprite")
    patches: str | None = Field(description="path of a sheet of images, cropped")
    shown: int = Field(description="number of patches in the sheet")


class ChannelPair(FrozenModel):
    """A channel of the first model and its counterpart in the second one."""

    correlation: float
    first: SeenChannel
    second: SeenChannel


class SeenPair(FrozenModel):
    """A pair of layers whose channels are shown."""

    first: str
    second: str
    channels: tuple[ChannelPair, ...] = Field(description="lowest correlation first")


class Contribution(FrozenModel):
    """A channel that contributes to the logit of a class."""

    channel: int
    value: float = Field(description="mean contribution over the images of the class")
    half: float | None = Field(description="half of its 95 % interval; none with one image")
    sprite: str | None
    counterpart: int | None = Field(description="the matched channel of the other model")


class ClassContributors(FrozenModel):
    """The channels that contribute most to a class, in each model."""

    name: str
    images: int
    first: tuple[Contribution, ...]
    second: tuple[Contribution, ...]


class CompareContents(FrozenModel):
    """All that the page of the report shows."""

    dataset: str
    report: str
    answer: str = Field(description="the answer in one sentence")
    remarks: tuple[str, ...] = Field(description="sentences that qualify the answer")
    repeat: str = Field(description="the command that made this report")
    models: tuple[ComparedModelFacts, ComparedModelFacts]
    facts: ImageFacts
    test: PairedTest | None
    classes: tuple[ClassRow, ...]
    only_first: tuple[ShownImage, ...]
    only_second: tuple[ShownImage, ...]
    layers: tuple[tuple[str, ...], tuple[str, ...]]
    cka: tuple[tuple[float | None, ...], ...] = Field(description="`[first, second]`")
    pairs: tuple[LayerPair, ...]
    seen: tuple[SeenPair, ...]
    contributing: tuple[str, str] | None = Field(
        description="the layers whose contributions to the classes are shown"
    )
    contributors: tuple[ClassContributors, ...]
    refused: tuple[RefusedImage, ...]
    problems: tuple[str, ...] = Field(description="a sentence for each layer that was left out")
    figure: Figure | None = Field(description="the similarity of all layers; none without any")
    channels_table: str = Field(description="path of the table of all channels, Parquet")
    images_table: str | None = Field(description="path of the table of all predictions, Parquet")
    version: str


class CompareReportRecord(Record):
    """Commits a comparison, written last."""

    contents: CompareContents
    records: tuple[str, ...] = Field(description="keys of the records that it rests on")
    files: tuple[FileRef, ...]
    lacks: tuple[str, ...] = Field(
        default=(), description="a sentence for each part that could not be rendered"
    )
