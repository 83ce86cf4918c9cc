"""Choose the images of a comparison, and read what both models say of them."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diamond_cutter.tasks.attribution.label_classes import NO_CLASS, label_class
from diamond_cutter.tasks.comparing.accuracy import Predictions
from diamond_cutter.tasks.comparing.spec import (
    LEAST_IMAGES,
    MOST_IMAGES,
    PairedModel,
    SplitChoice,
)
from diamond_cutter.tasks.features.stored import FeatureSet
from diamond_cutter.tasks.photos.image_set import BadPhotos, FoundImage, ImageSet
from diamond_cutter.tasks.reporting.choosing import evenly


@dataclass(frozen=True)
class ComparedImages:
    """The images that two models are compared on.

    measured: numbers of the images whose features are compared, ascending.
    tested: numbers of the images that the accuracy is measured on, ascending.
    copies: number of images that equal an earlier one, pixel for pixel. They are in neither.
    split: the part of the dataset that `tested` is; `all` without a split.
    """

    measured: tuple[int, ...]
    tested: tuple[int, ...]
    copies: int
    split: SplitChoice

    @property
    def digest(self) -> str:
        """Return a hash of the measured images."""
        return hashlib.sha256(",".join(map(str, self.measured)).encode()).hexdigest()[:16]


def numbered(images: ImageSet) -> tuple[FoundImage, ...]:
    """Return the images such that the position of an image is its number.

    A search for a cut numbers the labelled images. They come first here, so that both share the
    features in a bucket.
    """
    labelled = [image for image in images.images if image.label]
    return (*labelled, *(image for image in images.images if not image.label))


def check_count(images: int, place: str) -> None:
    """Check that there are enough images.

    Raises:
        BadPhotos: there are fewer than 10.
    """
    if images < LEAST_IMAGES:
        raise BadPhotos(
            f"the images in {place} are too few to compare models: expected at least "
            f"{LEAST_IMAGES} readable, different images, because correlations over fewer say "
            f"nothing, found {images}. Add images."
        )


def check_split(images: Sequence[FoundImage], split: SplitChoice, place: str) -> None:
    """Check that the requested part of the dataset exists.

    Raises:
        BadPhotos: the images are not divided into training and test images.
    """
    if split in ("train", "test") and not any(image.split == split for image in images):
        raise BadPhotos(
            f"the images in {place} have no {split} part: expected folders train/ and test/, or a "
            "labels.csv with the column split. Omit --split."
        )


def compared_images(
    images: Sequence[FoundImage],
    digests: Mapping[int, str],
    split: SplitChoice,
    place: str,
    unseen: Collection[str] | None = None,
) -> ComparedImages:
    """Choose the images of a comparison; of equal images, the first one counts.

    Args:
        images: all images; the position of an image is its number.
        digests: a hash of the pixels of each readable image, by number.
        split: the requested part for the accuracy.
        place: where the user has the images.
        unseen: names of the images that the trainings of the models kept for their tests, if they
            are known. With the split `auto`, the accuracy is measured on these.

    Raises:
        BadPhotos: there are too few images.
    """
    first_of: dict[str, int] = {}
    for number in sorted(digests):
        first_of.setdefault(digests[number], number)
    different = sorted(first_of.values())
    check_count(len(different), place)
    divided = any(image.split == "test" for image in images)
    part: SplitChoice = split if split != "auto" else "test" if divided else "all"
    tested = _part(images, digests, part)
    if split == "auto" and unseen:
        part, tested = "test", [number for number in different if images[number].name in unseen]
    return ComparedImages(
        measured=tuple(evenly(different, MOST_IMAGES)),
        tested=tuple(tested),
        copies=len(digests) - len(different),
        split=part,
    )


def _part(images: Sequence[FoundImage], digests: Mapping[int, str], part: SplitChoice) -> list[int]:
    """Return the different images of a part; a copy of a training image is no test."""
    seen = {
        digest
        for number, digest in digests.items()
        if part == "test" and images[number].split != "test"
    }
    found = list[int]()
    for number in sorted(digests):
        inside = part == "all" or images[number].split == part
        if inside and digests[number] not in seen:
            seen.add(digests[number])
            found.append(number)
    return found


def predictions_of(
    model: PairedModel,
    outputs: FeatureSet | None,
    images: Sequence[FoundImage],
    tested: Sequence[int],
) -> Predictions | None:
    """Return what a model says of the images whose labels are classes of it; None without any.

    Args:
        model: the model.
        outputs: its logits, as features.
        images: all images; the position of an image is its number.
        tested: the numbers of the images that the accuracy is measured on.
    """
    if outputs is None or model.outputs is None:
        return None
    classes = {number: label_class(model.card, images[number]) for number in tested}
    known = [number for number in tested if classes[number] != NO_CLASS]
    if not known:
        return None
    predicted = outputs.read(model.outputs.layers[0], known).argmax(axis=1).astype(np.int64)
    truth = np.array([classes[number] for number in known])
    names = tuple(
        images[number].label or model.card.class_label(classes[number]).name for number in known
    )
    return Predictions(np.array(known), names, predicted, predicted == truth)


def images_of_labels(
    model: PairedModel, images: Sequence[FoundImage], numbers: Sequence[int]
) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return the number and the class of each image whose label the model knows, by label.

    Images of one label have several classes if labels.csv names a class for each image.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for number in numbers:
        known, name = label_class(model.card, images[number]), images[number].label
        if known == NO_CLASS:
            continue
        key = name or model.card.class_label(known).name
        found.setdefault(key, []).append((number, known))
    return {name: tuple(chosen) for name, chosen in found.items()}
