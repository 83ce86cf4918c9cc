"""Records of shards, made up for tests."""

from collections.abc import Sequence
from datetime import UTC, datetime

from storage.records import FileRef, ShardRecord, SpriteScores, Versions

MODEL, RECIPE, LAYER = "toy@01234567", "fast@89abcdef", "block_1"
VERSIONS = Versions(diamond_cutter="0", python="3", numpy="2", tensorflow="2", pillow="1", device="none")


def scores(channel: int) -> SpriteScores:
    """Return scores that tell channels apart."""
    return SpriteScores(channel=channel, objective=channel / 2, highest_activation=6.0, contrast=0.25, saturation=0.125)


def shard_record(
    channels: Sequence[int], file: FileRef, *, cell_px: int = 8, columns: int | None = None, seconds: float = 1.5
) -> ShardRecord:
    """Return the record of a shard of the channels."""
    return ShardRecord(
        model=MODEL,
        recipe=RECIPE,
        layer=LAYER,
        layer_sha256="0" * 64,
        batch_size=4,
        cell_px=cell_px,
        columns=columns or len(channels),
        sprites=tuple(scores(channel) for channel in channels),
        file=file,
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seconds=seconds,
        versions=VERSIONS,
    )
