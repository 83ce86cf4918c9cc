"""The schema of a gallery's data: the page's own JSON, a layer's script, and the index of words."""

from typing import Any

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.records import Attempt, Flag, Score, Versions


class Shown(FrozenModel):
    """The base of the data of the gallery's script; files are relative to the set's folder."""


class ShownSheet(Shown):
    """A picture that holds sprites in cells, row by row."""

    file: str
    columns: int
    cell_px: int


class SpriteColumns(Shown):
    """The sprites of a layer, one column for each property."""

    channels: tuple[int, ...]
    variants: tuple[int, ...]
    labels: tuple[str, ...]
    scores: dict[Score, tuple[float | None, ...]]
    flags: tuple[tuple[Flag, ...], ...]
    rungs: tuple[Attempt, ...]
    spritemaps: tuple[int, ...]
    cells: tuple[int, ...]
    shards: tuple[ShownSheet, ...]
    shard_of: tuple[int | None, ...]
    shard_cells: tuple[int, ...]
    neighbours: tuple[tuple[int, ...], ...]
    likeness: tuple[tuple[float, ...], ...]


class ShownLayer(Shown):
    """A layer or mixes, on the gallery's first page."""

    name: str
    mixes: bool
    kind: str | None
    channels: int | None
    height: int | None
    width: int | None
    sprites: int
    flagged: int
    flags: dict[Flag, int]
    settings: dict[str, Any]
    spritemaps: tuple[ShownSheet, ...]
    numbers: str
    preview: str
    rendered: int | None = Field(
        default=None, description="channels or mixes with sprites; none in earlier versions"
    )
    groups: bool = Field(default=False, description="mixes that are neuron groups of a report")
    reports: tuple[int, ...] = Field(
        default=(), description="the reports that the groups are of, by place in `reports`"
    )
    inline: SpriteColumns | None = Field(
        default=None, description="sprites of a layer in progress, which has no files of its own"
    )


class ShownReport(Shown):
    """A report that shows these sprites."""

    dataset: str
    folder: str
    explained: str
    layers: dict[str, str]
    mixed: bool = Field(
        default=False, description="whether its overall means mix different questions"
    )


class ShownFailure(Shown):
    """What of a layer a run could not render, and nobody has rendered since."""

    layer: str
    channels: tuple[int, ...] = Field(
        description="channels or mixes; none if their sprites could not be gathered"
    )
    sprites: int
    why: tuple[str, ...] = Field(description="the sentences that the run has recorded")
    retry: tuple[str, ...] = Field(
        description="options of `sprites` that try it again; none if the run had other options"
    )


class NetworkLayer(Shown):
    """A layer of the model, with sprites or without."""

    name: str
    kind: str
    main: bool
    channels: int
    height: int | None
    width: int | None


class AboutSet(Shown):
    """What is said at the end of the page."""

    origin: str = Field(description="of the model's weights")
    height: int
    width: int
    planes: int = Field(description="channels of the input")
    classes: int
    versions: Versions | None = Field(description="that rendered the first layer")
    name: str = Field(description="of the model on the command line")
    options: tuple[str, ...] = Field(description="of the recipe on the command line")


class ShownSprites(Shown):
    """The sprites of a set: what changes while a run is at work."""

    layers: tuple[ShownLayer, ...]
    reports: tuple[ShownReport, ...]
    words: str = Field(default="", description="the file with the SetWords; empty without one")
    failures: tuple[ShownFailure, ...] = ()
    in_progress: bool = Field(
        default=False, description="whether more sprites may come without a new command"
    )


class ShownSet(ShownSprites):
    """A sprite set, on the gallery's first page."""

    model: str
    recipe: str
    settings: dict[str, Any]
    network: tuple[NetworkLayer, ...] = Field(
        default=(), description="all layers of the model, in forward order"
    )
    about: AboutSet | None = None


class LayerWords(Shown):
    """The sprites of a layer, for the search.

    words: lines that are derived from the numbers of reports, by place of the sprite.
    classes: classes with notably high activations in reports, by place of the sprite: name, and
        mean in deviations above the channel's mean.
    """

    layer: str
    channels: tuple[int, ...]
    variants: tuple[int, ...]
    spritemaps: tuple[int, ...]
    cells: tuple[int, ...]
    flagged: tuple[int, ...] = Field(description="places of the sprites with flags")
    labels: tuple[str, ...] = Field(description="of each sprite; empty if none has one")
    words: dict[int, tuple[str, ...]]
    classes: dict[int, tuple[tuple[str, float], ...]]


class SetWords(Shown):
    """The words of all layers of a set that are not in progress."""

    layers: tuple[LayerWords, ...]
