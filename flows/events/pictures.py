"""Says where the first picture of a run is, so that people can look at it while the run goes on."""

import shlex
from collections.abc import Iterator
from urllib.parse import unquote

from diamond_cutter.flows.cli.tables import printable
from diamond_cutter.flows.events.json_log import logs_as_json
from diamond_cutter.flows.events.progress import say
from diamond_cutter.flows.events.stream import FirstPicture, publish
from diamond_cutter.storage import Bucket


def say_first_picture(
    bucket: Bucket, model: str, layer: str, sprites: int, picture: str, gallery: str
) -> None:
    """Publish the first picture of a run, and print where it is.

    Args:
        bucket: of the sprites.
        model: the name and hash of the model.
        layer: the layer of the picture.
        sprites: the number of its sprites.
        picture: the key of the picture.
        gallery: the key of the gallery's page, which may not be there yet.
    """
    event = FirstPicture(
        bucket=bucket.url,
        model=model,
        layer=layer,
        sprites=sprites,
        picture=picture,
        gallery=gallery,
    )
    publish(event)
    if not logs_as_json():
        for line in picture_in_words(event, has_gallery=bucket.stat(gallery) is not None):
            say(line)


def picture_in_words(event: FirstPicture, *, has_gallery: bool) -> Iterator[str]:
    """Yield lines that say where the picture is, and how to look at the gallery."""
    layer = printable(event.layer).replace("\n", " ")
    yield f"first picture, {event.sprites} sprites of {layer}: {event.bucket}/{event.picture}"
    if has_gallery and event.bucket.startswith("file:"):
        yield f"gallery: {event.bucket}/{event.gallery}"
    else:
        place = shlex.quote(unquote(event.bucket.removeprefix("file://")))
        yield f"to watch the gallery grow, run: diamond-cutter browse --bucket {place}"
