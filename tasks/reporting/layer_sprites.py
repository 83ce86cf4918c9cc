"""The sprites of a layer in a report: their sheets, and the neuron groups that have sprites."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.records import Flag
from diamond_cutter.storage.sets.sprite_set import SpritePlace
from diamond_cutter.tasks.reporting.layer_contents import FoundGroups, Group, Sheet, short
from diamond_cutter.tasks.reporting.pictures import SPRITES_OF_A_FILE, sheet_columns, sprite_sheet
from diamond_cutter.tasks.reporting.stored import ReportFiles

_GROUP_CHANNELS = 12


@dataclass(frozen=True)
class LayerSprites:
    """The sprites of a layer in the bucket, by channel, and the sprites of its groups."""

    channels: Mapping[int, SpritePlace]
    groups: Mapping[int, SpritePlace]

    def flags(self, channel: int) -> tuple[Flag, ...]:
        """Return the flags of a channel's sprite, if there is one."""
        return _flags(self.channels, channel)

    def group_flags(self, group: int) -> tuple[Flag, ...]:
        """Return the flags of a group's sprite, if there is one."""
        return _flags(self.groups, group)


def sprites_in_sheet(
    bucket: Bucket,
    files: ReportFiles,
    layer: LayerCard,
    name: str,
    places: Mapping[int, SpritePlace],
    drawn: Sequence[int],
) -> Sheet | None:
    """Write a sheet with the sprites at `places[number]`, one cell for each number in `drawn`."""
    if not drawn:
        return None
    columns, names = sheet_columns(len(drawn), SPRITES_OF_A_FILE), []
    for start in range(0, len(drawn), SPRITES_OF_A_FILE):
        part = [places[number] for number in drawn[start : start + SPRITES_OF_A_FILE]]
        data, cell_px = sprite_sheet(bucket, part, columns)
        names.append(files.layer(layer.name, name, data, "webp"))
    return Sheet(
        file=names[0],
        columns=columns,
        cell_px=cell_px,
        cells=SPRITES_OF_A_FILE if len(names) > 1 else None,
        more=tuple(names[1:]),
    )


def layer_groups(
    bucket: Bucket,
    layer: LayerCard,
    found: FoundGroups | None,
    sprites: LayerSprites,
    files: ReportFiles,
) -> tuple[tuple[Group, ...], Sheet | None]:
    """Return a layer's groups, and the sheet of their sprites."""
    if found is None:
        return (), None
    drawn = sorted(sprites.groups)
    sheet = sprites_in_sheet(bucket, files, layer, "groups", sprites.groups, drawn)
    cells = {number: cell for cell, number in enumerate(drawn)}
    return tuple(
        _group(found, number, cells.get(number), sprites.group_flags(number))
        for number in range(len(found.directions))
    ), sheet


def _flags(places: Mapping[int, SpritePlace], number: int) -> tuple[Flag, ...]:
    return places[number].scores.flags if number in places else ()


def _group(found: FoundGroups, number: int, sprite: int | None, flags: tuple[Flag, ...]) -> Group:
    direction = np.array(found.directions[number])
    strongest = np.argsort(-np.abs(direction), kind="stable")[:_GROUP_CHANNELS]
    by_class = sorted(
        ((key, values[number]) for key, values in found.by_class.items()),
        key=lambda pair: (-abs(pair[1]), pair[0]),
    )
    return Group(
        number=number,
        channels=tuple(map(int, strongest)),
        weights=tuple(short(direction[channel]) for channel in strongest),
        attribution=found.attribution[number],
        by_class=tuple(by_class[:_GROUP_CHANNELS]),
        sprite=sprite,
        flags=flags,
    )
