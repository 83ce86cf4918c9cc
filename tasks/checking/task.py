"""Check the preprocessing of a model on the next free device."""

from collections.abc import Sequence

from prefect import task

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.checking.checking import check_images
from diamond_cutter.tasks.checking.verdict import PreprocessingCheck
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.retrying import RETRIED


@task(name="check preprocessing", **RETRIED)
def check_preprocessing(
    bucket_url: str,
    card: ModelCard,
    images: Sequence[NumberedImage],
    slots: DeviceSlots,
    timeout_s: float,
) -> PreprocessingCheck | None:
    """Return the verdict on labelled images, or None if all of them are unreadable now."""
    check, _ = check_images(bucket_url, card.key, card, images, slots, timeout_s)
    return check
