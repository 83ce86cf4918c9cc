"""Write the pictures of the channels that a comparison shows."""

from collections.abc import Mapping

from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.sprite_set import SpritePlace
from diamond_cutter.tasks.compare_report.contents import (
    ChannelPair,
    ClassContributors,
    Contribution,
    SeenChannel,
    SeenPair,
)
from diamond_cutter.tasks.compare_report.job import Choice, CompareJob, Examined
from diamond_cutter.tasks.comparing.similar_layers import read_channels
from diamond_cutter.tasks.reporting.channel_pictures import patches_file, sprite_file
from diamond_cutter.tasks.reporting.pictures import PatchCutter, sprite_places
from diamond_cutter.tasks.reporting.stored import ReportFiles

# Two channels stand side by side, also on a phone.
_PATCH_COLUMNS = 3


class ChannelCards:
    """Writes the pictures of a comparison's channels, and describes them."""

    def __init__(
        self,
        job: CompareJob,
        choice: Choice,
        examined: tuple[Examined, Examined],
        files: ReportFiles,
    ) -> None:
        self._job, self._choice, self._examined, self._files = job, choice, examined, files
        self._bucket: Bucket = open_bucket(job.bucket)
        self._table = read_channels(self._bucket, job.similar)
        images = dict(enumerate(job.numbered))
        self._cutters = [PatchCutter(model.card, images) for model in job.models]
        self._places: dict[tuple[int, str], Mapping[int, SpritePlace]] = {}

    def seen(self) -> tuple[SeenPair, ...]:
        """Return the channels that changed most, with their sprites and patches."""
        return tuple(
            SeenPair(
                first=shown.pair.first,
                second=shown.pair.second,
                channels=tuple(
                    ChannelPair(
                        correlation=correlation,
                        first=self._channel(0, shown.pair.first, one, shown.examples[0][one]),
                        second=self._channel(1, shown.pair.second, other, shown.examples[1][other]),
                    )
                    for one, other, correlation in shown.channels
                ),
            )
            for shown in self._choice.seen
        )

    def _channel(self, side: int, layer: str, channel: int, images: tuple[int, ...]) -> SeenChannel:
        positions = self._examined[side].positions
        wanted = [
            (number, positions[layer, channel, number])
            for number in images
            if (layer, channel, number) in positions
        ]
        place = self._place(side, layer, channel)
        card = self._job.models[side].card.layer(layer)
        return SeenChannel(
            channel=channel,
            mean=self._mean(side, layer, channel),
            sprite=sprite_file(self._bucket, place, layer, self._files) if place else None,
            flags=place.scores.flags if place else (),
            patches=patches_file(
                self._cutters[side], card, channel, wanted, _PATCH_COLUMNS, self._files
            )
            if wanted
            else None,
            shown=len(wanted),
        )

    def _mean(self, side: int, layer: str, channel: int) -> float:
        names = (("layer", "channel", "mean"), ("other_layer", "other_channel", "other_mean"))[side]
        found = self._table[(self._table[names[0]] == layer) & (self._table[names[1]] == channel)]
        return float(found[names[2]].iloc[0])

    def _place(self, side: int, layer: str, channel: int) -> SpritePlace | None:
        if (side, layer) not in self._places:
            key, recipe = self._job.models[side].card.key, self._job.spec.sprites[side]
            self._places[side, layer] = sprite_places(self._bucket, key, recipe, layer)
        return self._places[side, layer].get(channel)

    def contributors(self) -> tuple[ClassContributors, ...]:
        """Return the channels that contribute most to each class, in both models."""
        pair = self._choice.contributing
        if pair is None:
            return ()
        layers = (pair.first, pair.second)
        names = dict.fromkeys([*self._choice.classes[0], *self._choice.classes[1]])
        found = []
        for name in names:
            sides = [self._of_class(side, layers, name) for side in (0, 1)]
            counts = [each.leading[name].images for each in self._examined if name in each.leading]
            if counts:
                found.append(
                    ClassContributors(
                        name=name, images=max(counts), first=sides[0], second=sides[1]
                    )
                )
        return tuple(found)

    def _of_class(self, side: int, layers: tuple[str, str], name: str) -> tuple[Contribution, ...]:
        leading = self._examined[side].leading.get(name)
        if leading is None:
            return ()
        shown, counterparts = [], self._counterparts(side, layers)
        for channel, mean, half in zip(
            leading.channels, leading.means, leading.halves, strict=True
        ):
            place = self._place(side, layers[side], channel)
            shown.append(
                Contribution(
                    channel=channel,
                    value=mean,
                    half=half,
                    sprite=sprite_file(self._bucket, place, layers[side], self._files)
                    if place
                    else None,
                    counterpart=counterparts.get(channel),
                )
            )
        return tuple(shown)

    def _counterparts(self, side: int, layers: tuple[str, str]) -> dict[int, int]:
        table = self._table
        rows = table[(table["layer"] == layers[0]) & (table["other_layer"] == layers[1])]
        rows = rows[rows["other_channel"].notna()]
        first, second = rows["channel"].astype(int), rows["other_channel"].astype(int)
        pairs = zip(first, second, strict=True) if side == 0 else zip(second, first, strict=True)
        return {int(one): int(other) for one, other in pairs}
