"""Measures a training against the bare forward and backward pass of the same graph.

    uv run python benchmarks/training.py
    uv run python benchmarks/training.py --unfreeze block_8 --conv 64

The training reads decoded images from memory, varies them, computes gradients, and moves the
weights, for some epochs. The bare pass computes the gradients of one batch in memory, as often as
the training takes a step. Both run in turn, in one process. The script prints the ratio of the
times in each round, for each strength of variation, and exits with 1 if a training with light
variations takes more than 1.3 times as long.
"""

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import numpy.typing as npt
from cyclopts import App

HIGHEST_RATIO, CLASSES = 1.3, 4

app = App()


class MadeUpPictures:
    """Images in memory, as `Pictures` keeps them."""

    def __init__(self, count: int, shape: tuple[int, int, int]) -> None:
        stream = np.random.default_rng(0)
        self._pixels = stream.integers(0, 256, (count, *shape)).astype(np.uint8)

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return images by their places, uint8 `[batch, height, width, channel]`."""
        return self._pixels[places]


@app.default
def main(
    *,
    model: str = "efficientnet-lite0",
    at: str = "block_12",
    conv: tuple[int, ...] = (),
    unfreeze: str | None = None,
    batch: int = 32,
    steps: int = 4,
    epochs: int = 16,
    rounds: int = 3,
) -> None:
    """Compare the times."""
    median = 0.0
    for strength in ("none", "strong", "light"):
        spec = {"at": (at,), "convolutions": conv, "unfreeze": unfreeze, "augment": strength}
        bare, train = runs(model, spec, batch, steps, epochs)
        bare()
        train()
        ratios = []
        for number in range(rounds):
            bare_s, ours_s = _seconds(bare), _seconds(train)
            ratios.append(ours_s / bare_s)
            images = epochs * steps * batch
            print(
                f"{strength}, round {number + 1}: bare {images / bare_s:6.1f} images/s, "
                f"training {images / ours_s:6.1f} images/s, ratio {ratios[-1]:.2f}",
                flush=True,
            )
        median = float(np.median(ratios))
        print(f"{strength}: training takes {median:.2f} times the bare pass (median)", flush=True)
    sys.exit(0 if median <= HIGHEST_RATIO else 1)


def runs(
    model: str, spec: dict[str, object], batch: int, steps: int, epochs: int
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return two functions of equally many steps: bare gradients, and a training."""
    import tensorflow as tf

    from diamond_cutter.model_inventory.catalogue import import_model
    from diamond_cutter.model_inventory.graph.new_layers import initial_weights
    from diamond_cutter.tasks.attaching import loop
    from diamond_cutter.tasks.attaching.bundling import attached_to
    from diamond_cutter.tasks.attaching.checkpoints import State
    from diamond_cutter.tasks.attaching.network import TrainedNetwork
    from diamond_cutter.tasks.attaching.spec import AttachSpec

    bundle, made = import_model(model), AttachSpec.model_validate({**spec, "epochs": epochs})
    attached = attached_to(bundle, made, "")
    channels = [bundle.card.layer(name).channels for name in made.at]
    weights = initial_weights(attached, channels, CLASSES, 0)
    pictures = MadeUpPictures(batch * steps, bundle.card.image.shape)
    labels = (np.arange(batch * steps) % CLASSES).astype(np.int64)
    training = loop.Training(
        spec=made,
        images=loop.Images(pictures, labels, labels, pictures, labels),  # type: ignore[arg-type]
        class_weights=np.ones(CLASSES, np.float32),
        decay=1e-4,
        batch=batch,
        network=lambda first, values: TrainedNetwork(bundle, attached, first, values),
        keep=lambda state: None,
        on_progress=lambda done, line: None,
    )
    network = training.network(made.unfreeze, weights)
    phase = loop.Phase(training, 0, network, State(weights, weights))
    gradients = tf.function(
        lambda pixels, classes, ones: network.gradients(
            network.prepare(pixels), classes, ones, training.decay
        ),
        autograph=False,
    )
    held = tf.constant(pictures.read(np.arange(batch)).astype(np.float32))
    classes, ones = tf.constant(labels[:batch]), tf.ones([batch])

    def bare() -> None:
        for _ in range(epochs * steps):
            gradients(held, classes, ones).loss.numpy()

    def train() -> None:
        phase.begin_inputs()
        for epoch in range(1, epochs + 1):
            phase.steps(epoch)

    return bare, train


def _seconds(run: Callable[[], None]) -> float:
    clock = time.perf_counter()
    run()
    return time.perf_counter() - clock


if __name__ == "__main__":
    app()
