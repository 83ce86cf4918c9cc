"""Try the preprocessings of a model on labelled images, and judge them."""

import shlex
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from diamond_cutter.model_inventory.card import ImageSpec, ModelCard
from diamond_cutter.model_inventory.catalogue import is_known
from diamond_cutter.model_inventory.preprocessing import (
    known_preprocessing,
    options_of,
    preprocessing_in_words,
)
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.attribution.label_classes import label_class
from diamond_cutter.tasks.checking.candidates import other_preprocessings
from diamond_cutter.tasks.checking.job import CheckJob, Classified, classify
from diamond_cutter.tasks.checking.verdict import PreprocessingCheck, judge
from diamond_cutter.tasks.devices import DeviceSlots

_NAME_LENGTH = 70


def check_images(
    bucket_url: str,
    model: str,
    card: ModelCard,
    images: Sequence[NumberedImage],
    slots: DeviceSlots,
    timeout_s: float,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[PreprocessingCheck | None, Mapping[str, str]]:
    """Return the verdict on images whose labels are classes, and the unreadable ones.

    Args:
        bucket_url: of the model.
        model: its name, with or without the hash.
        card: of the model, with labels.
        images: the labelled images.
        slots: the devices.
        timeout_s: time limit.
        on_progress: receives the number of images of each batch.

    Returns:
        None instead of the verdict if no image is readable; the reasons by name.
    """
    tried = {options_of(card.image): card.image} | other_preprocessings(card.image)
    job = CheckJob(bucket_url, model, tuple(images), tuple(tried.values()))
    found = slots.run(classify, job, timeout_s=timeout_s, on_progress=on_progress)
    return (_judged(card, images, tried, found) if found.numbers else None), found.refused


def _judged(
    card: ModelCard,
    images: Sequence[NumberedImage],
    tried: Mapping[str, ImageSpec],
    found: Classified,
) -> PreprocessingCheck:
    by_number = {each.number: each.image for each in images}
    labels = np.array([label_class(card, by_number[number]) for number in found.numbers])
    classes = {
        options: (preprocessing_in_words(image), predicted)
        for (options, image), predicted in zip(tried.items(), found.classes, strict=True)
    }
    check = judge(card.name, labels, classes, card.check_logits().channels)
    if check.better is None:
        return check
    return check.model_copy(
        update={"command": _add_command(card, tried[check.better.options], check.better.options)}
    )


def _add_command(card: ModelCard, image: ImageSpec, options: str) -> str | None:
    """Return the command that adds a user's model with another preprocessing.

    The model gets another name: its sprites and features in the bucket belong to the present
    preprocessing. Known models and models from `attach` are not added from a file.
    """
    if is_known(card.name) or card.attached is not None:
        return None
    name = f"{card.name[:_NAME_LENGTH]}-{known_preprocessing(image) or 'rescaled'}"
    words = ["diamond-cutter models add", shlex.quote(card.source.origin), "--name", name]
    words += ["--labels LABELS"] if card.labels else []
    height, width, _ = image.shape
    if height == width and all(layer.any_size for layer in card.layers):
        words.append(f"--image-size {height}")
    return " ".join([*words, options])
