"""Records of shards, made up for tests."""

from collections.abc import Sequence
from datetime import UTC, datetime

from diamond_cutter.storage.sets.records import FileRef, ShardRecord, SpriteScores, Versions

MODEL, RECIPE, LAYER = "toy@01234567", "fast@89abcdef", "block_1"
VERSIONS = Versions(
    diamond_cutter="0", python="3", numpy="2", tensorflow="2", pillow="1", device="none"
)


def scores(channel: int, variant: int = 0) -> SpriteScores:
    """Return scores that tell channels and variants apart."""
    return SpriteScores(
        channel=channel,
        variant=variant,
        objective=channel / 2 + variant / 8,
        highest_activation=6.0,
        contrast=0.25,
        saturation=0.125,
        checkerboard=0.5,
    )


def shard_record(
    channels: Sequence[int],
    file: FileRef,
    *,
    variants: int = 1,
    cell_px: int = 8,
    columns: int | None = None,
    seconds: float = 1.5,
) -> ShardRecord:
    """Return the record of a shard of the channels, a channel's variants behind each other."""
    return ShardRecord(
        model=MODEL,
        recipe=RECIPE,
        layer=LAYER,
        layer_sha256="0" * 64,
        batch_size=4,
        execution="float32",
        cell_px=cell_px,
        columns=columns or len(channels) * variants,
        sprites=tuple(
            scores(channel, variant) for channel in channels for variant in range(variants)
        ),
        file=file,
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seconds=seconds,
        versions=VERSIONS,
    )
