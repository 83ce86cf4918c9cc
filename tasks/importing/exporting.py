"""Exports a model for use without this project: as a SavedModel, and as a Keras file."""

from pathlib import Path

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.model_inventory.errors import NoKerasModel
from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.new_folder import new_folder
from diamond_cutter.tasks.importing.stored import find_or_import, read_card

_SAVED_MODEL, _KERAS = "saved_model", "model.keras"


class Exported(FrozenModel):
    """The files of an exported model."""

    saved_model: str = Field(description="path of the folder of the SavedModel")
    keras: str | None = Field(description="path of the Keras file, if there is one")
    why_no_keras: str | None = Field(description="why there is no Keras file")


def export_model(bucket_url: str, name: str, folder: Path, source: Path | None) -> Exported:
    """Write a model into a new folder: `saved_model/`, and `model.keras` if it comes from Keras.

    Both take images with values in 0..255 and return the logits. The folder appears when it is
    complete.

    Args:
        bucket_url: of the bucket with the model.
        name: of the model.
        folder: new or empty.
        source: the user's Keras file that the model was imported from; for a network of
            keras.applications optionally the file of its weights.

    Raises:
        ModelError: the model is unknown or damaged, or `source` is not its file.
        StorageError: the folder is not new, or cannot be written.
    """
    # TensorFlow is imported only in the process of a device.
    from diamond_cutter.model_inventory.keras.exporting import write_keras_model
    from diamond_cutter.model_inventory.keras.source_models import source_model
    from diamond_cutter.model_inventory.tensorflow.serving import write_saved_model

    bundle = find_or_import(bucket_url, name)
    with new_folder(folder) as made:
        why = None
        try:
            cards = lineage(open_bucket(bucket_url), bundle.card)
            keras_model = source_model(cards[0], source)
            write_keras_model(bundle, cards, keras_model, made / _KERAS)
        except NoKerasModel as reason:
            why = str(reason)
        write_saved_model(bundle, made / _SAVED_MODEL)
    return Exported(
        saved_model=str(folder / _SAVED_MODEL),
        keras=None if why else str(folder / _KERAS),
        why_no_keras=why,
    )


def lineage(bucket: Bucket, card: ModelCard) -> list[ModelCard]:
    """Return the cards of the models that new layers were attached to, oldest first, last `card`.

    Raises:
        NoKerasModel: one of them is not in the bucket.
    """
    cards = [card]
    while (attached := cards[0].attached) is not None:
        earlier = read_card(bucket, attached.model)
        # Whoever can write to the bucket can write cards that refer to each other.
        if earlier is None or earlier.key in [known.key for known in cards]:
            raise NoKerasModel(
                f"{cards[0].name} has layers attached to {attached.model}, which is not in the "
                f"bucket {bucket.url}"
            )
        cards.insert(0, earlier)
    return cards
