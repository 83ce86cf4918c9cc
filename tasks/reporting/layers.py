"""Build the part of a report about one layer: its numbers, sprites, patches and neuron groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.records import Flag
from diamond_cutter.storage.sets.sprite_set import SpritePlace
from diamond_cutter.tasks.attribution.spec import AttributionSpec, cell_grid
from diamond_cutter.tasks.attribution.totals import ALL, LayerTotals
from diamond_cutter.tasks.attribution.words import describe
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.choosing import TOP, TOP_OF_A_SET, shown_sets, top_and_bottom
from diamond_cutter.tasks.reporting.contents import DetailsRecord
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums
from diamond_cutter.tasks.reporting.evidence import LayerEvidence
from diamond_cutter.tasks.reporting.layer_contents import (
    FoundGroups,
    Group,
    MeanChannel,
    ReportedLayer,
    Sheet,
    short,
)
from diamond_cutter.tasks.reporting.page_data import (
    ChannelNumbers,
    ChannelPatches,
    LayerNumbers,
    SetNumbers,
)
from diamond_cutter.tasks.reporting.pages import layer_name
from diamond_cutter.tasks.reporting.patches import channel_patches, patch_sheet
from diamond_cutter.tasks.reporting.pictures import (
    SPRITES_OF_A_FILE,
    PatchCutter,
    sheet_columns,
    sprite_sheet,
)
from diamond_cutter.tasks.reporting.stored import ReportFiles

_GROUP_CHANNELS = 12
_MOST_CELL_CHANNELS = 2048


@dataclass(frozen=True)
class LayerSprites:
    """The sprites of a layer in the bucket, by channel, and the sprites of its groups."""

    channels: Mapping[int, SpritePlace]
    groups: Mapping[int, SpritePlace]

    def flags(self, channel: int) -> tuple[Flag, ...]:
        """Return the flags of a channel's sprite, if there is one."""
        return _flags(self.channels, channel)


@dataclass(frozen=True)
class Material:
    """The sources of a report, except the images.

    names: the names of the images by number.
    """

    bucket: Bucket
    card: ModelCard
    spec: AttributionSpec
    sums: DatasetSums
    details: DetailsRecord
    names: Mapping[int, str]


class BuiltLayer(NamedTuple):
    """A layer's part of report.json, and its sprites.

    cells: cells in the sheet of sprites, by channel.
    flags: of all sprites in the report, those of groups included.
    """

    part: ReportedLayer
    cells: Mapping[int, int]
    flags: Sequence[tuple[Flag, ...]]


def report_layer(
    material: Material,
    layer: LayerCard,
    sprites: LayerSprites,
    cutter: PatchCutter,
    files: ReportFiles,
) -> BuiltLayer:
    """Write the files of a layer's page, and return its part of the report."""
    bucket, details = material.bucket, material.details
    sets = _set_numbers(material, layer)
    channels = _channels(sets, details.cells.get(layer.name, {}))
    drawn = [channel for channel in channels if channel in sprites.channels]
    if len(drawn) > SPRITES_OF_A_FILE:
        # The first file holds what the first pages show.
        drawn = _strongest_first(sets, drawn)
    cells = {channel: cell for cell, channel in enumerate(drawn)}
    sheet = _sprite_sheet(bucket, files, layer, "sprites", sprites.channels, drawn)
    shown = _layer_numbers(material, layer, cutter, files, sets, channels, sprites, cells)
    found, (rows, columns) = details.groups.get(layer.name), cell_grid(layer)
    groups, group_sheet = _groups(bucket, layer, found, sprites, files)
    mean = material.sums.totals.sets[ALL][layer.name].mean
    part = ReportedLayer(
        name=layer.name,
        kind=layer.kind,
        channels=layer.channels,
        height=rows,
        width=columns,
        receptive_field=layer.receptive_field,
        method=material.spec.method_of(layer.name),
        checks=details.checks[layer.name],
        top=_means(mean, sets[0].top, sprites, cells),
        bottom=_means(mean, sets[0].bottom, sprites, cells),
        sprites=sheet,
        group_sprites=group_sheet,
        explained_variance=found.explained if found else None,
        groups=groups,
        numbers=files.layer(layer.name, "numbers", as_script(layer_name(layer.name), shown), "js"),
    )
    flags = [*map(sprites.flags, drawn), *(_flags(sprites.groups, one) for one in sprites.groups)]
    return BuiltLayer(part, cells, flags)


def _layer_numbers(
    material: Material,
    layer: LayerCard,
    cutter: PatchCutter,
    files: ReportFiles,
    sets: tuple[SetNumbers, ...],
    channels: Sequence[int],
    sprites: LayerSprites,
    cells: Mapping[int, int],
) -> LayerNumbers:
    """Write the sheet of patches, and return the numbers; `cells` are those of the sprites."""
    # Channels outside all sets and without a sprite appear only in cells, as one small picture.
    complete = _channels_of_sets(sets).union(cells)
    patches, wanted = channel_patches(
        material.sums.examples[layer.name],
        material.names,
        _strongest_first(sets, channels),
        complete,
    )
    return LayerNumbers(
        patches=patch_sheet(layer, cutter, files, wanted),
        channels=_channel_numbers(material, layer, sprites, cells, patches),
        sets=sets,
    )


def _set_numbers(material: Material, layer: LayerCard) -> tuple[SetNumbers, ...]:
    """Return a layer's numbers over each set of images that the report shows."""
    totals = material.sums.totals
    return tuple(
        _numbers_of_set(totals.sets[name][layer.name], TOP if name == ALL else TOP_OF_A_SET)
        for name in shown_sets(totals)
    )


def _numbers_of_set(totals: LayerTotals, count: int) -> SetNumbers:
    mean, spread = totals.mean, totals.spread
    top, bottom = top_and_bottom(mean, count)
    return SetNumbers(
        mean=tuple(map(short, mean)),
        spread=tuple(short(spread[channel]) for channel in [*top, *bottom]),
        share=tuple(map(short, [*totals.positive_share[top], *totals.negative_share[bottom]])),
        top=tuple(top),
        bottom=tuple(bottom),
    )


def _channels(sets: Sequence[SetNumbers], cells: Mapping[int, int]) -> list[int]:
    """Return the channels shown anywhere, in sets or in cells of images, in ascending order."""
    in_cells = sorted(cells, key=lambda channel: (-cells[channel], channel))
    return sorted(_channels_of_sets(sets).union(in_cells[:_MOST_CELL_CHANNELS]))


def _strongest_first(sets: Sequence[SetNumbers], channels: Sequence[int]) -> list[int]:
    """Return the channels of the sets in the order of the sets, then all others."""
    first = [channel for found in sets for channel in (*found.top, *found.bottom)]
    known = set(channels)
    return list(dict.fromkeys([*(one for one in first if one in known), *channels]))


def _channels_of_sets(sets: Sequence[SetNumbers]) -> set[int]:
    return {channel for found in sets for channel in (*found.top, *found.bottom)}


def _channel_numbers(
    material: Material,
    layer: LayerCard,
    sprites: LayerSprites,
    cells: Mapping[int, int],
    patches: Mapping[int, ChannelPatches],
) -> tuple[ChannelNumbers, ...]:
    """Return the numbers of each channel that has patches; `cells` are those of the sprites."""
    card, highest = material.card, material.sums.highest(layer.name)
    evidence = LayerEvidence(card, material.spec, material.sums.totals, layer.name, highest)
    labels = card.channel_names(layer)
    return tuple(
        ChannelNumbers(
            channel=channel,
            sprite=cells.get(channel),
            flags=sprites.flags(channel) if channel in cells else (),
            label=labels[channel] if channel < len(labels) else "",
            words=describe(evidence.of(channel)),
            highest=short(highest[channel]),
            classes=evidence.selective(channel),
            patches=found,
        )
        for channel, found in sorted(patches.items())
    )


def _means(
    mean: npt.NDArray[np.float64],
    channels: Sequence[int],
    sprites: LayerSprites,
    cells: Mapping[int, int],
) -> tuple[MeanChannel, ...]:
    return tuple(
        MeanChannel(
            channel=channel,
            attribution=short(mean[channel]),
            sprite=cells.get(channel),
            flags=sprites.flags(channel) if channel in cells else (),
        )
        for channel in channels
    )


def _sprite_sheet(
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


def _groups(
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
    sheet = _sprite_sheet(bucket, files, layer, "groups", sprites.groups, drawn)
    cells = {number: cell for cell, number in enumerate(drawn)}
    return tuple(
        _group(found, number, cells.get(number), _flags(sprites.groups, number))
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
