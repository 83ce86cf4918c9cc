"""Publish the gallery of a set: its files first, then its page."""

import logging
from dataclasses import replace

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, Corrupt, NotFound
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import gallery_data_key, gallery_key, set_folder
from diamond_cutter.storage.sets.sprite_set import put_determined
from diamond_cutter.storage.sets.views import publish_views
from diamond_cutter.tasks.gallery.pages import GALLERY
from diamond_cutter.tasks.gallery.site import data_script, index_page, shown_set
from diamond_cutter.tasks.gallery.sources import LayerSource, SetSource, read_set
from diamond_cutter.tasks.gallery.stored import has_layer, put_layer, put_words
from diamond_cutter.tasks.pages.frontend import asset_files


def put_gallery(bucket: Bucket, card: ModelCard, recipe: str, *, at_work: bool = False) -> str:
    """Build the gallery of a set from all its records, and return the key of its page.

    The page is written last, so that all files exist when it becomes visible. Layers with whole
    files are skipped. Layers in progress need no files, so an unfinished run leaves none behind.

    Args:
        bucket: the bucket.
        card: the card of the model.
        recipe: the recipe's key.
        at_work: whether a run is at work on the set. Open pages then look for new sprites. The
            index of words is left to the end of the run, because its name changes with each
            finished layer.

    Raises:
        Unavailable: other writers keep replacing the page.
    """
    key, data_key = gallery_key(card.key, recipe), gallery_data_key(card.key, recipe)
    for asset, data in asset_files(GALLERY, set_folder(card.key, recipe)).items():
        put_determined(bucket, asset, data)

    def build() -> dict[str, bytes]:
        source = _with_files(bucket, read_set(bucket, card.key, recipe, card))
        source = replace(source, at_work=at_work)
        shown = shown_set(source, "" if at_work else put_words(bucket, source))
        return {data_key: data_script(shown), key: index_page(shown)}

    publish_views(bucket, [data_key, key], build)
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
