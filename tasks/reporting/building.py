"""Makes a report of what was measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.sprite_set import SpritePlace
from diamond_cutter.tasks.attribution.cells import cell_grid
from diamond_cutter.tasks.attribution.examples import QUANTILES
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.totals import ALL, LayerTotals, SetName
from diamond_cutter.tasks.attribution.words import describe
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.choosing import TOP, TOP_OF_A_SET, shown_sets, top_and_bottom
from diamond_cutter.tasks.reporting.contents import (
    ChannelNumbers,
    DetailsRecord,
    FoundGroups,
    Group,
    ImageList,
    ImageSetCard,
    LayerNumbers,
    ListedImage,
    MeanChannel,
    Patches,
    ReportedLayer,
    SetNumbers,
    Sheet,
)
from diamond_cutter.tasks.reporting.evidence import LayerEvidence
from diamond_cutter.tasks.reporting.files import ReportFiles
from diamond_cutter.tasks.reporting.pictures import PATCH_PX, sprite_sheet
from diamond_cutter.tasks.reporting.pictures import Patches as PatchCutter
from diamond_cutter.tasks.reporting.reducing import Reduced
from diamond_cutter.tasks.reporting.rounding import short
from diamond_cutter.tasks.reporting.scripts import IMAGE_LIST, layer_name
from diamond_cutter.tasks.reporting.tables import set_title

_GROUP_CHANNELS = 12
_MOST_CELL_CHANNELS = 2048


@dataclass(frozen=True)
class LayerSprites:
    """The sprites of a layer's channels that the bucket has, and those of its groups."""

    channels: Mapping[int, SpritePlace]
    groups: Mapping[int, SpritePlace]


@dataclass(frozen=True)
class Material:
    """All that a report is made of, beside the images."""

    bucket: Bucket
    card: ModelCard
    spec: AttributionSpec
    reduced: Reduced
    details: DetailsRecord
    names: Mapping[int, str]


def report_layer(
    material: Material,
    layer: LayerCard,
    sprites: LayerSprites,
    cutter: PatchCutter,
    files: ReportFiles,
) -> ReportedLayer:
    """Write what the page loads of a layer, and return what the report says of it."""
    card, reduced, details = material.card, material.reduced, material.details
    sets = shown_sets(reduced.totals)
    numbers = [
        _set_numbers(reduced.totals.sets[name][layer.name], TOP if name == ALL else TOP_OF_A_SET)
        for name in sets
    ]
    channels = _channels(numbers, details.cells.get(layer.name, {}))
    drawn = [channel for channel in channels if channel in sprites.channels]
    cells = {channel: cell for cell, channel in enumerate(drawn)}
    sheet = _sheet(
        material.bucket, files, layer, "sprites", [sprites.channels[channel] for channel in drawn]
    )
    highest = reduced.highest(layer.name)
    evidence = LayerEvidence(card, material.spec, reduced.totals, layer.name, highest)
    # A patch stands in for a sprite under the pointer; all of them are for who reads of the
    # channel.
    whole = _of_sets(numbers).union(drawn)
    patches, patch_sheet = _patches(material, layer, channels, whole, cutter, files)
    labels = card.channel_names(layer)
    shown = LayerNumbers(
        patches=patch_sheet,
        channels=tuple(
            ChannelNumbers(
                channel=channel,
                sprite=cells.get(channel),
                label=labels[channel] if channel < len(labels) else "",
                words=describe(evidence.of(channel)),
                highest=short(highest[channel]),
                classes=evidence.selective(channel),
                patches=patches[channel],
            )
            for channel in channels
        ),
        sets=tuple(numbers),
    )
    groups, group_sheet = _groups(material, layer, details.groups.get(layer.name), sprites, files)
    mean = reduced.totals.sets[ALL][layer.name].mean
    rows, columns = cell_grid(layer)
    found = details.groups.get(layer.name)
    return ReportedLayer(
        name=layer.name,
        kind=layer.kind,
        channels=layer.channels,
        height=rows,
        width=columns,
        receptive_field=layer.receptive_field,
        checks=details.checks[layer.name],
        top=_means(mean, numbers[0].top, cells),
        bottom=_means(mean, numbers[0].bottom, cells),
        sprites=sheet,
        group_sprites=group_sheet,
        explained_variance=found.explained if found else None,
        groups=groups,
        numbers=files.layer(layer.name, "numbers", as_script(layer_name(layer.name), shown), "js"),
    )


def set_cards(material: Material) -> tuple[ImageSetCard, ...]:
    """Return the sets of images that the report shows."""
    totals = material.reduced.totals
    return tuple(
        ImageSetCard(
            kind=name.kind,
            title=set_title(material.card, name),
            class_number=name.number if name.kind == "class" else None,
            images=totals.images(name),
        )
        for name in shown_sets(totals)
    )


def image_list(material: Material, pictures: Mapping[int, str], files: ReportFiles) -> str:
    """Write what the list of images loads, `pictures` being the shown images' files; return its
    place.
    """
    names = shown_sets(material.reduced.totals)
    lines = {line.image: line for line in material.reduced.images if line.image in pictures}
    listed = []
    for number, picture in sorted(pictures.items()):
        line = lines[number]
        right = None if line.label_class < 0 else line.label_class == line.predicted
        inside = {ALL, SetName("label", line.label or ""), SetName("class", number=line.predicted)}
        inside |= {SetName("wrong")} if right is False else set()
        listed.append(
            ListedImage(
                number=number,
                name=line.name,
                file=picture,
                label=line.label,
                predicted=line.predicted,
                right=right,
                sets=tuple(place for place, name in enumerate(names) if name in inside),
            )
        )
    return files.image("list", as_script(IMAGE_LIST, ImageList(images=tuple(listed))), "js")


def _set_numbers(totals: LayerTotals, count: int) -> SetNumbers:
    mean, spread = totals.mean, totals.spread
    top, bottom = top_and_bottom(mean, count)
    return SetNumbers(
        mean=tuple(map(short, mean)),
        spread=tuple(short(spread[channel]) for channel in [*top, *bottom]),
        share=tuple(map(short, [*totals.positive_share[top], *totals.negative_share[bottom]])),
        top=tuple(top),
        bottom=tuple(bottom),
    )


def _channels(numbers: Sequence[SetNumbers], cells: Mapping[int, int]) -> list[int]:
    """Return the channels that are shown anywhere, in the sets or in the cells of images."""
    in_cells = sorted(cells, key=lambda channel: (-cells[channel], channel))
    return sorted(_of_sets(numbers).union(in_cells[:_MOST_CELL_CHANNELS]))


def _of_sets(numbers: Sequence[SetNumbers]) -> set[int]:
    return {channel for found in numbers for channel in (*found.top, *found.bottom)}


def _means(
    mean: np.ndarray, channels: Sequence[int], cells: Mapping[int, int]
) -> tuple[MeanChannel, ...]:
    return tuple(
        MeanChannel(channel=channel, attribution=short(mean[channel]), sprite=cells.get(channel))
        for channel in channels
    )


def _sheet(
    bucket: Bucket, files: ReportFiles, layer: LayerCard, name: str, places: Sequence[SpritePlace]
) -> Sheet | None:
    if not places:
        return None
    data, columns, cell_px = sprite_sheet(bucket, places)
    return Sheet(file=files.layer(layer.name, name, data, "webp"), columns=columns, cell_px=cell_px)


def _patches(
    material: Material,
    layer: LayerCard,
    channels: Sequence[int],
    whole: Collection[int],
    cutter: PatchCutter,
    files: ReportFiles,
) -> tuple[dict[int, Patches], Sheet | None]:
    """Return the patches of each channel, of those that are not to be whole one, and the sheet that
    they are in.
    """
    examples = material.reduced.examples[layer.name]
    highest, sampled = examples.highest(), examples.at_quantiles()
    wanted: list[tuple[int, int]] = []
    found: dict[int, Patches] = {}
    for channel in channels:
        lines = [
            (int(image), int(where), short(value), quantile)
            for examples, quantiles in (
                (highest, [None] * highest.values.shape[1]),
                (sampled, QUANTILES),
            )
            for image, where, value, quantile in zip(
                examples.images[channel],
                examples.where[channel],
                examples.values[channel],
                quantiles,
                strict=True,
            )
            if image >= 0
        ][: None if channel in whole else 1]
        found[channel] = Patches(
            cells=tuple(range(len(wanted), len(wanted) + len(lines))),
            images=tuple(image for image, _, _, _ in lines),
            names=tuple(material.names[image] for image, _, _, _ in lines),
            values=tuple(value for _, _, value, _ in lines),
            quantiles=tuple(quantile for _, _, _, quantile in lines),
        )
        wanted += [(image, where) for image, where, _, _ in lines]
    if not wanted:
        return found, None
    data, columns = cutter.sheet(layer, wanted)
    return found, Sheet(
        file=files.layer(layer.name, "patches", data, "webp"), columns=columns, cell_px=PATCH_PX
    )


def _groups(
    material: Material,
    layer: LayerCard,
    found: FoundGroups | None,
    sprites: LayerSprites,
    files: ReportFiles,
) -> tuple[tuple[Group, ...], Sheet | None]:
    if found is None:
        return (), None
    drawn = sorted(sprites.groups)
    cells = {number: cell for cell, number in enumerate(drawn)}
    sheet = _sheet(
        material.bucket, files, layer, "groups", [sprites.groups[number] for number in drawn]
    )
    groups = []
    for number, direction in enumerate(found.directions):
        strongest = np.argsort(-np.abs(direction), kind="stable")[:_GROUP_CHANNELS]
        by_class = sorted(
            ((key, values[number]) for key, values in found.by_class.items()),
            key=lambda pair: (-abs(pair[1]), pair[0]),
        )
        groups.append(
            Group(
                number=number,
                channels=tuple(map(int, strongest)),
                weights=tuple(short(direction[channel]) for channel in strongest),
                attribution=found.attribution[number],
                by_class=tuple(by_class[:_GROUP_CHANNELS]),
                sprite=cells.get(number),
            )
        )
    return tuple(groups), sheet


def named_classes(material: Material) -> set[int]:
    """Return the classes that any part of the report names."""
    totals, spec = material.reduced.totals, material.spec
    named = {name.number for name in shown_sets(totals) if name.kind == "class"} | set(
        material.details.classes
    )
    named |= {number for number in (spec.positive, spec.negative) if isinstance(number, int)}
    return named | {
        number for found in material.details.groups.values() for number in found.by_class
    }
