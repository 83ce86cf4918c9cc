"""Checks the preprocessing of a model on labelled images: for `models check`, and in reports."""

import numpy as np
from pydantic import Field

from diamond_cutter.flows.attribution_request import AttributionRun
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.quantities import share, skipped_in_words
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.catalogue import is_known
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.attribution.label_classes import NO_CLASS
from diamond_cutter.tasks.checking.checking import check_images
from diamond_cutter.tasks.checking.drawing import (
    draw,
    labelled_card,
    no_labelled_image,
)
from diamond_cutter.tasks.checking.task import check_preprocessing
from diamond_cutter.tasks.checking.verdict import (
    LEAST_IMAGES,
    PreprocessingCheck,
    TriedPreprocessing,
    chance_level,
    is_near_chance,
)
from diamond_cutter.tasks.comparing.accuracy import share_of
from diamond_cutter.tasks.devices import DeviceSlots, visible_devices
from diamond_cutter.tasks.importing.stored import find_model, find_or_import
from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.reporting.contents import (
    PreprocessingNote,
    RefusedImage,
)
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums

_TIMEOUT_S = 1800.0
# A report checks fewer images than the command, so that it takes little longer.
_IMAGES_OF_A_REPORT = 100
_RIGHT_ENOUGH = 0.9


class ModelCheck(FrozenModel):
    """The result of `models check`."""

    check: PreprocessingCheck
    dataset: str
    refused: tuple[RefusedImage, ...] = Field(description="drawn images that are unreadable")

    def in_words(self) -> list[str]:
        """Return the verdict as lines of text."""
        refused = [(bad.name, bad.reason) for bad in self.refused]
        return [self.check.in_words(), *([skipped_in_words(refused)] if refused else [])]

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return the head and the rows of a table of the preprocessings."""
        head = ("options of models add", "right", "95 % interval", "p", "values at the input")
        check = self.check
        return head, [_row(each) for each in (check.own, *check.others)]


def _row(tried: TriedPreprocessing) -> tuple[str, ...]:
    accuracy = tried.accuracy
    return (
        tried.options,
        share(accuracy.share),
        f"{share(accuracy.low)} to {share(accuracy.high)}",
        "the model's own" if tried.test is None else f"{tried.test.p_value:.2g}",
        tried.values,
    )


def check_model(bucket_url: str, name: str, folder: str, most_images: int, seed: int) -> ModelCheck:
    """Compare the accuracy of a model under its own and other preprocessings.

    Args:
        bucket_url: of the model.
        name: of the model.
        folder: a path or URL of labelled images.
        most_images: images to draw.
        seed: of the draw.

    Raises:
        ModelError: the model is unknown, unusable, or no classifier.
        BadPhotos: no image has a label that is a class of the model, or none is readable.
    """
    found = find_images(folder)
    with DeviceSlots(visible_devices()) as slots:
        card = find_model(open_bucket(bucket_url), name)
        if card is None:
            with doing(f"importing {name}"):
                card = slots.run(_import_card, bucket_url, name, timeout_s=_TIMEOUT_S)
        card.check_logits()
        card = labelled_card(card, found.images)
        images = draw(card, found.images, most_images, seed)
        if not images:
            raise no_labelled_image(card, found.images, folder)
        with Progress("images", len(images)) as progress:
            check, refused = check_images(
                bucket_url,
                name,
                card,
                images,
                slots,
                _TIMEOUT_S,
                progress.of_part("checking images", len(images)),
            )
    if check is None:
        first, reason = next(iter(refused.items()))
        raise BadPhotos(
            f"all {len(images)} labelled images in {folder} are unreadable. The first is "
            f"{first!r}: {reason}."
        )
    bad = tuple(RefusedImage(name=each, reason=reason) for each, reason in sorted(refused.items()))
    return ModelCheck(check=check, dataset=found.name, refused=bad)


def _import_card(bucket_url: str, name: str) -> ModelCard:
    return find_or_import(bucket_url, name).card


def preprocessing_note(
    run: AttributionRun, sums: DatasetSums, slots: DeviceSlots
) -> PreprocessingNote | None:
    """Return what the labels of a report's images say of the model's preprocessing.

    Other preprocessings are tried only for users' own models, and only if one of them could be much
    better.

    Returns:
        None for images without labels.
    """
    if run.images.labels is None:
        return None
    card, known = run.card, [line for line in sums.images if line.label_class != NO_CLASS]
    if not known:
        return PreprocessingNote(
            text="The preprocessing of the model was not checked: no label is a class of the model."
        )
    if len(known) < LEAST_IMAGES:
        return PreprocessingNote(
            text="The preprocessing of the model was not checked: expected at least "
            f"{LEAST_IMAGES} images with the label of a class, found {len(known)}."
        )
    labels = np.array([line.label_class for line in known])
    predicted = np.array([line.predicted for line in known])
    accuracy = share_of(int((labels == predicted).sum()), len(known))
    if accuracy.share < _RIGHT_ENOUGH and not is_known(card.name):
        images = draw(card, run.images.images, _IMAGES_OF_A_REPORT, seed=0)
        timeout_s = run.request.timeout_s
        with doing("checking the preprocessing"):
            check = check_preprocessing(run.request.bucket, card, images, slots, timeout_s)
        if check is not None and not check.is_fine:
            return PreprocessingNote(text=_capital(check.in_words()), warns=True)
    chance = chance_level(labels, predicted, card.check_logits().channels)
    if is_near_chance(accuracy, chance):
        return PreprocessingNote(
            text=f"The accuracy is near chance: {share(accuracy.share)} of {len(known):,} images "
            f"are right, and {share(chance)} would be right by chance. The labels may be in "
            "another order than the model's classes.",
            warns=True,
        )
    return PreprocessingNote(text="The accuracy gives no sign of a wrong preprocessing.")


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
