"""Train new layers in a device's process, and make a bundle of the result."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.attaching.checkpoints import (
    Arrays,
    State,
    keep_epoch,
    keep_result,
    last_epoch,
    stored_result,
)
from diamond_cutter.tasks.attaching.job import AttachJob, images_in_step
from diamond_cutter.tasks.attaching.spec import AttachSpec
from diamond_cutter.tasks.cutting.probe import wilson_interval
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.importing.stored import keep_bundle, read_bundle
from diamond_cutter.tasks.training.pictures import Pictures
from diamond_cutter.tasks.versions import software_versions

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle
    from diamond_cutter.tasks.attaching.loop import Images, Training

_OUT_OF_MEMORY = "the memory was too small for {batch} images in a step: {smaller} were taken"


def bundle_and_commit(bucket_url: str, folder: str, name: str, spec: AttachSpec) -> ModelCard:
    """Make the bundle of a finished training in this process, and store it."""
    from diamond_cutter.tasks.attaching.bundling import attached_bundle

    bucket = open_bucket(bucket_url)
    record = stored_result(bucket, folder)
    if record is None:
        raise RuntimeError(f"{folder} has no result")
    source = read_bundle(bucket_url, record.model)
    return keep_bundle(bucket_url, attached_bundle(bucket, folder, record, source, name, spec))


def train_and_commit(job: AttachJob) -> None:
    """Train new layers in this process, test them, and commit the result."""
    import tensorflow as tf

    train, _ = job.parts()
    batch = images_in_step(len(train), job.spec.batch)
    try:
        _train(job, batch, ())
    except (tf.errors.ResourceExhaustedError, MemoryError):
        smaller = max(2, batch // 2)
        _train(job, smaller, (_OUT_OF_MEMORY.format(batch=batch, smaller=smaller),))


def _train(job: AttachJob, batch: int, problems: tuple[str, ...]) -> None:
    from diamond_cutter.tasks.attaching import loop
    from diamond_cutter.tasks.attaching.chart import history_chart

    clock, bucket = time.perf_counter(), open_bucket(job.bucket)
    bundle = read_bundle(job.bucket, job.model)
    common = {"model": job.model, "division": job.dataset.division, "batch": batch}
    training, start = _begun(job, bundle, common)
    state = loop.train(training, last_epoch(bucket, job.folder, common) or start)
    if state.diverged:
        problems = (*problems, _diverged(state))
    test = [job.images[number] for number in job.dataset.test.numbers]
    images = training.images
    facts = {
        **common,
        "dataset": job.dataset_name,
        "classes": job.dataset.classes,
        "history": state.history,
        "best": state.best_place,
        "test_images": [image.name for image in test],
        "images": (len(images.train), len(images.validation), len(test)),
        **_tested(job, training, state, Pictures(test, bundle.card.image.shape)),
        "problems": problems,
        "seconds": round(time.perf_counter() - clock, 3),
        "versions": software_versions(),
    }
    chart = history_chart(state.history, state.best_place)
    keep_result(bucket, job.folder, state.best, chart, facts)


def _begun(job: AttachJob, bundle: "Bundle", common: Mapping[str, Any]) -> tuple["Training", State]:
    """Return a training, and the state with which it begins."""
    from diamond_cutter.model_inventory.graph.new_layers import initial_weights
    from diamond_cutter.tasks.attaching.bundling import attached_to
    from diamond_cutter.tasks.attaching.loop import Training
    from diamond_cutter.tasks.attaching.network import TrainedNetwork
    from diamond_cutter.tasks.attaching.start import begin

    attached, bucket = attached_to(bundle, job.spec, job.folder), open_bucket(job.bucket)
    images, classes = _images(job, bundle), len(job.dataset.classes)
    channels = [bundle.card.layer(name).channels for name in attached.at]

    def network(unfreeze: str | None, weights: Arrays) -> TrainedNetwork:
        return TrainedNetwork(bundle, attached, unfreeze, weights)

    initial = network(None, initial_weights(attached, channels, classes, job.spec.seed))
    start, decay = begin(images, initial, common["batch"], job.spec.seed)
    training = Training(
        spec=job.spec,
        images=images,
        class_weights=_class_weights(images.train_labels, classes),
        decay=decay,
        batch=common["batch"],
        network=network,
        keep=lambda state: keep_epoch(bucket, job.folder, state, common),
        on_progress=lambda done, line: report_progress((done, line)),
    )
    return training, start


def _images(job: AttachJob, bundle: "Bundle") -> "Images":
    from diamond_cutter.tasks.attaching.loop import Images

    part = job.dataset.choosing
    train, held = job.parts()

    def pictures(places: npt.NDArray[np.int64]) -> Pictures:
        chosen = [job.images[number] for number in part.numbers[places]]
        return Pictures(chosen, bundle.card.image.shape)

    return Images(
        pictures(train),
        part.labels[train],
        part.groups[train],
        pictures(held),
        part.labels[held],
    )


def _class_weights(labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """Return the weight of each class: all classes count alike, and an image counts 1 on average.

    Args:
        labels: of the training images, int64 `[image]`.
        classes: number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)


def _tested(
    job: AttachJob, training: "Training", state: State, pictures: Pictures
) -> dict[str, float]:
    """Return the accuracy on the test images, with its interval."""
    from diamond_cutter.tasks.attaching.inputs import of_all, unvaried

    test = job.dataset.test
    network = training.network(job.spec.unfreeze, state.best)
    inputs = unvaried(network.prepare, pictures, training.batch)
    logits = of_all(network.logits, inputs)
    accuracy = float((logits.argmax(1) == test.labels).mean())
    low, high = wilson_interval(accuracy, len(np.unique(test.groups)))
    return {"test_accuracy": accuracy, "test_low": low, "test_high": high}


def _diverged(state: "State") -> str:
    best = state.history[state.best_place]
    return (
        f"the loss was not finite after epoch {state.history[-1].epoch} of phase "
        f"{state.history[-1].phase + 1}: the weights of epoch {best.epoch} of phase "
        f"{best.phase + 1} were kept. Choose a smaller --rate"
    )
