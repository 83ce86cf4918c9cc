"""Publish the gallery of a set beside its sprites."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.gallery.publishing import put_gallery


@task(name="publish gallery", cache_policy=NO_CACHE, persist_result=False)
def publish_gallery(bucket_url: str, card: ModelCard, recipe: str) -> str:
    """Build the gallery of a set from all its records, and return the key of its page.

    Args:
        bucket_url: the bucket.
        card: the card of the model.
        recipe: the recipe's key.

    Raises:
        Unavailable: other writers keep replacing the page.
    """
    return put_gallery(open_bucket(bucket_url), card, recipe)
