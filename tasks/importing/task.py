"""Finds a model's bundle in the bucket, or imports the model and stores its bundle."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.devices.phases import tell_phase
from diamond_cutter.tasks.importing.stored import find_model, import_bundle

_TIMEOUT_S = 1800.0


@task(
    name="ensure bundle",
    task_run_name="ensure bundle of {name}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def ensure_bundle(bucket_url: str, name: str, slots: DeviceSlots) -> ModelCard:
    """Return the card of a model's bundle in the bucket; import the model first if necessary.

    Raises:
        ModelError: the model is unknown, or its weights are missing or unusable.
    """
    bucket = open_bucket(bucket_url)
    stored = find_model(bucket, name)
    if stored is not None:
        return stored
    bucket.check()
    tell_phase(f"importing {name}")
    return slots.run(import_bundle, bucket_url, name, timeout_s=_TIMEOUT_S)
