"""The schema of a layer in report.json and in the records behind it.

Channels, classes and images are numbers, as in contents.py.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from diamond_cutter.storage.sets.records import Flag
from diamond_cutter.tasks.attribution.spec import LayerMethod

Verdict = Literal["reliable", "order only", "not reliable"]


def short(value: float, digits: int = 4) -> float:
    """Return a number rounded to some significant digits, to keep the files small."""
    return float(f"{value:.{digits}g}")


class Part(BaseModel):
    """The base of all parts of a report."""

    # JSON has no infinite numbers.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Spread(Part):
    """The quartiles of a number over many images."""

    lower_quartile: float
    median: float
    upper_quartile: float


class Checks(Part):
    """The checks of a layer's attributions, on a sample of the images."""

    images: int
    completeness_error: Spread = Field(
        description="|sum of attributions - gain| / |gain|; the gain is the score minus the score "
        "with the layer at 0"
    )
    ablated: int = Field(description="channels set to 0 at once, 5 % of the layer's channels")
    drop_of_top: Spread = Field(
        description="loss of score with the channels of the highest attribution at 0"
    )
    drop_of_random: Spread = Field(
        description="mean loss of score with as many random channels at 0"
    )
    times: float | None = Field(
        description="first median / second median; none if the second is not above 0"
    )
    verdict: Verdict | None = Field(
        default=None,
        description="reliable: the sizes of attributions can be believed; order only: their order "
        "can; none in earlier reports",
    )
    reason: str = Field(default="", description="why, in one sentence")
    advice: str = Field(default="", description="what to do, in one sentence; empty if reliable")


class Group(Part):
    """A neuron group: a direction in the space of a layer's channels."""

    number: int
    channels: tuple[int, ...] = Field(
        description="channels of the highest weights, in descending order"
    )
    weights: tuple[float, ...] = Field(
        description="weights of these channels; the direction is a unit vector"
    )
    attribution: float = Field(description="mean over the shown images, to the explained score")
    by_class: tuple[tuple[int, float], ...] = Field(
        default=(), description="class number, and mean attribution over the images of this class"
    )
    sprite: int | None = Field(
        default=None, description="cell in the layer's sheet of group sprites"
    )
    flags: tuple[Flag, ...] = Field(default=(), description="of the sprite")


class Sheet(Part):
    """Pictures in cells, row by row, in one or more files.

    Browsers decode a whole file before they draw a cell, so large sheets have several files.
    """

    file: str = Field(description="path relative to the report's folder")
    columns: int
    cell_px: int
    cells: int | None = Field(
        default=None, description="cells of each file but the last; none with one file"
    )
    more: tuple[str, ...] = Field(default=(), description="the files of the next cells")

    def place(self, cell: int) -> tuple[str, int, int]:
        """Return the file of a cell, and its row and column in that file."""
        number, within = divmod(cell, self.cells) if self.cells else (0, cell)
        return (self.file, *self.more)[number], *divmod(within, self.columns)


class MeanChannel(Part):
    """One of a layer's strongest channels over a set of images."""

    channel: int
    attribution: float = Field(description="mean over the images")
    sprite: int | None = Field(default=None, description="cell in the layer's sheet of sprites")
    flags: tuple[Flag, ...] = Field(default=(), description="of the sprite")


class SetChannels(Part):
    """A layer's strongest channels over one set of images."""

    set: int = Field(description="index of the set in report.json")
    top: tuple[MeanChannel, ...] = Field(
        description="channels of the highest mean attributions, descending"
    )


class ReportedLayer(Part):
    """A layer in report.json."""

    name: str
    kind: str
    channels: int
    height: int = Field(description="rows of cells in the maps, at most 20; 1 for a vector")
    width: int = Field(description="columns of cells in the maps")
    receptive_field: int | None
    method: LayerMethod | None = Field(
        default=None, description="none in earlier reports, whose spec names the only method"
    )
    checks: Checks
    top: tuple[MeanChannel, ...] = Field(
        description="channels of the highest mean attributions over all images, descending"
    )
    bottom: tuple[MeanChannel, ...] = Field(
        description="channels of the lowest mean attributions over all images, ascending"
    )
    by_set: tuple[SetChannels, ...] = Field(
        default=(),
        description="of up to four sets of one question each; empty if all images ask the same, "
        "and in earlier reports",
    )
    sprites: Sheet | None = Field(default=None, description="sprites of the channels in the report")
    group_sprites: Sheet | None = None
    explained_variance: float | None = Field(
        default=None, description="share of the squared activations that the groups explain"
    )
    groups: tuple[Group, ...] = ()
    numbers: str = Field(
        description="file with the layer's LayerNumbers; path relative to the report's folder"
    )
    sets: str = Field(
        default="",
        description="file with the layer's LayerSets; empty in earlier reports, whose "
        "LayerNumbers hold the sets",
    )


class GroupFlow(Part):
    """The attribution of a layer's groups through the next layer's groups.

    It is a mean over up to 64 of the shown images.
    """

    layer: str
    next_layer: str
    attribution: tuple[tuple[float, ...], ...] = Field(
        description="[group of layer, group of next_layer]"
    )


class FoundGroups(Part):
    """The neuron groups of a layer."""

    directions: tuple[tuple[float, ...], ...] = Field(description="unit vectors, [group, channel]")
    attribution: tuple[float, ...] = Field(description="by group, mean over the shown images")
    by_class: dict[int, tuple[float, ...]] = Field(
        description="by predicted class and group, mean over the shown images of that class"
    )
    explained: float = Field(description="share of the squared activations that the groups explain")
