"""Measures features against the bare forward pass of the same graph, and their memory.

    uv run python benchmarks/features.py speed --images 256 --rounds 5
    uv run python benchmarks/features.py memory --images 1000 10000

`speed` computes the features of all main layers in one pass, from pixels in memory, and the bare
forward pass up to the last of these layers, in turn, in one process. It prints the ratio of the two
rates in each round. `memory` computes and commits the features of made-up images in a process for
each count, as a device's process does, and prints the highest resident memory of each.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
from cyclopts import App, Parameter
from PIL import Image

LEAST_RATIO, FLAT_WITHIN = 0.8, 0.1

app = App()


@app.command
def speed(*, model: str = "efficientnet-lite0", images: int = 256, rounds: int = 5) -> None:
    """Compare the rates, and exit with 1 if features reach less than 80 % of the bare rate."""
    import tensorflow as tf

    from diamond_cutter.model_inventory.bundle import layer_graph, to_model_input
    from diamond_cutter.model_inventory.catalogue import import_model
    from diamond_cutter.model_inventory.graph.graph_def import run_inside
    from diamond_cutter.tasks.features.extraction import BATCH, feature_function, features_of

    bundle = import_model(model)
    layers = [layer.name for layer in bundle.card.select_layers(["main"])]
    graph, tensors = layer_graph(bundle, layers[-1:])

    @tf.function(autograph=False)
    def bare(batch: tf.Tensor) -> tf.Tensor:
        return run_inside(
            graph, bundle.card.input_tensor, to_model_input(batch, bundle.card), tensors
        )[0]

    pixels = np.random.default_rng(0).integers(0, 256, (images, *bundle.card.image.shape))
    pixels = pixels.astype(np.uint8)
    function = feature_function(bundle, layers, "average")

    def run_bare() -> None:
        for first in range(0, images, BATCH):
            batch = tf.constant(pixels[first : first + BATCH], tf.float32) / 255.0
            bare(batch).numpy()

    def run_features() -> None:
        features_of(function, pixels, lambda done: None)

    run_bare()
    run_features()
    ratios = []
    for number in range(rounds):
        bare_s, ours_s = _seconds(run_bare), _seconds(run_features)
        ratios.append(bare_s / ours_s)
        print(
            f"round {number + 1}: bare {images / bare_s:6.1f} images/s, {len(layers)} layers "
            f"{images / ours_s:6.1f} images/s, ratio {ratios[-1]:.2f}",
            flush=True,
        )
    median = float(np.median(ratios))
    print(f"features of {len(layers)} layers of {model}: {median:.2f} of the bare rate (median)")
    sys.exit(0 if median >= LEAST_RATIO else 1)


def _seconds(run: object) -> float:
    clock = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - clock


@app.command
def memory(
    *,
    images: Annotated[tuple[int, int], Parameter(consume_multiple=True)] = (1000, 10_000),
    model: str = "efficientnet-lite0",
) -> None:
    """Compare the memory, and exit with 1 if that of more images is more than 10 % higher."""
    peaks = []
    for count in images:
        command = [sys.executable, __file__, "peak", str(count), "--model", model]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
        print(f"{count:6,} images: {peaks[-1]:8.1f} MB", flush=True)
    growth = peaks[1] / peaks[0] - 1
    print(f"with {images[1] / images[0]:.0f} times as many images, memory grew by {growth:.1%}")
    sys.exit(0 if growth <= FLAT_WITHIN else 1)


@app.command
def peak(images: int, *, model: str = "efficientnet-lite0") -> None:
    """Compute the features of as many images, and print this process's highest memory in MB."""
    from diamond_cutter.tasks.attribution.batches import NumberedImage
    from diamond_cutter.tasks.features.job import FeaturesJob, features_and_commit
    from diamond_cutter.tasks.features.spec import CutSpec
    from diamond_cutter.tasks.features.stored import batch_ranges
    from diamond_cutter.tasks.importing.stored import import_bundle
    from diamond_cutter.tasks.photos.image_set import FoundImage

    with tempfile.TemporaryDirectory() as place:
        card = import_bundle(f"{place}/bucket", model)
        spec = CutSpec(layers=tuple(layer.name for layer in card.select_layers(["main"])))
        files = _made_up_files(Path(place))
        for numbers in batch_ranges(images):
            chosen = tuple(
                NumberedImage(number, FoundImage(str(number), files[number % len(files)], "a"))
                for number in numbers
            )
            features_and_commit(
                FeaturesJob(
                    f"{place}/bucket",
                    card.key,
                    "made-up@0",
                    spec,
                    chosen,
                    card.image.shape,
                    (card.image.shape,),
                )
            )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def _made_up_files(place: Path) -> list[str]:
    stream, files = np.random.default_rng(0), []
    for number in range(16):
        path = place / f"{number}.jpg"
        Image.fromarray(stream.integers(0, 256, (300, 400, 3)).astype(np.uint8)).save(path)
        files.append(str(path))
    return files


if __name__ == "__main__":
    app()
