"""Publish the gallery of a set beside its sprites."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket, Corrupt, NotFound, open_bucket
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import gallery_key, set_folder
from diamond_cutter.storage.sets.sprite_set import put_determined
from diamond_cutter.storage.sets.views import publish_view
from diamond_cutter.tasks.gallery.pages import GALLERY
from diamond_cutter.tasks.gallery.site import index_page
from diamond_cutter.tasks.gallery.sources import LayerSource, read_sources
from diamond_cutter.tasks.gallery.stored import has_layer, put_layer
from diamond_cutter.tasks.gathering.contents import read_settings
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.reporting.stored import reports_with


@task(name="publish gallery", cache_policy=NO_CACHE, persist_result=False)
def publish_gallery(bucket_url: str, card: ModelCard, recipe: str) -> str:
    """Build the gallery of a set from all its records, and return the key of its page.

    The page is written last, so that all files exist when it becomes visible. Layers with whole
    files are skipped.

    Args:
        bucket_url: the bucket.
        card: the card of the model.
        recipe: the recipe's key.

    Raises:
        Unavailable: other writers keep replacing the page.
    """
    bucket, key = open_bucket(bucket_url), gallery_key(card.key, recipe)
    for asset, data in asset_files(GALLERY, set_folder(card.key, recipe)).items():
        put_determined(bucket, asset, data)

    def build() -> bytes:
        sources = list(read_sources(bucket, card.key, recipe, card))
        there = at_once(bucket, lambda source: has_layer(bucket, card.key, recipe, source), sources)
        # One layer at a time, because a large spritemap takes a gigabyte of memory.
        shown = [
            source
            for source, whole in zip(sources, there, strict=True)
            if whole or _put(bucket, card.key, recipe, source)
        ]
        return index_page(
            card.key,
            recipe,
            read_settings(bucket, card.key, recipe),
            shown,
            reports_with(bucket, card.key, recipe),
        )

    publish_view(bucket, key, build)
    return key


def _put(bucket: Bucket, model: str, recipe: str, source: LayerSource) -> bool:
    """Write the files of a layer, and return False if its spritemap is damaged or missing."""
    try:
        put_layer(bucket, model, recipe, source)
    except (Corrupt, NotFound) as error:
        logging.getLogger(__name__).warning("the gallery skips %s: %s", source.layer, error)
        return False
    return True
