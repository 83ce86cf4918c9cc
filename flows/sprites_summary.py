"""The summary of a run, for people and programs."""

from collections import defaultdict
from collections.abc import Mapping

from pydantic import Field

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.flows.quantities import significant
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.layout import is_mixes
from diamond_cutter.storage.sets.records import Attempt, Flag, PhotoActivations, SpritemapRecord

_NAMED = 6
ByLayer = dict[str, tuple[int, ...]]


class RunSummary(FrozenModel):
    """The summary of one model in a run."""

    model: str
    recipe: str
    bucket: str
    run: str = Field(default="", description="key of the record of the run, for `show`")
    spritemaps: dict[str, str]
    rendered: int
    reused: int
    failed: int
    left: int = Field(default=0, description="sprites that the run did not try to render")
    retried: int | None = Field(
        default=None, description="sprites that --retry-failed tried again; none without it"
    )
    flagged: dict[Flag, int]
    rungs: dict[Attempt, int] = Field(
        description="sprites that each rung of the ladder saved; none: every attempt failed"
    )
    dead: ByLayer = Field(description="channels that no rung and no photo activates, by layer")
    unrendered: ByLayer = Field(description="all other channels without a sprite, by layer")
    photos: int | None = Field(description="number of images to compare the sprites with")
    sprites_per_second: float | None
    warnings: tuple[str, ...]
    failures: tuple[str, ...]

    def in_words(self) -> str:
        """Return the summary as lines of text."""
        rate = (
            f", {significant(self.sprites_per_second)} sprites per second"
            if self.sprites_per_second
            else ""
        )
        lines = [f"{self.model} by {self.recipe} in {self.bucket}"]
        lines += [f"  {layer}: {self.bucket}/{key}" for layer, key in self.spritemaps.items()]
        lines.append(f"{self.rendered} rendered, {self.reused} reused, {self.failed} failed{rate}")
        flags = ", ".join(
            f"{count} {flag.replace('_', ' ')}" for flag, count in self.flagged.items()
        )
        if flags:
            lines.append(f"flags: {flags}")
        lines += self.left_in_words()
        return "\n".join(
            [*lines, *self.ladder_in_words(), *(f"warning: {warning}" for warning in self.warnings)]
        )

    def left_in_words(self) -> list[str]:
        """Return lines on the sprites that the run did not try to render."""
        lines = ["nothing failed before, so nothing was retried"] if self.retried == 0 else []
        if self.left:
            how = (
                "run the same command to continue"
                if self.retried is None
                else "without --retry-failed, the same command renders them"
            )
            lines.append(f"{self.left} sprites left; {how}")
        return lines

    def ladder_in_words(self) -> list[str]:
        """Return lines on the sprites that the ladder saved, and on those that it did not."""
        saved = ", ".join(
            f"{count} saved by {'no rung' if rung == 'none' else rung}"
            for rung, count in self.rungs.items()
        )
        lines = [f"failed at the first attempt: {saved}"] if saved else []
        if self.dead:
            lines.append(f"dead channels, not active on any photo: {_named(self.dead)}")
        if self.unrendered:
            # Photos say nothing about mixes.
            open_question = not self.photos and not all(map(is_mixes, self.unrendered))
            why = ", perhaps dead (--photos FOLDER shows which)" if open_question else ""
            lines.append(f"every attempt failed{why}: {_named(self.unrendered)}")
        return lines


class SpritesSummary(FrozenModel):
    """The summary of a run."""

    models: tuple[RunSummary, ...]
    skipped: tuple[str, ...] = Field(description="a sentence for each model that cannot be had")

    @property
    def failures(self) -> tuple[str, ...]:
        """Return a sentence for each part that failed; of several models, each names its model."""
        several = len(self.models) > 1
        return tuple(
            f"{model.model}: {failure}" if several else failure
            for model in self.models
            for failure in model.failures
        )

    @property
    def left(self) -> int:
        """Return the number of sprites that the run did not try to render."""
        return sum(model.left for model in self.models)

    def in_words(self) -> str:
        """Return the summary as lines of text."""
        lines = [model.in_words() for model in self.models]
        if len(self.models) > 1:
            rendered, reused, failed = (
                sum(getattr(model, name) for model in self.models)
                for name in ("rendered", "reused", "failed")
            )
            lines.append(
                f"{len(self.models)} models: {rendered} rendered, {reused} reused, {failed} failed"
            )
        return "\n".join([*lines, *self.skipped])


class SpritesFailed(DiamondCutterError):
    """Some shards failed; the text counts and names them."""

    exit_code = 1

    def __init__(self, summary: SpritesSummary) -> None:
        self.summary = summary
        count = len(summary.failures)
        named = "; ".join(summary.failures[:5]) + (f"; and {count - 5} more" if count > 5 else "")
        plural = "" if count == 1 else "s"
        super().__init__(
            f"{count} part{plural} of the run failed ({named}). All other sprites are in the "
            "bucket. Run the same command to retry."
        )


def without_sprite(
    spritemaps: Mapping[str, SpritemapRecord], photos: Mapping[str, PhotoActivations]
) -> tuple[ByLayer, ByLayer]:
    """Return the channels without a sprite, by layer: the dead ones, and the others.

    Args:
        spritemaps: the records of the spritemaps, by layer.
        photos: the highest activations on the user's photos, by layer; without them, no channel is
            known to be dead.
    """
    dead: ByLayer = {}
    others: ByLayer = {}
    for layer, record in spritemaps.items():
        sprites = defaultdict(list)
        for sprite in record.sprites:
            sprites[sprite.channel].append(sprite)
        failed = [
            channel
            for channel, drawn in sprites.items()
            if all(sprite.rung == "none" for sprite in drawn)
        ]
        silent = {
            channel
            for channel in failed
            if all("dead" in sprite.flags for sprite in sprites[channel])
        }
        for_good = [
            channel
            for channel in failed
            if channel in silent and layer in photos and photos[layer].highest[channel] <= 0
        ]
        dead |= {layer: tuple(for_good)} if for_good else {}
        rest = tuple(channel for channel in failed if channel not in for_good)
        others |= {layer: rest} if rest else {}
    return dead, others


def photo_warnings(folder: str | None, photos: Mapping[str, PhotoActivations]) -> tuple[str, ...]:
    """Return a sentence on the unreadable photos, if there are any."""
    record = next(iter(photos.values()), None)
    if record is None or not record.unreadable:
        return ()
    count, of = len(record.unreadable), record.images + len(record.unreadable)
    return (
        f"{count} of {of} images in {folder} are unreadable and were skipped: "
        f"{_first(record.unreadable)}",
    )


def _named(by_layer: ByLayer) -> str:
    """Count channels and name the first ones of the first layers."""
    layers = tuple(f"{layer} {_first(channels)}" for layer, channels in by_layer.items())
    return f"{sum(map(len, by_layer.values()))} ({_first(layers, '; ')})"


def _first(names: tuple[object, ...], between: str = ", ") -> str:
    more = f"{between}and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return between.join(map(str, names[:_NAMED])) + more
