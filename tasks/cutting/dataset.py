"""The labelled images of a search for a cut: classes, copies, and the division for choosing."""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diamond_cutter.tasks.features.spec import TEST_SHARE, CutSpec
from diamond_cutter.tasks.photos.image_set import BadImage, BadPhotos, FoundImage, ImageSet

NO_LABEL = "it has no label"


@dataclass(frozen=True)
class Dataset:
    """Readable images with labels, divided into those for choosing and those for the test.

    classes: the labels, sorted.
    numbers: the images' numbers in the folder, int64 `[image]`, ascending.
    labels: the index of each image's class, int64 `[image]`.
    groups: int64 `[image]`; images with equal pixels have equal groups.
    chosen_on: bool `[image]`; true for the images that scores are computed on.
    tested_on: bool `[image]`; true for the images that no choice sees.
    given_split: whether the dataset came with its own split.
    """

    classes: tuple[str, ...]
    numbers: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    chosen_on: npt.NDArray[np.bool_]
    tested_on: npt.NDArray[np.bool_]
    given_split: bool

    @property
    def copies(self) -> int:
        """Return the number of images that equal an earlier image, pixel for pixel."""
        return len(self.groups) - len(np.unique(self.groups))

    @functools.cached_property
    def contradicting(self) -> int:
        """Return the number of images whose copy has another label."""
        pairs = np.unique(np.stack([self.groups, self.labels]), axis=1)
        groups, labels = np.unique(pairs[0], return_counts=True)
        return int(np.isin(self.groups, groups[labels > 1]).sum())

    @functools.cached_property
    def division(self) -> str:
        """Return a hash of the images, their classes and how they are divided.

        Scores of another division are not those of this dataset.
        """
        digest = hashlib.sha256("\n".join(self.classes).encode())
        for values in (self.numbers, self.labels, self.groups, self.chosen_on, self.tested_on):
            digest.update(values.tobytes())
        return digest.hexdigest()[:16]

    def part(self, mask: npt.NDArray[np.bool_]) -> "Part":
        """Return the images of a part of the dataset."""
        return Part(self.numbers[mask], self.labels[mask], self.groups[mask])

    @property
    def choosing(self) -> "Part":
        """Return the images that scores are computed on."""
        return self.part(self.chosen_on)

    @property
    def test(self) -> "Part":
        """Return the images that no choice sees."""
        return self.part(self.tested_on)


@dataclass(frozen=True)
class Part:
    """Images of a dataset; arrays as in `Dataset`."""

    numbers: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)


def labelled_images(images: ImageSet, place: str) -> tuple[tuple[FoundImage, ...], list[BadImage]]:
    """Return the images that have a label, and the others with a reason.

    Raises:
        BadPhotos: the folder has no labels, or fewer than two classes.
    """
    if images.labels is None:
        raise BadPhotos(
            f"the images in {place} have no labels: expected one folder for each class, or a "
            "labels.csv with the columns file and label."
        )
    labelled = tuple(image for image in images.images if image.label)
    classes = sorted({image.label for image in labelled if image.label})
    if len(classes) < 2:
        found = f"one, {classes[0]!r}" if classes else "none"
        raise BadPhotos(
            f"the images in {place} cannot be told apart: expected at least two classes, found "
            f"{found}. Add a folder with images of another class."
        )
    unlabelled = [BadImage(image.name, NO_LABEL) for image in images.images if not image.label]
    return labelled, unlabelled


def check_class_sizes(
    images: Sequence[FoundImage], folds: int, refused: Mapping[str, str] | None = None
) -> None:
    """Check that each class has enough images to be divided into folds.

    Args:
        images: the labelled images.
        folds: parts of the cross-validation.
        refused: the reason for each unreadable image, by name; None before any was read.

    Raises:
        BadPhotos: a class has too few images, or the parts of a given split differ in classes.
    """
    lost, has_split = refused or {}, _has_split(images)
    by_class: dict[str, list[FoundImage]] = {}
    for image in images:
        by_class.setdefault(image.label or "", []).append(image)
    for name, found in sorted(by_class.items()):
        sound = [image for image in found if image.name not in lost]
        if not sound:
            first = found[0].name
            raise BadPhotos(
                f"class {name!r} has no readable image ({first!r}: {lost[first]}). Replace its "
                "images, or remove the class."
            )
        tested = sum(image.split == "test" for image in sound)
        if has_split and tested in (0, len(sound)):
            part = "training" if tested else "test"
            raise BadPhotos(
                f"class {name!r} has no readable image in the {part} part of the split. Add "
                "images, or remove the class."
            )
        chosen = len(sound) - (tested if has_split else _test_count(len(sound), TEST_SHARE))
        if chosen < folds:
            raise BadPhotos(
                f"class {name!r} has too few images: expected at least {folds} for {folds} folds, "
                f"beside those for the test, found {chosen}. Add images, or choose fewer --folds."
            )


def _has_split(images: Sequence[FoundImage]) -> bool:
    return any(image.split == "test" for image in images)


def make_dataset(
    images: Sequence[FoundImage], digests: Mapping[int, str], spec: CutSpec
) -> Dataset:
    """Divide readable images; copies always stay together, so that no score is inflated by them.

    Args:
        images: the labelled images; the position of an image is its number.
        digests: a hash of the pixels of each readable image, by number.
        spec: the seed, the share of the test and the number of images to score.

    Raises:
        BadPhotos: copies leave a class without images for choosing or for the test.
    """
    numbers = np.array(sorted(digests), np.int64)
    names = [images[number].label or "" for number in numbers]
    classes = tuple(sorted(set(names)))
    labels = np.array([classes.index(name) for name in names], np.int64)
    first_of: dict[str, int] = {}
    groups = np.array(
        [first_of.setdefault(digests[number], int(number)) for number in numbers], np.int64
    )
    given = _has_split(images)
    if given:
        tested = np.array([images[number].split == "test" for number in numbers])
        # An image of the training part is no test of itself.
        tested &= ~np.isin(groups, groups[~tested])
        chosen = np.array([images[number].split != "test" for number in numbers])
    else:
        tested = _test_part(labels, groups, spec)
        chosen = ~tested
    chosen &= _sample(labels, groups, chosen, spec)
    _check_copies(classes, labels, groups, chosen, tested, spec.folds)
    return Dataset(classes, numbers, labels, groups, chosen, tested, given)


def _check_copies(
    classes: tuple[str, ...],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.bool_],
    tested: npt.NDArray[np.bool_],
    folds: int,
) -> None:
    """Check that each class has different images in each fold and in the test."""
    for number, name in enumerate(classes):
        different = len(np.unique(groups[chosen & (labels == number)]))
        if different < folds:
            raise BadPhotos(
                f"class {name!r} has too few different images: expected at least {folds} for "
                f"{folds} folds, found {different}, because copies count once. Add images, or "
                "choose fewer --folds."
            )
        if not (tested & (labels == number)).any():
            raise BadPhotos(
                f"class {name!r} has no image in the test that is no copy of a training image. "
                "Add images, or remove the class."
            )


def _test_count(images: int, share: float) -> int:
    return max(1, round(share * images))


def _test_part(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], spec: CutSpec
) -> npt.NDArray[np.bool_]:
    """Return a share of each class, at least one image."""
    tested = np.zeros(len(labels), bool)
    counts = np.bincount(labels)
    for label, members in _groups_by_class(labels, groups, spec.seed):
        missing = _test_count(int(counts[label]), spec.test_share)
        for places in members:
            if missing <= 0:
                break
            tested[places] = True
            missing -= int((labels[places] == label).sum())
    return tested


def _sample(
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    mask: npt.NDArray[np.bool_],
    spec: CutSpec,
) -> npt.NDArray[np.bool_]:
    """Return a stratified sample of the images in the mask, at most `spec.most_images`."""
    if mask.sum() <= spec.most_images:
        return mask
    places = np.flatnonzero(mask)
    generator = np.random.default_rng(spec.seed)
    share = spec.most_images / len(places)
    kept = np.zeros(len(labels), bool)
    for number, count in sorted(Counter(labels[places].tolist()).items()):
        of_class = places[labels[places] == number]
        # A class that would be too small for the folds is kept large enough for them.
        wanted = min(count, max(spec.folds, int(share * count)))
        kept[generator.permutation(of_class)[:wanted]] = True
    return kept


def stratified_folds(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], folds: int, seed: int
) -> list[npt.NDArray[np.int64]]:
    """Return the test images of each fold; each fold has about the same share of each class.

    A group goes to the fold with the fewest images of its class, and of these to the fold with the
    fewest images. A class with as many groups as folds is therefore in each fold.

    Args:
        labels: int `[image]`.
        groups: int `[image]`; images of a group are in the same fold.
        folds: number of folds.
        seed: of the division.
    """
    fold_of = np.empty(len(labels), np.int64)
    sizes = np.zeros(folds, np.int64)
    for _, members in _groups_by_class(labels, groups, seed):
        of_class = np.zeros(folds, np.int64)
        # Large groups first, so that the small ones even out the rest.
        for places in sorted(members, key=len, reverse=True):
            fold = int(np.lexsort((sizes, of_class))[0])
            fold_of[places] = fold
            of_class[fold] += len(places)
            sizes[fold] += len(places)
    return [np.flatnonzero(fold_of == fold) for fold in range(folds)]


def _groups_by_class(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], seed: int
) -> Iterator[tuple[int, list[npt.NDArray[np.int64]]]]:
    """Yield each class and the places of its groups, in random order.

    A group with several labels belongs to the class of its first image.
    """
    generator = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order][0] - 1))
    members = np.split(order, starts[1:])
    first_labels = np.array([labels[places[0]] for places in members])
    for label in np.unique(labels):
        of_class = np.flatnonzero(first_labels == label)
        yield int(label), [members[place] for place in generator.permutation(of_class)]
