"""Choose the image patches that excite a layer's channels, and write them as one sheet."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.tasks.attribution.examples import QUANTILES, Examples
from diamond_cutter.tasks.reporting.layer_contents import Sheet, short
from diamond_cutter.tasks.reporting.page_data import ChannelPatches
from diamond_cutter.tasks.reporting.pictures import (
    PATCH_PX,
    PATCHES_OF_A_FILE,
    PatchCutter,
    sheet_columns,
)
from diamond_cutter.tasks.reporting.stored import ReportFiles


class _Example(NamedTuple):
    """An image that excites a channel; `quantile` is None for the highest activations."""

    image: int
    where: int
    activation: float
    quantile: float | None


def channel_patches(
    examples: Examples, names: Mapping[int, str], channels: Sequence[int], complete: Collection[int]
) -> tuple[dict[int, ChannelPatches], list[tuple[int, int]]]:
    """Return the patches of each channel, and the image and position of each cell of their sheet.

    Channels outside `complete` have one patch only.
    """
    wanted: list[tuple[int, int]] = []
    found: dict[int, ChannelPatches] = {}
    for channel, every in _channel_examples(examples, channels).items():
        chosen = every if channel in complete else every[:1]
        found[channel] = ChannelPatches(
            cells=tuple(range(len(wanted), len(wanted) + len(chosen))),
            images=tuple(example.image for example in chosen),
            names=tuple(names[example.image] for example in chosen),
            values=tuple(example.activation for example in chosen),
            quantiles=tuple(example.quantile for example in chosen),
        )
        wanted += [(example.image, example.where) for example in chosen]
    return found, wanted


def _channel_examples(examples: Examples, channels: Sequence[int]) -> dict[int, list[_Example]]:
    """Return the examples of each channel: the highest activations, then one at each quantile."""
    highest, sampled = examples.highest(), examples.at_quantiles()
    quantiles: tuple[float | None, ...] = (*(None for _ in highest.values[0]), *QUANTILES)
    together = highest.joined(sampled)
    return {
        channel: [
            _Example(int(image), int(where), short(value), quantile)
            for image, where, value, quantile in zip(
                together.images[channel],
                together.where[channel],
                together.values[channel],
                quantiles,
                strict=True,
            )
            if image >= 0
        ]
        for channel in channels
    }


def patch_sheet(
    layer: LayerCard, cutter: PatchCutter, files: ReportFiles, wanted: Sequence[tuple[int, int]]
) -> Sheet | None:
    """Write a sheet of patches, given image and position of each; return None without any."""
    if not wanted:
        return None
    first, *more = (
        files.layer(layer.name, "patches", data, "webp") for data in cutter.sheets(layer, wanted)
    )
    return Sheet(
        file=first,
        columns=sheet_columns(len(wanted), PATCHES_OF_A_FILE),
        cell_px=PATCH_PX,
        cells=PATCHES_OF_A_FILE if more else None,
        more=tuple(more),
    )
