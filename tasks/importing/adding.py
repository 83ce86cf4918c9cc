"""A model that a user brings, imported in a device's process and kept in the bucket."""

from collections.abc import Sequence
from pathlib import Path

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ClassLabel, ModelCard
from diamond_cutter.model_inventory.user_models import ImportOptions, import_user_model
from diamond_cutter.tasks.importing.stored import keep_bundle


class Added(FrozenModel):
    """What has become of a user's model."""

    card: ModelCard
    guesses: tuple[str, ...]


def add_model(
    bucket_url: str, path: Path, name: str, labels: Sequence[ClassLabel], options: ImportOptions
) -> Added:
    """Import a model in this process and keep its bundle.

    Raises:
        BadModel: it cannot be rendered, or something that has to be known of it is not.
    """
    imported = import_user_model(path, name, labels, options)
    return Added(card=keep_bundle(bucket_url, imported.bundle), guesses=imported.guesses)
