"""Writes docs/models.md: a row for each model that can be had by name, and what of it is run by the
tests.

    uv run python -m tools.models_table

What is said to be run is run for every row of the same source by one parametrised test, which the
page names; a test keeps the page and this script equal.
"""

from pathlib import Path

from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.model_inventory.catalogue import ModelListing, list_models
from diamond_cutter.model_inventory.efficientnet_lite import import_efficientnet_lite
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS
from diamond_cutter.model_inventory.lucid.zoo import lucid_models

TABLE = Path(__file__).parents[1] / "docs" / "models.md"
HEAD = """# Models

Written by `uv run python -m tools.models_table`. What is verified, the tests run for every row
that says so:

- *weights run*: imported with the trained weights from the package; knows what photos show
  (`tests/model_inventory/test_efficientnet_lite.py`).
- *architecture run*: built by Keras, traced, frozen and compared with Keras on noise, with random
  weights, for images as small as it takes; images are prepared as its module does; the file that
  Keras would fetch is the one that is looked for
  (`tests/model_inventory/keras/test_applications.py`). The weights of ImageNet were not run:
  Keras fetches them.
- *architecture rendered*: that, and all main layers and the logits compared with Keras',
  BatchNorm folded, and sprites rendered (`tests/tasks/rendering/test_any_keras_model.py`).
- *metadata only*: what lucid's classes say (`tests/model_inventory/lucid/test_zoo.py`). The way
  from the bucket to sprites is run with a made-up graph under the names of some of them; the
  published files were not.

Main layers are those that `--layers main` means. Layers and channels of keras.applications are
counted when a model is imported (`diamond-cutter models show`).

| model | image | values | layers | main | channels | classes | verified |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
# Of those that are rendered in a test, whose list this has to be.
RENDERED = (
    "keras/resnet50",
    "keras/inceptionv3",
    "keras/densenet121",
    "keras/vgg16",
    "keras/nasnetmobile",
    "keras/convnexttiny",
    "keras/efficientnetv2b0",
    "keras/mobilenetv2",
)


def main() -> None:
    """Write the page."""
    TABLE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page as it should be."""
    return (
        HEAD
        + "\n".join(
            "| " + " | ".join(map(str, _cells(listing))) + " |" for listing in list_models()
        )
        + "\n"
    )


def _cells(listing: ModelListing) -> list[object]:
    name, counts, classes = listing.name, ["", "", ""], 1000
    if listing.source == "package":
        card = import_efficientnet_lite(name).card
        image, verified = card.image, "weights run"
        counts = [
            str(len(card.layers)),
            str(sum(layer.main for layer in card.layers)),
            f"{sum(layer.channels for layer in card.layers):,}",
        ]
    elif listing.source == "keras":
        image, verified = (
            KERAS_APPLICATIONS[name].image,
            "architecture rendered" if name in RENDERED else "architecture run",
        )
    else:
        row = lucid_models()[name]
        image, verified, classes = row.image, "metadata only", row.output_size or 0
        if row.layers:
            counts = [
                str(len(row.layers)),
                str(sum(layer.main for layer in row.layers)),
                f"{listing.channels:,}",
            ]
    return [
        f"`{name}`",
        f"{image.height} x {image.width}",
        _values(image),
        *counts,
        classes or "",
        verified,
    ]


def _values(image: ImageSpec) -> str:
    """Say what black and white are at a model's input."""
    words = {f"{low:.4g} to {high:.4g}" for low, high in image.value_range}
    return ("a range for each channel" if len(words) > 1 else words.pop()) + (
        ", BGR" if image.channel_order == "bgr" else ""
    )


if __name__ == "__main__":
    main()
