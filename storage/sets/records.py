"""The records: small JSON files, created once, that say what the files beside them are.

Readers believe records and nothing else. All times are UTC; all checksums are CRC32C, as the bucket
computes them.
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


class Record(FrozenModel):
    """What all records share: they are closed, immutable, and JSON of a stable form."""

    version: Literal[1] = 1

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, key: str) -> Self:
        """Read a stored record.

        Raises:
            Corrupt: it is not such a record.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "its beginning"
            raise Corrupt(
                f"Record {key} cannot be read ({first['msg']} at {where}); the same run again "
                "writes it anew."
            ) from error


class FileRef(FrozenModel):
    """An immutable file that a record commits."""

    key: str
    size: int
    crc32c: int

    @classmethod
    def of(cls, info: ObjectInfo, crc: int) -> Self:
        """Return the reference to a file that a bucket has just taken."""
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
    """Says how files that are named by what they are made of were published, so that damage to them
    can be told.
    """

    files: tuple[FileRef, ...]


class PublishedView(Record):
    """Says how a view was published, so that damage to it can be told. Unlike other records it is
    replaced, with the view.
    """

    sha256: tuple[str, ...] = Field(description="of the view; of two contents while it is replaced")


class SpriteScores(FrozenModel):
    """What is known of one sprite beside its pixels."""

    channel: int = Field(description="the channel, or the number of the mix")
    variant: int = Field(default=0, description="which of the channel's pictures")
    objective: float | None = Field(
        description="mean over fresh transforms of what was maximised; none if it was not finite"
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
        default=None, description="highest_activation over the highest on the user's photos"
    )
    contrast: float = Field(
        description="standard deviation of the picture's values, which lie in [0, 1]"
    )
    saturation: float = Field(description="share of the picture's values below 0.02 or above 0.98")
    checkerboard: float = Field(
        description="power at the pixel grid's own frequency, over that of the octave below"
    )
    flags: tuple[Flag, ...] = ()
    rung: Attempt = Field(
        default="first", description="the attempt that this is; none if all failed"
    )


class Versions(FrozenModel):
    """The software that made a picture: equal pixels are promised within equal versions."""

    diamond_cutter: str
    python: str
    numpy: str
    tensorflow: str
    pillow: str
    device: str


class ShardRecord(Record):
    """Commits a shard: sprites of one layer in one lossless picture, row by row in `columns`,
    variants behind each other.
    """

    model: str
    recipe: str
    layer: str = Field(description="the layer, or the name of the mixes")
    layer_sha256: str
    batch_size: int
    execution: str = Field(description="the precision it was computed in, and the compiler")
    photos: str | None = Field(
        default=None, description="key of the photos that photo_ratio compares with"
    )
    adopted_from: str | None = Field(
        default=None,
        description="key of the record of the set that rendered it, if this set has copied it; "
        "none if this set has rendered it",
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
            raise ValueError("a sprite stands in the record twice")
        return self


class SpritemapRecord(Record):
    """Commits a spritemap: a layer's sprites in one picture. Cell i lies in row i // columns,
    column i % columns.
    """

    model: str
    recipe: str
    layer: str
    cell_px: int
    columns: int
    rows: int
    sprites: tuple[SpriteScores, ...] = Field(
        description="of each cell, in order of channels, and of variants within a channel"
    )
    shards: tuple[FileRef, ...] = Field(description="the shards that it was gathered from")
    file: FileRef


class RunRecord(Record):
    """Commits a run: what was asked for, and the records that answer it."""

    model: str
    recipe: str
    selection: dict[str, tuple[int, ...]] = Field(description="channels asked for, by layer")
    shards: tuple[str, ...] = Field(description="keys of the shards' records")
    spritemaps: tuple[str, ...] = Field(description="keys of the spritemaps' records")
    sprites: int
    flagged: dict[Flag, int]
    rungs: dict[Attempt, int] = Field(
        default={},
        description="how many sprites each rung of the ladder saved, and how many none did",
    )
    failures: tuple[str, ...] = Field(
        default=(), description="a sentence for each shard that could not be rendered"
    )
    finished: datetime


class PhotoActivations(Record):
    """What the user's photos do to a layer: how high each channel gets on any of them."""

    model: str
    layer: str
    pre_activation: bool = Field(
        default=False, description="what goes into the layer's activation function was measured"
    )
    photos: str = Field(description="the folder's name and the hash of what was in it")
    images: int = Field(description="how many could be read", ge=1)
    unreadable: tuple[str, ...] = Field(default=(), description="the files that could not be read")
    highest: tuple[float, ...] = Field(description="over all positions and photos, by channel")


class ImagesRecord(Record):
    """Commits what was measured of some images: the table beside it has a row for each that could
    be read.
    """

    dataset: str
    model: str
    report: str
    first: int = Field(description="number of the first image in the dataset", ge=0)
    images: int = Field(
        description="how many were looked at, those that cannot be read among them", ge=1
    )
    refused: dict[str, str] = Field(
        default={}, description="why images were left out, by their names"
    )
    file: FileRef | None = Field(description="none if all were left out")
    seconds: float
    versions: Versions
