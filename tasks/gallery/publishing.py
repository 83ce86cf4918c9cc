"""Publish the gallery of a set: its files first, then its page."""

import logging

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, Corrupt, NotFound
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import gallery_key, set_folder
from diamond_cutter.storage.sets.sprite_set import put_determined
from diamond_cutter.storage.sets.views import publish_view
from diamond_cutter.tasks.gallery.pages import GALLERY
from diamond_cutter.tasks.gallery.site import index_page
from diamond_cutter.tasks.gallery.sources import LayerSource, SetSource, read_set
from diamond_cutter.tasks.gallery.stored import has_layer, put_layer, put_words
from diamond_cutter.tasks.pages.frontend import asset_files


def put_gallery(bucket: Bucket, card: ModelCard, recipe: str, *, words: bool = True) -> str:
    """Build the gallery of a set from all its records, and return the key of its page.

    The page is written last, so that all files exist when it becomes visible. Layers with whole
    files are skipped. Layers in progress need no files, so an unfinished run leaves none behind.

    Args:
        bucket: the bucket.
        card: the card of the model.
        recipe: the recipe's key.
        words: also write the index of words. Its name changes with each finished layer, so a run
            writes it only at its end.

    Raises:
        Unavailable: other writers keep replacing the page.
    """
    key = gallery_key(card.key, recipe)
    for asset, data in asset_files(GALLERY, set_folder(card.key, recipe)).items():
        put_determined(bucket, asset, data)

    def build() -> bytes:
        source = _with_files(bucket, read_set(bucket, card.key, recipe, card))
        return index_page(source, put_words(bucket, source) if words else "")

    publish_view(bucket, key, build)
    return key


def _with_files(bucket: Bucket, source: SetSource) -> SetSource:
    """Return the set without its damaged layers, after writing the files of the others."""
    there = at_once(
        bucket,
        lambda layer: has_layer(bucket, source.model, source.recipe, layer),
        source.layers,
    )
    # One layer at a time, because a large spritemap takes a gigabyte of memory.
    return source.only(
        [
            layer
            for layer, whole in zip(source.layers, there, strict=True)
            if whole or _put(bucket, source, layer)
        ]
    )


def _put(bucket: Bucket, source: SetSource, layer: LayerSource) -> bool:
    """Write the files of a layer, and return False if its spritemap is damaged or missing."""
    try:
        put_layer(bucket, source.model, source.recipe, layer)
    except (Corrupt, NotFound) as error:
        logging.getLogger(__name__).warning("the gallery skips %s: %s", layer.layer, error)
        return False
    return True
