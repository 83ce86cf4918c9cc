"""Publishes a set's gallery beside its sprites."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from model_inventory.card import ModelCard
from storage import Bucket, Corrupt, NotFound, open_bucket
from storage.layout import gallery_key, set_folder
from storage.sprite_set import publish_view, put_determined
from tasks.gallery.pages import GALLERY
from tasks.gallery.site import index_page, layer_files, layer_keys
from tasks.gallery.sources import LayerSource, read_sources
from tasks.gathering.contents import read_settings
from tasks.pages.frontend import asset_files
from tasks.reporting.stored import reports_with


@task(name="publish gallery", cache_policy=NO_CACHE, persist_result=False)
def publish_gallery(bucket_url: str, card: ModelCard, recipe: str) -> str:
    """Rebuild the gallery of a set from all its records, and return the key of its page.

    The page comes last: what it names is there when it is seen. A layer whose files are there already is not looked at again.

    Args:
        bucket_url: where.
        card: the model's.
        recipe: the recipe's key.

    Raises:
        Unavailable: others keep replacing the page.
    """
    bucket, key = open_bucket(bucket_url), gallery_key(card.key, recipe)
    for asset, data in asset_files(GALLERY, set_folder(card.key, recipe)).items():
        put_determined(bucket, asset, data)

    def build() -> bytes:
        sources = [source for source in read_sources(bucket, card.key, recipe, card) if _has_files(bucket, card.key, recipe, source)]
        return index_page(card.key, recipe, read_settings(bucket, card.key, recipe), sources, reports_with(bucket, card.key, recipe))

    publish_view(bucket, key, build)
    return key


def _has_files(bucket: Bucket, model: str, recipe: str, source: LayerSource) -> bool:
    """Tell whether the layer's files are there, making them if they are not; a damaged spritemap is left to the run that mends it."""
    if all(bucket.stat(key) for key in layer_keys(model, recipe, source)):
        return True
    try:
        files = layer_files(bucket, model, recipe, source)
    except (Corrupt, NotFound) as error:
        logging.getLogger(__name__).warning("the gallery leaves out %s: %s", source.layer, error)
        return False
    for key, data in files.items():
        put_determined(bucket, key, data)
    return True
