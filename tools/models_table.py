"""Write docs/models.md: a row for each known model, and how far the tests verify it, and for each
kind of file that was tried.

    uv run python -m tools.models_table

The page names the test for each kind of model. Another test compares the page with this script.
"""

from pathlib import Path

from diamond_cutter.model_inventory.card import ImageSpec
from diamond_cutter.model_inventory.catalogue import ModelListing, list_models
from diamond_cutter.model_inventory.efficientnet_lite import import_efficientnet_lite
from diamond_cutter.model_inventory.imagenet_accuracy import PUBLISHED_ACCURACY, published_accuracy
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS
from diamond_cutter.model_inventory.lucid.zoo import lucid_models
from tools.tried_files_table import files_section

TABLE = Path(__file__).parents[1] / "docs" / "models.md"
HEAD = """# Models

This page is generated: run `uv run python -m tools.models_table`. It lists the models that have a
name, and the [files of models](#files) that were tried. The column *verified* says what the tests
check:

- *weights run*: imported with the trained weights from the package. The model recognises sample
  photos (`tests/model_inventory/test_efficientnet_lite.py`).
- *architecture run*: built by Keras with random weights at a small image size, traced, frozen,
  and compared with Keras on noise. Images are prepared like in the Keras module, and the name of
  the weight file is checked (`tests/model_inventory/keras/test_applications.py`). The ImageNet
  weights were not run: Keras fetches them. ConvNeXt Tiny, DenseNet-121, EfficientNet B0,
  EfficientNetV2 B0, InceptionResNet V2 and NASNet Mobile were built with fewer of the blocks that
  they repeat.
- *architecture rendered*: the same, and sprites are rendered. All main layers and the logits are
  compared with Keras after BatchNorm is folded
  (`tests/tasks/rendering/test_any_keras_model.py`).
- *family run*: the smallest network of the family is run. Of this one, the image size, the name
  of the weight file and the preparation of images are checked.
- *metadata only*: taken from lucid's classes (`tests/model_inventory/lucid/test_zoo.py`). The path
  from the weights to sprites runs with a small made-up graph under some of these names. The
  published files were not run.

*Main* is the number of layers that `--layers main` selects. Layers and channels of
keras.applications are counted on import; see `diamond-cutter models show`.

*Top-1* is the accuracy on ImageNet, measured with one crop of each validation image. It links to
the page that states it. The cell is empty if no page states it for these weights. TF-Slim measured
ResNet V2 on images of 299 x 299 pixels.

| model | image | values | layers | main | channels | classes | top-1 | verified |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
# The links of the column top-1, by number, so that rows stay short.
SOURCES = tuple(dict.fromkeys(accuracy.source for accuracy in PUBLISHED_ACCURACY.values()))
# Must be equal to the list in the test that renders them.
RENDERED = (
    "keras/resnet50",
    "keras/inceptionv3",
    "keras/densenet121",
    "keras/vgg16",
    "keras/convnexttiny",
    "keras/efficientnetv2b0",
    "keras/mobilenetv2",
)
# Run and rendered with fewer of the blocks that they repeat.
FEWER_BLOCKS = (
    "keras/convnexttiny",
    "keras/densenet121",
    "keras/efficientnetb0",
    "keras/efficientnetv2b0",
    "keras/inceptionresnetv2",
    "keras/nasnetmobile",
)
# Larger sizes of a family, which have the same kinds of layers as its smallest.
OF_A_FAMILY = (
    *(f"keras/convnext{size}" for size in ("small", "base", "large", "xlarge")),
    "keras/densenet169",
    "keras/densenet201",
    *(f"keras/efficientnetb{number}" for number in range(1, 8)),
    *(f"keras/efficientnetv2{size}" for size in ("b1", "b2", "b3", "s", "m", "l")),
    "keras/nasnetlarge",
    "keras/resnet101",
    "keras/resnet101v2",
    "keras/resnet152",
    "keras/resnet152v2",
    "keras/vgg19",
)


def main() -> None:
    """Write the page."""
    TABLE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the text of the page."""
    return (
        HEAD
        + "\n".join(
            "| " + " | ".join(map(str, _cells(listing))) + " |" for listing in list_models()
        )
        + "\n\n"
        + "".join(f"[{number}]: {source}\n" for number, source in enumerate(SOURCES, 1))
        + files_section()
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
            _verified(name),
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
        _top1(name),
        verified,
    ]


def _top1(name: str) -> str:
    """Return the accuracy of a model with a link to its source, empty without one."""
    accuracy = published_accuracy(name)
    if accuracy is None:
        return ""
    return f"[{accuracy.top1:.1%}][{SOURCES.index(accuracy.source) + 1}]"


def _verified(name: str) -> str:
    if name in OF_A_FAMILY:
        return "family run"
    return "architecture rendered" if name in RENDERED else "architecture run"


def _values(image: ImageSpec) -> str:
    """Return the values of black and white at a model's input, in words."""
    words = {f"{low:.4g} to {high:.4g}" for low, high in image.value_range}
    return ("a range for each channel" if len(words) > 1 else words.pop()) + (
        ", BGR" if image.channel_order == "bgr" else ""
    )


if __name__ == "__main__":
    main()
