"""Write the pictures of single channels and images for a report."""

from collections.abc import Sequence

from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.sprite_set import SpritePlace
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import UnreadablePhoto, read_picture
from diamond_cutter.tasks.reporting.pictures import PatchCutter, sprite_sheet
from diamond_cutter.tasks.reporting.stored import ReportFiles
from diamond_cutter.tasks.sheets import encode

_THUMBNAIL_PX = 128


def sprite_file(bucket: Bucket, place: SpritePlace, layer: str, files: ReportFiles) -> str:
    """Write the sprite of a channel, and return its path in the report."""
    picture, _ = sprite_sheet(bucket, [place], 1)
    return files.layer(layer, f"sprite-{place.scores.channel:05d}", picture, "webp")


def patches_file(
    cutter: PatchCutter,
    layer: LayerCard,
    channel: int,
    wanted: Sequence[tuple[int, int]],
    columns: int,
    files: ReportFiles,
) -> str:
    """Write a sheet of image patches that excite a channel, and return its path in the report.

    Args:
        cutter: crops the images.
        layer: of the channel.
        channel: its number.
        wanted: image number and position of each patch; at least one.
        columns: of the sheet.
        files: of the report.
    """
    sheet, _ = cutter.sheet(layer, wanted, columns)
    return files.layer(layer.name, f"patches-{channel:05d}", sheet, "webp")


def thumbnail_file(image: FoundImage, channels: int, number: int, files: ReportFiles) -> str | None:
    """Write a small picture of an image, and return its path; None if it is unreadable now."""
    try:
        picture = read_picture(image, (1, 1, channels), _THUMBNAIL_PX)
    except UnreadablePhoto:  # it was readable before
        return None
    return files.image(f"{number:05d}", encode(picture, "webp"), "webp")
