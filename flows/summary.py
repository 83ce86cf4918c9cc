"""What a run did, for people and for programs."""

from pydantic import BaseModel, ConfigDict

from storage.records import Flag


class RunSummary(BaseModel):
    """What a run did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    recipe: str
    bucket: str
    spritemaps: dict[str, str]
    rendered: int
    reused: int
    failed: int
    flagged: dict[Flag, int]
    sprites_per_second: float | None
    failures: tuple[str, ...]

    def in_words(self) -> str:
        """Return the summary as lines of text."""
        rate = f", {self.sprites_per_second:g} sprites per second" if self.sprites_per_second else ""
        flags = ", ".join(f"{count} {flag.replace('_', ' ')}" for flag, count in self.flagged.items())
        lines = [f"{self.model} by {self.recipe} in {self.bucket}"]
        lines += [f"  {layer}: {self.bucket}/{key}" for layer, key in self.spritemaps.items()]
        lines.append(f"{self.rendered} rendered, {self.reused} reused, {self.failed} failed{rate}")
        if flags:
            lines.append(f"of all these sprites: {flags}")
        return "\n".join(lines)


class SpritesFailed(Exception):
    """Some shards could not be rendered; the text counts and names them."""

    def __init__(self, summary: RunSummary) -> None:
        self.summary = summary
        count = len(summary.failures)
        named = "; ".join(summary.failures[:5]) + (f"; and {count - 5} more" if count > 5 else "")
        plural = "" if count == 1 else "s"
        super().__init__(
            f"{count} part{plural} of the run failed ({named}); all else is in the bucket, and the same command does only the rest"
        )
