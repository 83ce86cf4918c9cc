"""Show what a cut sees in each class: sprites of the channels that tell it from the others."""

from collections.abc import Sequence

import numpy as np

from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.sprite_set import SpritePlace
from diamond_cutter.tasks.cut_report.contents import ClassCard, ShownChannel
from diamond_cutter.tasks.cut_report.job import ComparisonJob
from diamond_cutter.tasks.cut_report.separating import SeparatingChannel
from diamond_cutter.tasks.reporting.pictures import PatchCutter, sprite_places, sprite_sheet
from diamond_cutter.tasks.reporting.stored import ReportFiles

ClassChannels = Sequence[Sequence[SeparatingChannel]]


def class_cards(
    job: ComparisonJob, channels: ClassChannels, files: ReportFiles
) -> tuple[ClassCard, ...]:
    """Write the pictures of each class's channels, and return what the report says about them."""
    bucket, layer = open_bucket(job.bucket), job.best_layer
    places = sprite_places(bucket, job.best_card.key, job.recipe, layer.name)
    cutter = PatchCutter(job.best_card, dict(enumerate(job.labelled)))
    part, comparison = job.dataset.choosing, job.comparison

    def channel(each: SeparatingChannel) -> ShownChannel:
        strip = _strip(cutter, job, each) if each.positions else None
        place = places.get(each.channel)
        return ShownChannel(
            channel=each.channel,
            weight=float(f"{each.weight:.4g}"),
            sprite=_sprite(bucket, place, layer.name, files) if place else None,
            flags=place.scores.flags if place else (),
            patches=files.layer(layer.name, f"patches-{each.channel:05d}", strip, "webp")
            if strip
            else None,
            shown=len(each.positions),
        )

    cards = []
    for number, name in enumerate(job.dataset.classes):
        of_class = part.labels == number
        best, last = (
            float(np.mean(np.array(cut.scores.probe.predictions)[of_class] == number))
            for cut in (comparison.best, comparison.last)
        )
        shown = channels[number] if number < len(channels) else ()
        cards.append(
            ClassCard(
                name=name,
                images=int(of_class.sum()),
                right_best=best,
                right_last=last,
                channels=tuple(map(channel, shown)),
            )
        )
    return tuple(cards)


def _sprite(bucket: Bucket, place: SpritePlace, layer: str, files: ReportFiles) -> str:
    picture, _, _ = sprite_sheet(bucket, [place])
    return files.layer(layer, f"sprite-{place.scores.channel:05d}", picture, "webp")


def _strip(cutter: PatchCutter, job: ComparisonJob, each: SeparatingChannel) -> bytes:
    wanted = list(zip(each.images, each.positions, strict=True))
    strip, _ = cutter.sheet(job.best_layer, wanted, columns=len(wanted))
    return strip
