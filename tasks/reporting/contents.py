"""The schema of report.json and of the records behind it.

Channels, classes, images and sets of images are numbers. Images are numbered from 0 in the order of
their names.
"""

from typing import Literal

from pydantic import Field

from diamond_cutter.model_inventory.heads import HeadKind
from diamond_cutter.storage.sets.records import FileRef, Flag, Record, Versions
from diamond_cutter.tasks.attribution.spec import AttributionSpec, LayerMethod, SetKind
from diamond_cutter.tasks.reporting.layer_contents import (
    Checks,
    FoundGroups,
    GroupFlow,
    Part,
    ReportedLayer,
)


class ShownClass(Part):
    """A class of the model, named in the report."""

    number: int = Field(description="index of the logit")
    name: str
    wnid: str | None = None


class RefusedImage(Part):
    """A skipped image."""

    name: str
    reason: str


class Accuracy(Part):
    """The accuracy on the images with the label of a class of the model."""

    images: int
    top1: float = Field(ge=0, le=1)
    top5: float = Field(ge=0, le=1)

    @property
    def wrong(self) -> int:
        """Return the number of images of which another class is predicted."""
        return round(self.images * (1 - self.top1))


class Values(Part):
    """The values that a regression computes for the images."""

    lowest: float
    mean: float
    highest: float


class PreprocessingNote(Part):
    """What the accuracy says of the model's preprocessing."""

    text: str = Field(description="in one or two sentences")
    warns: bool = Field(default=False, description="whether something is probably wrong")


class ImageSetCard(Part):
    """A set of images, over which attributions are averaged."""

    kind: SetKind
    title: str = Field(
        description="for people: 'all images', a label, the name of a class, 'right predictions' "
        "or 'wrong predictions'"
    )
    class_number: int | None = Field(default=None, description="the class of a set of kind class")
    images: int
    mixes_questions: bool = Field(
        default=False,
        description="whether the images are explained by different classes, so that the mean "
        "answers no single question",
    )


class AnnotatedImage(Part):
    """An image with its strongest cell, for the first screen."""

    image: int = Field(description="number of the image; it is one of the shown images")
    layer: str
    cell: int = Field(description="row * width + column, in the layer's map")
    channel: int = Field(description="the channel of the highest attribution in the cell")
    sprite: int | None = Field(default=None, description="cell in the layer's sheet of sprites")
    flags: tuple[Flag, ...] = Field(default=(), description="of the sprite")
    caption: str = Field(description="one sentence")


class FailedSprites(Part):
    """The sprites of a report that have flags."""

    failed: int
    of: int = Field(description="number of sprites in the report")
    by_flag: dict[Flag, int]
    advice: str = Field(description="what helps, in one or two sentences")


class Table(Part):
    """A Parquet table."""

    title: str
    file: str = Field(description="path relative to the report's folder")
    rows: int


class ShownPage(Part):
    """The images of one file of details."""

    file: str = Field(description="file with an ImagesPage; path relative to the report's folder")
    images: tuple[int, ...]


class ReportContents(Part):
    """The contents of report.json, and the data of the report's first page."""

    dataset: str
    model: str
    report: str
    sprites: str = Field(description="recipe key of the sprites")
    spec: AttributionSpec
    images: int = Field(description="number of measured images")
    labels: Literal["folders", "labels.csv"] | None
    pictures: str = Field(
        default="", description="how the images are shown, in words; empty for photos"
    )
    refused: tuple[RefusedImage, ...]
    accuracy: Accuracy | None
    preprocessing: PreprocessingNote | None = Field(
        default=None, description="none without labels, and in reports of earlier versions"
    )
    head: HeadKind = "classes"
    values: Values | None = Field(default=None, description="none unless the head is of values")
    classes: tuple[ShownClass, ...] = Field(description="all classes named in the report")
    sets: tuple[ImageSetCard, ...] = Field(description="the first set is of all images")
    layers: tuple[ReportedLayer, ...] = Field(description="in forward order")
    flows: tuple[GroupFlow, ...] = ()
    shown: str = Field(
        description="file with the ImageList of the shown images; path relative to the report's "
        "folder"
    )
    pages: tuple[ShownPage, ...]
    tables: tuple[Table, ...] = ()
    finding: str = Field(default="", description="the answer; empty in earlier reports")
    belief: str = Field(default="", description="how far the answer can be believed")
    annotated: tuple[AnnotatedImage, ...] = Field(default=(), description="up to three images")
    failed_sprites: FailedSprites | None = Field(
        default=None, description="none if no sprite has flags, and in earlier reports"
    )
    command: str = Field(default="", description="the command that makes this report again")
    versions: Versions | None = Field(default=None, description="of the software that measured")
    created: str = Field(default="", description="date of the measurements, UTC: 2026-11-29")

    def explanation(self) -> str:
        """Return what the report explains, and the method, in words."""
        positive, negative = self.spec.positive, self.spec.negative
        names = {known.number: known.name for known in self.classes}
        target = {"auto": "each image's top class", "all": "all classes together"}.get(
            str(positive), names.get(positive, "") if isinstance(positive, int) else ""
        )
        runner_up = "its runner-up" if positive == "auto" else "each image's top other class"
        if self.head == "two classes":
            runner_up = "the other class"
        over = {"auto": f" over {runner_up}", "none": ""}.get(
            str(negative), f" over {names.get(negative, '')}" if isinstance(negative, int) else ""
        )
        return f"{target}{over}, by {self._methods()}"

    def _methods(self) -> str:
        """Return the methods of the layers, in words."""
        layers = self.spec.layers
        integrated = [layer for layer in layers if self.spec.method_of(layer) == "integrated"]
        straight, path = (
            "gradient times activation",
            f"integrated gradients of {self.spec.steps} steps",
        )
        if not integrated:
            return straight
        if len(integrated) == len(layers):
            return path
        return f"{straight}, and in {', '.join(integrated)} by {path}"

    def decision(self) -> str | None:
        """Return how one score decides between two classes, in words; None for other heads."""
        if self.head != "two classes":
            return None
        names = [known.name for known in self.classes if known.number < 2]
        return (
            f"one score decides between {' and '.join(names)}: {names[-1]} if its probability is "
            f"above {self.spec.threshold or 0.5:g}"
        )


class ReportRecord(Record):
    """Commits a report: its contents and its files. It is stored as report.json."""

    contents: ReportContents
    records: tuple[str, ...] = Field(
        description="keys of the records of the measurements and of the details"
    )
    files: tuple[FileRef, ...] = Field(
        description="tables, and files of the pages except the details"
    )
    lacks: tuple[str, ...] = Field(
        default=(),
        description="a sentence for each failed part; the same command tries these parts again",
    )


class DetailsRecord(Record):
    """Commits the details of the shown images: their pages, groups, flows and checks."""

    shown: tuple[int, ...] = Field(description="numbers of the shown images")
    pages: tuple[ShownPage, ...]
    classes: tuple[int, ...] = Field(description="all classes named in the pages")
    checks: dict[str, Checks] = Field(description="by layer")
    groups: dict[str, FoundGroups] = Field(description="by layer")
    flows: tuple[GroupFlow, ...]
    cells: dict[str, dict[int, int]] = Field(
        description="by layer and channel, the number of cells that show the channel first or "
        "second"
    )
    files: tuple[FileRef, ...]
    methods: tuple[LayerMethod, ...] = Field(
        default=(), description="by layer, if the method was chosen for each; else empty"
    )
    created: str = Field(default="", description="date, UTC; empty in earlier reports")
    seconds: float
    versions: Versions
