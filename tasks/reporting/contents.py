"""The schema of report.json and of the records behind it.

Channels, classes, images and sets of images are numbers. Images are numbered from 0 in the order of
their names.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from diamond_cutter.model_inventory.heads import HeadKind
from diamond_cutter.storage.sets.records import FileRef, Record, Versions
from diamond_cutter.tasks.attribution.spec import AttributionSpec, SetKind


def short(value: float, digits: int = 4) -> float:
    """Return a number rounded to some significant digits, to keep the files small."""
    return float(f"{value:.{digits}g}")


class Part(BaseModel):
    """The base of all parts of a report."""

    # JSON has no infinite numbers.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


class Spread(Part):
    """The quartiles of a number over many images."""

    lower_quartile: float
    median: float
    upper_quartile: float


class Checks(Part):
    """The checks of a layer's attributions, on a sample of the images."""

    images: int
    completeness_error: Spread = Field(
        description="|sum of attributions - gain| / |gain|; the gain is the score minus the score "
        "with the layer at 0"
    )
    ablated: int = Field(description="channels set to 0 at once, 5 % of the layer's channels")
    drop_of_top: Spread = Field(
        description="loss of score with the channels of the highest attribution at 0"
    )
    drop_of_random: Spread = Field(
        description="mean loss of score with as many random channels at 0"
    )
    times: float | None = Field(
        description="first median / second median; none if the second is not above 0"
    )


class ImageSetCard(Part):
    """A set of images, over which attributions are averaged."""

    kind: SetKind
    title: str = Field(
        description="for people: 'all images', a label, the name of a class, or 'wrong predictions'"
    )
    class_number: int | None = Field(default=None, description="the class of a set of kind class")
    images: int


class Group(Part):
    """A neuron group: a direction in the space of a layer's channels."""

    number: int
    channels: tuple[int, ...] = Field(
        description="channels of the highest weights, in descending order"
    )
    weights: tuple[float, ...] = Field(
        description="weights of these channels; the direction is a unit vector"
    )
    attribution: float = Field(description="mean over the shown images, to the explained score")
    by_class: tuple[tuple[int, float], ...] = Field(
        default=(), description="class number, and mean attribution over the images of this class"
    )
    sprite: int | None = Field(
        default=None, description="cell in the layer's sheet of group sprites"
    )


class Sheet(Part):
    """A picture that holds other pictures in cells, row by row."""

    file: str = Field(description="path relative to the report's folder")
    columns: int
    cell_px: int


class MeanChannel(Part):
    """One of a layer's strongest channels over all images."""

    channel: int
    attribution: float = Field(description="mean over all images")
    sprite: int | None = Field(default=None, description="cell in the layer's sheet of sprites")


class ReportedLayer(Part):
    """A layer in report.json."""

    name: str
    kind: str
    channels: int
    height: int = Field(description="rows of cells in the maps, at most 20; 1 for a vector")
    width: int = Field(description="columns of cells in the maps")
    receptive_field: int | None
    checks: Checks
    top: tuple[MeanChannel, ...] = Field(
        description="channels of the highest mean attributions over all images, descending"
    )
    bottom: tuple[MeanChannel, ...] = Field(
        description="channels of the lowest mean attributions over all images, ascending"
    )
    sprites: Sheet | None = Field(default=None, description="sprites of the channels in the report")
    group_sprites: Sheet | None = None
    explained_variance: float | None = Field(
        default=None, description="share of the squared activations that the groups explain"
    )
    groups: tuple[Group, ...] = ()
    numbers: str = Field(
        description="file with the layer's LayerNumbers; path relative to the report's folder"
    )


class GroupFlow(Part):
    """The attribution of a layer's groups through the next layer's groups.

    It is a mean over up to 64 of the shown images.
    """

    layer: str
    next_layer: str
    attribution: tuple[tuple[float, ...], ...] = Field(
        description="[group of layer, group of next_layer]"
    )


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
        method = (
            f"integrated gradients of {self.spec.steps} steps"
            if self.spec.method == "integrated"
            else "gradient times activation"
        )
        return f"{target}{over}, by {method}"

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


class FoundGroups(Part):
    """The neuron groups of a layer."""

    directions: tuple[tuple[float, ...], ...] = Field(description="unit vectors, [group, channel]")
    attribution: tuple[float, ...] = Field(description="by group, mean over the shown images")
    by_class: dict[int, tuple[float, ...]] = Field(
        description="by predicted class and group, mean over the shown images of that class"
    )
    explained: float = Field(description="share of the squared activations that the groups explain")


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
    seconds: float
    versions: Versions
