"""The schema of a report on where to cut: its specification, and the contents of report.json."""

import hashlib

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.records import FileRef, Record
from diamond_cutter.tasks.cutting.agreement import Agreement
from diamond_cutter.tasks.cutting.diagnosis import Verdict
from diamond_cutter.tasks.cutting.together import Join
from diamond_cutter.tasks.reporting.contents import RefusedImage


class ComparisonSpec(FrozenModel):
    """All that decides a report, beside the images."""

    models: tuple[tuple[str, str], ...] = Field(
        min_length=1, description="key of each model, and of its features and scores"
    )
    train: int = Field(ge=0, description="number of heads to train")
    channels: int = Field(ge=0, description="channels shown of each class")
    sprites: str = Field(description="key of the recipe of the sprites that are shown")

    @property
    def key(self) -> str:
        """Name the report as in the bucket's keys: `cut@1a2b3c4d`."""
        return f"cut@{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"


class CutName(FrozenModel):
    """A layer of a model."""

    model: str
    layer: str


class CutRow(FrozenModel):
    """A layer of a model with all its scores and costs."""

    model: str
    layer: str
    probe: float = Field(description="cross-validated accuracy of a logistic regression")
    probe_low: float = Field(description="lower end of the 95 % interval")
    probe_high: float = Field(description="upper end of the 95 % interval")
    balanced: float = Field(description="balanced accuracy of the probe")
    knn: float = Field(description="accuracy of ten nearest neighbours")
    knn_1: float
    knn_20: float
    logme: float
    h_score: float
    total_activation: float
    effective_rank: float
    dead: float = Field(description="share of features that are the same for all images")
    imagenet: float | None = Field(description="top-1 accuracy of the model on ImageNet")
    depth: float = Field(description="share of the compared layers up to this one")
    parameters: int
    macs: int = Field(description="multiplications with weights for one image")
    ms: float = Field(description="milliseconds for one image, as measured")
    on_front: bool = Field(description="no other cut is more accurate at a lower cost")


class ComparedModelCard(FrozenModel):
    """A model of the comparison."""

    name: str
    key: str
    height: int
    width: int
    imagenet: float | None
    imagenet_source: str | None
    verdict: Verdict
    words: str = Field(description="what the accuracy over depth means; derived by rules")
    join: Join | None = Field(description="layers whose features are joined")


class TrainedCut(FrozenModel):
    """A trained head."""

    model: str
    layer: str
    accuracy: float = Field(description="share of the test images that are right")
    probe: float
    epochs: int


class ShownChannel(FrozenModel):
    """A channel that tells a class from the others."""

    channel: int
    weight: float = Field(description="weight in the probe, for one deviation of the feature")
    sprite: str | None = Field(description="path of its sprite; none if it was not rendered")
    flags: tuple[str, ...] = Field(description="of the sprite")
    patches: str | None = Field(description="path of a strip of the class's images, cropped")
    shown: int = Field(description="number of patches in the strip")


class ClassCard(FrozenModel):
    """A class of the dataset."""

    name: str
    images: int
    right_best: float = Field(description="share of its images that are right at the best cut")
    right_last: float = Field(description="share of its images that are right at the last layer")
    channels: tuple[ShownChannel, ...]


class Confused(FrozenModel):
    """Images of a class that are taken for another one."""

    label: str
    taken_for: str
    best: int = Field(description="number of images at the best cut")
    last: int = Field(description="number of images at the last layer")


class ShownImage(FrozenModel):
    """An image that only one of two cuts, or of two models, gets right."""

    name: str
    label: str
    file: str
    taken_for: str = Field(description="class that the other one takes it for")


class DataFacts(FrozenModel):
    """The images of a comparison."""

    images: int = Field(description="readable images with a label")
    scored: int = Field(description="images that scores are computed on")
    tested: int = Field(description="images that no choice has seen")
    copies: int = Field(description="images that equal an earlier one, pixel for pixel")
    contradicting: int = Field(description="images whose copy has another label")
    given_split: bool
    labels: str
    folds: int
    repeats: int
    seed: int
    pooling: str


class Figure(FrozenModel):
    """A chart, as files to download."""

    title: str
    svg: str
    csv: str


class Lead(FrozenModel):
    """The lead of the best cut over the last compared layer, as shares of the images."""

    mean: float
    low: float = Field(description="lower end of the 95 % interval")
    high: float = Field(description="upper end of the 95 % interval")


class CutContents(FrozenModel):
    """All that the page of the report shows."""

    dataset: str
    report: str
    sprites: str
    answer: str = Field(description="the answer in one sentence")
    remarks: tuple[str, ...] = Field(description="sentences that qualify the answer")
    command: str = Field(description="the command that goes on from here")
    repeat: str = Field(description="the command that made this report")
    best: CutName
    last: CutName
    lead: Lead | None = Field(
        default=None, description="none if the best cut is the last layer, and in older reports"
    )
    models: tuple[ComparedModelCard, ...]
    rows: tuple[CutRow, ...]
    trained: tuple[TrainedCut, ...]
    regret: dict[str, Agreement] = Field(description="by score: agreement with trained heads")
    facts: DataFacts
    classes: tuple[ClassCard, ...]
    confusion_best: tuple[tuple[int, ...], ...] = Field(
        description="[class, predicted]; empty with many classes"
    )
    confusion_last: tuple[tuple[int, ...], ...] = Field(
        description="[class, predicted]; empty with many classes"
    )
    confused: tuple[Confused, ...] = Field(
        description="the most frequent confusions; empty with few classes"
    )
    only_best: tuple[ShownImage, ...]
    only_best_count: int
    only_last: tuple[ShownImage, ...]
    only_last_count: int
    refused: tuple[RefusedImage, ...]
    problems: tuple[str, ...] = Field(description="layers without scores")
    figures: tuple[Figure, ...]
    table: str = Field(description="path of the table of all rows, Parquet")
    images_table: str = Field(
        description="path of a table of all images, Parquet: label, part, copy, fold, predictions"
    )
    version: str


class CutReportRecord(Record):
    """Commits a report on where to cut, written last."""

    contents: CutContents
    records: tuple[str, ...] = Field(description="keys of the records that it rests on")
    files: tuple[FileRef, ...]
    lacks: tuple[str, ...] = Field(
        default=(), description="a sentence for each part that could not be rendered"
    )
