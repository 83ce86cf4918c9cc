"""Show what a cut sees in each class: sprites of the channels that tell it from the others."""

from collections.abc import Sequence

import numpy as np

from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.cut_report.contents import ClassCard, ShownChannel
from diamond_cutter.tasks.cut_report.job import ComparisonJob
from diamond_cutter.tasks.cut_report.separating import SeparatingChannel
from diamond_cutter.tasks.reporting.channel_pictures import patches_file, sprite_file
from diamond_cutter.tasks.reporting.pictures import PatchCutter, sprite_places
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
        wanted = list(zip(each.images, each.positions, strict=True)) if each.positions else []
        place = places.get(each.channel)
        return ShownChannel(
            channel=each.channel,
            weight=float(f"{each.weight:.4g}"),
            sprite=sprite_file(bucket, place, layer.name, files) if place else None,
            flags=place.scores.flags if place else (),
            patches=patches_file(cutter, layer, each.channel, wanted, len(wanted), files)
            if wanted
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
