"""Measures attribution over a folder of images: its rate, its memory, and its checks.

    uv run python benchmarks/attribution.py rate FOLDER
    uv run python benchmarks/attribution.py memory FOLDER --images 1000 10000
    uv run python benchmarks/attribution.py checks FOLDER --images 48

`rate` runs a part of the images as a device's process does, from the files to the table. It takes
turns with the floor: forward and backward passes of the same graph on images in memory. The ratio
of the rates is higher the less decoding, sums and writing cost.

`memory` attributes folders with so many links to the images and builds the report, without
rendering sprites. Each folder has its own process, whose peak memory is printed.

`checks` prints for both methods how far attributions to the highest logit are from adding up, and
how much of the logit is lost when the channels that they name are silenced.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As in the processes of devices.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from cyclopts import App, Parameter

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.attribution.batches import BATCH, NumberedImage
from diamond_cutter.tasks.attribution.job import ImagesJob, attribute_and_commit
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.attribution.task import IMAGES_AT_ONCE
from diamond_cutter.tasks.importing.stored import import_bundle, read_bundle, read_card
from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.image_set import ImageSet
from diamond_cutter.tasks.reporting.choosing import evenly
from diamond_cutter.tasks.reporting.dataset_sums import sum_measurements
from diamond_cutter.tasks.reporting.details import detail_and_commit
from diamond_cutter.tasks.reporting.stored import image_tables, stored_details
from diamond_cutter.tasks.reporting.task import ReportJob, publish_report

Layers = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]

app = App()


@app.command
def rate(
    folder: str,
    *,
    model: str = "efficientnet-lite0",
    layers: Layers = ("block_0", "block_2", "block_4", "block_10", "head"),
    rounds: int = 5,
) -> None:
    """Print images per second of the whole pipeline, and of the network alone."""
    with tempfile.TemporaryDirectory() as bucket:
        card = import_bundle(bucket, model)
        images = cycle(find_images(folder).images)
        numbered = tuple(
            NumberedImage(number, image)
            for number, image in enumerate(islice(images, IMAGES_AT_ONCE))
        )
        spec = AttributionSpec(layers=layers, sprites="none")
        job = ImagesJob(bucket, card.key, "benchmark", spec, numbered)
        floor = _floor(read_bundle(bucket, card.key), job)
        seconds: dict[str, list[float]] = {"whole": [], "floor": []}
        for attempt in range(rounds + 1):  # the first traces
            begun = time.perf_counter()
            floor()
            between = time.perf_counter()
            attribute_and_commit(_again(job, attempt))
            ended = time.perf_counter()
            if attempt:
                seconds["floor"].append(between - begun)
                seconds["whole"].append(ended - between)
    shares = [
        floor / whole for floor, whole in zip(seconds["floor"], seconds["whole"], strict=True)
    ]
    for name, spent in seconds.items():
        print(f"{name}: {len(numbered) / statistics.median(spent):.1f} images per second")
    each = ", ".join(f"{100 * share:.0f}" for share in shares)
    print(
        f"{', '.join(layers)}: the whole runs at {100 * statistics.median(shares):.0f} % of the "
        f"floor; by round: {each} %"
    )


def _floor(bundle: Bundle, job: ImagesJob) -> Callable[[], None]:
    """Return the bare forward and backward passes of a job, on images in memory."""
    import numpy as np
    import tensorflow as tf

    from diamond_cutter.tasks.attribution.network import network_of
    from diamond_cutter.tasks.attribution.score import choose, score_of
    from diamond_cutter.tasks.photos.reading import read_image

    network, spec, shape = network_of(bundle, job.spec.layers), job.spec, bundle.card.image.shape

    @tf.function(input_signature=[tf.TensorSpec([None, *shape])], autograph=False)
    def bare(pixels: tf.Tensor) -> list[tf.Tensor]:
        *activations, logits = network.run(pixels, [*network.tensors, network.logits])
        score = score_of(logits, choose(logits, spec.positive, spec.negative))
        return tf.gradients(tf.reduce_sum(score), activations)

    pixels = np.stack([read_image(each.image, shape) for each in job.images[:BATCH]])

    def passes() -> None:
        for _ in range(len(job.images) // BATCH):
            bare(tf.constant(pixels))[0].numpy()

    return passes


def _again(job: ImagesJob, attempt: int) -> ImagesJob:
    """Return the same job under another name, so that it is done and written again."""
    return ImagesJob(job.bucket, job.model, f"benchmark-{attempt}", job.spec, job.images)


@app.command
def memory(
    folder: str,
    *,
    images: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (1000, 10_000),
    model: str = "efficientnet-lite0",
    layers: Layers = ("block_10", "head"),
) -> None:
    """Print the peak memory for several numbers of images."""
    peaks: list[tuple[float, float]] = []
    for count in images:
        command = [
            sys.executable,
            __file__,
            "one",
            folder,
            str(count),
            "--model",
            model,
            "--layers",
            *layers,
        ]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        measured, whole = map(float, printed.split()[-2:])
        peaks.append((measured, whole))
        print(
            f"{count} images: peak {measured:.0f} MB up to the sums, {whole:.0f} MB in all",
            flush=True,
        )
    first, last = (
        100 * (after / before - 1) for before, after in zip(peaks[0], peaks[-1], strict=True)
    )
    print(
        f"{images[-1]} images take {first:.1f} % more than {images[0]} up to the sums, "
        f"{last:.1f} % in the whole run"
    )


@app.command
def checks(
    folder: str,
    *,
    model: str = "efficientnet-lite0",
    layers: Layers = ("block_10", "block_12", "head"),
    images: int = 48,
) -> None:
    """Print medians over images by method and layer: completeness error, and loss by ablation."""
    import numpy as np
    import tensorflow as tf

    from diamond_cutter.tasks.attribution.attribution import attribution_function
    from diamond_cutter.tasks.attribution.batches import batches
    from diamond_cutter.tasks.attribution.checks import check_function
    from diamond_cutter.tasks.attribution.network import network_of

    with tempfile.TemporaryDirectory() as bucket:
        card = import_bundle(bucket, model)
        network = network_of(read_bundle(bucket, card.key), layers)
        chosen = [
            NumberedImage(number, image)
            for number, image in enumerate(evenly(find_images(folder).images, images))
        ]
        for method, steps in (("gradient", 1), ("integrated", 100)):
            spec = AttributionSpec(
                layers=layers, negative="none", method=method, steps=steps, sprites="none"
            )
            attribute, check = attribution_function(network, spec), check_function(network, spec)
            found = [
                check(
                    batch.pixels,
                    tf.constant([image.number for image in batch.images], tf.int32),
                    [layer.channels for layer in attribute(batch.pixels).layers],
                )
                for batch in batches(chosen, card.image.shape, {})
            ]
            for place, layer in enumerate(layers):
                error, top, random = (
                    np.median(np.concatenate([batch[place][what] for batch in found]))
                    for what in range(3)
                )
                print(
                    f"{method}, {layer}: error {error:.2%}, lost without top 5 % {top:.3f}, "
                    f"without random 5 % {random:.3f}",
                    flush=True,
                )


@app.command
def one(folder: str, count: int, *, model: str, layers: Layers) -> None:
    """Explain `count` images in this process, and print its peak memory in MB."""
    with tempfile.TemporaryDirectory() as place:
        bucket, many = f"{place}/bucket", Path(place, "many")
        many.mkdir()
        copies = Path(shutil.copytree(folder, f"{place}/copies"))
        for number, image in enumerate(islice(cycle(find_images(str(copies)).images), count)):
            os.link(image.place, many / f"{number:05d}{Path(image.place).suffix}")
        card = import_bundle(bucket, model)
        spec = AttributionSpec(layers=layers, sprites="none", shown=100)
        found = find_images(str(many))
        explain(bucket, card.key, found, spec)
    print(f"{peak_mb():.0f}")


def peak_mb() -> float:
    """Return this process's peak memory in MB; getrusage's includes that of its parent."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1000


def explain(bucket_url: str, model: str, found: ImageSet, spec: AttributionSpec) -> None:
    """Run everything of a run in this process, except for rendering sprites."""
    bucket = open_bucket(bucket_url)
    card = read_card(bucket, model)
    if card is None:
        raise LookupError(model)
    numbered = tuple(NumberedImage(number, image) for number, image in enumerate(found.images))
    parts = range(0, len(numbered), IMAGES_AT_ONCE)
    jobs = [
        ImagesJob(bucket_url, model, found.name, spec, numbered[first : first + IMAGES_AT_ONCE])
        for first in parts
    ]
    for job in jobs:
        attribute_and_commit(job)
    keys = tuple(job.record_key for job in jobs)
    reduced = sum_measurements(image_tables(bucket, keys))
    print(f"{peak_mb():.0f}", flush=True)
    shown = tuple(
        numbered[number] for number in evenly([line.image for line in reduced.images], spec.shown)
    )
    details_job = ImagesJob(bucket_url, model, found.name, spec, shown)
    detail_and_commit(details_job)
    details = stored_details(bucket, details_job.folder)
    if details is None:
        raise LookupError(details_job.folder)
    publish_report.fn(ReportJob(bucket_url, card, found, spec, keys, {}, {}), reduced, details)


if __name__ == "__main__":
    app()
