"""The records: small JSON files, created once, that describe and commit the files beside them.

Readers trust only records. All times are UTC, and all checksums are CRC32C.
"""

from datetime import datetime
from typing import Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.bucket import Bucket, ObjectInfo
from diamond_cutter.storage.errors import Corrupt, NotFound

Flag = Literal["dead", "grey", "saturated", "checkerboard", "not_finite"]
FLAGS: tuple[Flag, ...] = get_args(Flag)
Rung = Literal["redirect", "pre-activation", "seed", "steps", "regularise"]
Attempt = Rung | Literal["first", "none"]
Score = Literal[
    "objective",
    "highest_activation",
    "specificity",
    "photo_ratio",
    "contrast",
    "saturation",
    "checkerboard",
]
SCORES: tuple[Score, ...] = get_args(Score)


class Record(FrozenModel):
    """The base of all records, which are immutable and have a stable JSON form."""

    version: Literal[1] = 1

    def to_bytes(self) -> bytes:
        """Return the record in its stored form."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, key: str) -> Self:
        """Read a stored record.

        Raises:
            Corrupt: the record is not valid.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "its beginning"
            raise Corrupt(
                f"record {key} cannot be read ({first['msg']} at {where}). Repeat the run to write "
                "it again."
            ) from error


class FileRef(FrozenModel):
    """An immutable file that a record commits."""

    key: str
    size: int
    crc32c: int

    @classmethod
    def of(cls, info: ObjectInfo, crc: int) -> Self:
        """Return the reference to a file that was written to a bucket."""
        return cls(key=info.key, size=info.size, crc32c=crc)

    def is_whole_in(
        self, bucket: Bucket, listed: ObjectInfo | None, *, reread: bool = False
    ) -> bool:
        """Tell whether the file is in the bucket with its size and checksum.

        Args:
            bucket: of the file.
            listed: the bucket's information about the file, None if the file is missing.
            reread: read the file even if the bucket stores its checksum.
        """
        if listed is None or listed.size != self.size:
            return False
        if listed.crc32c is not None and not reread:
            return listed.crc32c == self.crc32c
        try:
            bucket.get(self.key, want_crc=self.crc32c)
        except (Corrupt, NotFound):
            return False
        return True


class PublishedFiles(Record):
    """Sizes and checksums of published files that are named by their sources, to detect damage."""

    files: tuple[FileRef, ...]


class PublishedView(Record):
    """Hashes of a published view, to detect damage. This record is replaced with its view."""

    sha256: tuple[str, ...] = Field(
        description="of the view; of both versions while it is replaced"
    )


class SpriteScores(FrozenModel):
    """Measurements of one sprite."""

    channel: int = Field(description="the channel, or the number of the mix")
    variant: int = Field(default=0, description="which of the channel's pictures")
    objective: float | None = Field(
        description="mean of the maximised value over fresh transforms; none if it was not finite"
    )
    highest_activation: float | None = Field(
        description="over all positions and fresh transforms; none if it was not finite"
    )
    specificity: float | None = Field(
        default=None,
        description="the channel's mean activation, in standard deviations above those of the "
        "layer's other channels",
    )
    photo_ratio: float | None = Field(
        default=None, description="highest_activation divided by the highest on the user's photos"
    )
    contrast: float = Field(description="standard deviation of the picture's values in [0, 1]")
    saturation: float = Field(description="share of the picture's values below 0.02 or above 0.98")
    checkerboard: float = Field(
        description="power at the frequency of the pixel grid, divided by that of the octave below"
    )
    flags: tuple[Flag, ...] = ()
    rung: Attempt = Field(
        default="first", description="the attempt that produced the sprite; none if all failed"
    )


class Versions(FrozenModel):
    """The software that made a picture: pixels are equal only with equal versions."""

    diamond_cutter: str
    python: str
    numpy: str
    tensorflow: str
    pillow: str
    device: str


class ShardRecord(Record):
    """Commits a shard: sprites of one layer in one lossless picture.

    The sprites fill rows of `columns` cells, with the variants of a channel next to each other.
    """

    model: str
    recipe: str
    layer: str = Field(description="the layer, or the name of the mixes")
    layer_sha256: str
    batch_size: int
    execution: str = Field(description="the precision and the compiler of the computation")
    photos: str | None = Field(default=None, description="key of the photos for photo_ratio")
    adopted_from: str | None = Field(
        default=None,
        description="key of the record that it was copied from; none if it was rendered here",
    )
    cell_px: int
    columns: int
    sprites: tuple[SpriteScores, ...] = Field(description="in the order of the cells", min_length=1)
    file: FileRef
    started: datetime
    seconds: float
    versions: Versions

    @model_validator(mode="after")
    def _sprites_differ(self) -> Self:
        if len({(sprite.channel, sprite.variant) for sprite in self.sprites}) != len(self.sprites):
            raise ValueError("the record lists a sprite twice")
        return self


class SpritemapRecord(Record):
    """Commits a spritemap: the sprites of a layer in one picture.

    Cell i is in row i // columns and column i % columns.
    """

    model: str
    recipe: str
    layer: str
    cell_px: int
    columns: int
    rows: int
    sprites: tuple[SpriteScores, ...] = Field(
        description="of each cell, in order of channels, then of variants"
    )
    shards: tuple[FileRef, ...] = Field(description="the source shards")
    file: FileRef


class RunRecord(Record):
    """Commits a run: the requested channels, and the records of their sprites."""

    model: str
    recipe: str
    selection: dict[str, tuple[int, ...]] = Field(description="requested channels by layer")
    shards: tuple[str, ...] = Field(description="keys of the records of the shards")
    spritemaps: tuple[str, ...] = Field(description="keys of the records of the spritemaps")
    sprites: int
    flagged: dict[Flag, int]
    rungs: dict[Attempt, int] = Field(
        default={},
        description="number of sprites by the rung of the ladder that rendered them",
    )
    failures: tuple[str, ...] = Field(
        default=(), description="a sentence about each shard that failed"
    )
    failed: dict[str, tuple[int, ...]] = Field(default={}, description="failed channels by layer")
    pictures: dict[str, str] = Field(
        default={}, description="keys of the pictures of the spritemaps by layer"
    )
    unrendered: dict[str, tuple[int, ...]] = Field(
        default={}, description="channels of which every attempt failed, by layer"
    )
    finished: datetime

    @property
    def is_complete(self) -> bool:
        """Tell whether nothing failed, and each layer has a spritemap."""
        return not self.failures and self.pictures.keys() == self.selection.keys()


class PhotoActivations(Record):
    """The effect of the user's photos on a layer: the highest activation of each channel."""

    model: str
    layer: str
    pre_activation: bool = Field(
        default=False, description="measured before the layer's activation function"
    )
    photos: str = Field(description="the name of the folder and the hash of its content")
    images: int = Field(description="number of readable images", ge=1)
    unreadable: tuple[str, ...] = Field(default=(), description="the unreadable files")
    highest: tuple[float, ...] = Field(description="over all positions and photos, by channel")


class ImagesRecord(Record):
    """Commits measurements of images: the table beside it has a row for each readable image."""

    dataset: str
    model: str
    report: str
    first: int = Field(description="number of the first image in the dataset", ge=0)
    images: int = Field(description="number of images, including unreadable ones", ge=1)
    refused: dict[str, str] = Field(
        default={}, description="why images were omitted, by their names"
    )
    methods: tuple[str, ...] = Field(
        default=(), description="by layer, if the method was chosen for each; else empty"
    )
    file: FileRef | None = Field(description="none if all were omitted")
    seconds: float
    versions: Versions
