"""The summary of a training of new layers, for terminals, Prefect and programs."""

from pydantic import Field

from diamond_cutter.flows.quantities import share, skipped_in_words
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.tasks.attaching.checkpoints import AttachedRecord, Epoch


class AttachSummary(FrozenModel):
    """The summary of a training of new layers."""

    name: str
    bundle: str = Field(description="name and hash of the trained model")
    model: str = Field(description="name and hash of the model that was cut")
    at: tuple[str, ...]
    layers: tuple[str, ...] = Field(description="the new convolutions")
    test_accuracy: float
    test_low: float = Field(description="lower end of its 95 % interval")
    test_high: float
    validation_accuracy: float
    epochs: int = Field(description="trained epochs of all phases")
    kept: int = Field(description="epoch whose weights were kept")
    images: tuple[int, int, int] = Field(description="for training, validation and test")
    seconds: float
    history: tuple[Epoch, ...]
    chart: str = Field(description="URL of the drawing of the history")
    remarks: tuple[str, ...]
    refused: dict[str, str] = Field(description="why images were omitted, by name")
    reused: bool = Field(description="whether the training was complete already")

    def in_words(self) -> list[str]:
        """Return the summary as lines of text."""
        train, held, test = self.images
        lines = [
            f"{self.bundle}: {share(self.test_accuracy)} of {test:,} test images are right (95 % "
            f"interval {share(self.test_low)} to {share(self.test_high)})",
            f"{train:,} images for training, {held:,} for validation; epoch {self.kept} of "
            f"{self.epochs} was kept: {share(self.validation_accuracy)} of the validation images "
            "are right",
            *self.remarks,
        ]
        if self.refused:
            lines.append(skipped_in_words(list(self.refused.items())))
        return [*lines, f"history: {self.chart}"]


def summary_of_training(
    bucket: Bucket,
    card: ModelCard,
    record: AttachedRecord,
    refused: dict[str, str],
    remarks: tuple[str, ...],
    *,
    reused: bool,
) -> AttachSummary:
    """Return the summary of a training.

    Args:
        bucket: of the training.
        card: of the trained model.
        record: of the training.
        refused: the reason for each unreadable image, by name.
        remarks: sentences about the request.
        reused: whether the training was complete already.
    """
    best = record.history[record.best]
    tensors = card.attached.convolution_tensors if card.attached else ()
    return AttachSummary(
        name=card.name,
        bundle=card.key,
        model=record.model,
        at=card.attached.at if card.attached else (),
        layers=tuple(layer.name for layer in card.layers if layer.tensor in tensors),
        test_accuracy=record.test_accuracy,
        test_low=record.test_low,
        test_high=record.test_high,
        validation_accuracy=best.validation_accuracy,
        epochs=sum(each.epoch > 0 for each in record.history),
        kept=sum(each.epoch > 0 for each in record.history[: record.best + 1]),
        images=record.images,
        seconds=record.seconds,
        history=record.history,
        chart=f"{bucket.url}/{record.chart.key}",
        remarks=(*remarks, *record.problems),
        refused=refused,
        reused=reused,
    )
