"""Build the part of a report about one layer: its numbers, sprites, patches and neuron groups."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.records import Flag
from diamond_cutter.tasks.attribution.spec import AttributionSpec, cell_grid
from diamond_cutter.tasks.attribution.totals import ALL, LayerTotals, Totals
from diamond_cutter.tasks.attribution.words import describe
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.choosing import (
    CHANNELS_OF_A_LEADING_SET,
    TOP,
    TOP_OF_A_SET,
    leading_sets,
    shown_sets,
    top_and_bottom,
)
from diamond_cutter.tasks.reporting.contents import DetailsRecord
from diamond_cutter.tasks.reporting.dataset_sums import DatasetSums
from diamond_cutter.tasks.reporting.evidence import LayerEvidence
from diamond_cutter.tasks.reporting.layer_contents import (
    MeanChannel,
    ReportedLayer,
    SetChannels,
    short,
)
from diamond_cutter.tasks.reporting.layer_sprites import (
    LayerSprites,
    layer_groups,
    sprites_in_sheet,
)
from diamond_cutter.tasks.reporting.page_data import (
    ChannelNumbers,
    ChannelPatches,
    LayerNumbers,
    LayerSets,
    SetNumbers,
)
from diamond_cutter.tasks.reporting.pages import layer_name, sets_name
from diamond_cutter.tasks.reporting.patches import channel_patches, patch_sheet
from diamond_cutter.tasks.reporting.pictures import SPRITES_OF_A_FILE, PatchCutter
from diamond_cutter.tasks.reporting.stored import ReportFiles

_MOST_CELL_CHANNELS = 2048


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
    leading = _leading_numbers(material.sums.totals)
    drawn = _drawn([*(sets[number] for number in leading), *sets], channels, sprites)
    cells = {channel: cell for cell, channel in enumerate(drawn)}
    shown = _layer_numbers(material, layer, cutter, files, sets, channels, sprites, cells)
    found, (rows, columns) = details.groups.get(layer.name), cell_grid(layer)
    groups, group_sheet = layer_groups(bucket, layer, found, sprites, files)
    means = partial(_means, sprites=sprites, cells=cells)
    part = ReportedLayer(
        name=layer.name,
        kind=layer.kind,
        channels=layer.channels,
        height=rows,
        width=columns,
        receptive_field=layer.receptive_field,
        method=material.spec.method_of(layer.name),
        checks=details.checks[layer.name],
        top=means(sets[0].mean, sets[0].top),
        bottom=means(sets[0].mean, sets[0].bottom),
        by_set=_by_set(leading, sets, means),
        sprites=sprites_in_sheet(bucket, files, layer, "sprites", sprites.channels, drawn),
        group_sprites=group_sheet,
        explained_variance=found.explained if found else None,
        groups=groups,
        numbers=files.layer(layer.name, "numbers", as_script(layer_name(layer.name), shown), "js"),
        sets=files.layer(
            layer.name, "sets", as_script(sets_name(layer.name), LayerSets(sets=sets)), "js"
        ),
    )
    flags = [*map(sprites.flags, drawn), *map(sprites.group_flags, sprites.groups)]
    return BuiltLayer(part, cells, flags)


def _drawn(sets: Sequence[SetNumbers], channels: Sequence[int], sprites: LayerSprites) -> list[int]:
    """Return the channels that have sprites, in the order of the sheet."""
    drawn = [channel for channel in channels if channel in sprites.channels]
    # The first file holds what the first pages show.
    return _strongest_first(sets, drawn) if len(drawn) > SPRITES_OF_A_FILE else drawn


def _leading_numbers(totals: Totals) -> list[int]:
    """Return the indices, in report.json, of the sets whose channels the first page shows."""
    shown = shown_sets(totals)
    return [shown.index(name) for name in leading_sets(totals)]


def _by_set(
    leading: Sequence[int],
    sets: Sequence[SetNumbers],
    means: Callable[[Sequence[float], Sequence[int]], tuple[MeanChannel, ...]],
) -> tuple[SetChannels, ...]:
    """Return the channels that the first page shows of the leading sets."""
    return tuple(
        SetChannels(
            set=number,
            top=means(sets[number].mean, sets[number].top[:CHANNELS_OF_A_LEADING_SET]),
        )
        for number in leading
    )


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
    mean: Sequence[float],
    channels: Sequence[int],
    sprites: LayerSprites,
    cells: Mapping[int, int],
) -> tuple[MeanChannel, ...]:
    return tuple(
        MeanChannel(
            channel=channel,
            attribution=mean[channel],
            sprite=cells.get(channel),
            flags=sprites.flags(channel) if channel in cells else (),
        )
        for channel in channels
    )
