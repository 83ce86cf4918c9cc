"""Examine the shown channels and classes of a model, in a device's process."""

from collections.abc import Mapping
from dataclasses import dataclass

from diamond_cutter.tasks.compare_report.job import Choice, CompareJob, Examined, Labels
from diamond_cutter.tasks.features.locating import Place, highest_positions
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.photos.image_set import FoundImage


@dataclass(frozen=True)
class ExaminingJob:
    """The channels of a model to locate in images, and the classes to explain.

    places: layers and channels with the numbers of images.
    layer: the layer whose contributions are measured, if any.
    count: number of channels that are shown of each class.
    classes: the images of each label, each with its class.
    images: by number.
    """

    bucket: str
    model: str
    places: tuple[Place, ...]
    layer: str | None
    count: int
    classes: Labels
    images: Mapping[int, FoundImage]


def examining_job(job: CompareJob, choice: Choice, side: int) -> ExaminingJob:
    """Return what is examined of the first model (side 0) or the second one."""
    places = tuple(
        (layer, channel, number)
        for shown in choice.seen
        for layer in ((shown.pair.first, shown.pair.second)[side],)
        for channel, numbers in shown.examples[side].items()
        for number in numbers
    )
    contributing, classes = choice.contributing, choice.classes[side]
    numbers = {number for _, _, number in places}
    numbers |= {number for of_label in classes.values() for number, _ in of_label}
    return ExaminingJob(
        bucket=job.bucket,
        model=job.models[side].card.key,
        places=places,
        layer=(contributing.first, contributing.second)[side] if contributing else None,
        count=job.spec.channels,
        classes=classes,
        images={number: job.numbered[number] for number in sorted(numbers)},
    )


def examine(job: ExaminingJob) -> Examined:
    """Locate the channels and measure the contributions, in this process."""
    from diamond_cutter.tasks.comparing.contributions import class_contributions

    bundle = read_bundle(job.bucket, job.model)
    positions = highest_positions(bundle, job.places, job.images)
    if job.layer is None or not job.classes:
        return Examined(positions)
    found = class_contributions(bundle, job.layer, job.classes, job.images)
    return Examined(positions, {name: each.leading(job.count) for name, each in found.items()})
