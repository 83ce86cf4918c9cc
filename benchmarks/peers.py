"""Compares our renderer with xplique 2 and lucent on the same channels of the same network.

    uv sync --group peers && uv pip install torch && uv pip uninstall triton
    .venv/bin/python benchmarks/peers.py --layer block_10.depthwise --channels 8

PyTorch is not in the group, because PyPI's wheel for Linux brings several gigabytes of CUDA
libraries. PyTorch's own index has wheels for the CPU. Triton, which comes with PyTorch, has an LLVM
that ends processes which also contain TensorFlow's.

Seconds per sprite and objective of four methods, each with its own defaults, all sprites of our
recipe's size:

- ours: the default recipe, batches of 16; the trace, once per layer, does not count;
- xplique `optimize`: 256 steps, half of the channels in a batch; it traces in each call, which
  counts;
- lucent `render_vis`: PyTorch, 512 steps, one sprite at a time (batches were no faster at 224 px);
- xplique `maco`: 256 steps of 32 crops each. It takes minutes per sprite, so it draws only channel
  0. With fewer `--maco-steps` the time of 256 steps is computed, and nothing is scored.

They take turns, so that changes of the machine's speed affect all of them. The seconds of all cores
show times that other work on the machine would hide.

All use EfficientNet-Lite with the same weights, RGB, values `(x * 255 - 127) / 128`. Xplique runs
our bundle's graph as a Keras layer, with BatchNorm not folded, cut behind the layer. A network of
Keras layers took as long. Lucent runs `efficientnet_lite_pytorch`. Its weights are frozen, which
saves half of the backward pass. Lucent leaves that to its user. PyTorch's threads sleep while they
wait, because otherwise it is many times slower on busy cores.

The networks' inputs differ. Ours is 140 px, and the sprite keeps its size. Lucent enlarges sprite
and frame to 224 px. Xplique enlarges a part of the sprite, usually near its middle, to the model's
input: `optimize` about a third of its side, blurred, `maco` a half to a twentieth. That takes them
more time and makes the patterns in their sprites smaller. So there are two objectives, both mean
activations of the channel. One is under fresh draws of lucid's standard transforms, with the sprite
in its own size. The other is under fresh draws of the peer's own transforms, which it maximised.
`--peer-input-px 140` gives all networks the same input. MaCo was made for larger sprites: its
default is 512 px.
"""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from cyclopts import App, Parameter
from cyclopts.validators import Number
from PIL import Image

from benchmarks.peer_renderers import (
    LUCENT_STEPS,
    SIZE_PX,
    XPLIQUE_STEPS,
    Lucent,
    Maco,
    Optimize,
    Ours,
    Peer,
    Renderer,
)
from benchmarks.render import FRESH_TRANSFORMS, OUR_SHARD, lucid_objective
from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

ROUNDS = 2

app = App()


@dataclass
class Method:
    """A renderer with its default number of steps, its times and its sprites."""

    renderer: Renderer
    steps: int
    seconds: list[float] = field(default_factory=list)  # per sprite, in each turn
    cpu_seconds: list[float] = field(default_factory=list)  # of all threads
    sprites: list[np.ndarray] = field(default_factory=list)

    def take_turn(self, channels: list[int]) -> None:
        """Draw some sprites and note the time."""
        started, cpu_started = time.perf_counter(), time.process_time()
        drawn = self.renderer.draw(channels)
        self.seconds.append((time.perf_counter() - started) / len(channels))
        self.cpu_seconds.append((time.process_time() - cpu_started) / len(channels))
        self.sprites += drawn


@app.default
def main(
    *,
    model: str = "efficientnet-lite0",
    layer: str = "block_10.depthwise",
    channels: Annotated[int, Parameter(validator=Number(gte=ROUNDS))] = 8,
    peer_input_px: int | None = None,
    maco_steps: Annotated[
        int, Parameter(validator=Number(gte=2, lte=XPLIQUE_STEPS))
    ] = XPLIQUE_STEPS,
    json_file: Annotated[Path | None, Parameter("--json")] = None,
    png: Path | None = None,
) -> None:
    """Measure and print; write the figures as a JSON object, and sprites as rows of a PNG."""
    bundle = import_model(model)
    input_px = peer_input_px or bundle.card.image.height
    tf.keras.utils.set_random_seed(0)
    methods = take_turns(bundle, model, layer, input_px, channels)
    methods["xplique maco"] = draw_maco(bundle, layer, input_px, maco_steps)
    our = methods["ours"]
    result = {name: figures(bundle, layer, method, our) for name, method in methods.items()}
    print(
        f"{model}, {layer}, {SIZE_PX} px; input of the peers' networks {input_px} px, of ours "
        f"{RenderRecipe().input_px} px"
    )
    report(result)
    if maco_steps < XPLIQUE_STEPS:
        print(
            f"maco did not run to its end: the time of {XPLIQUE_STEPS} steps is computed from "
            f"that of {maco_steps}"
        )
    if json_file:
        json_file.write_text(json.dumps(result, indent=1) + "\n")
    if png:
        save(png, methods.values(), channels)


def take_turns(
    bundle: Bundle, model: str, layer: str, input_px: int, channels: int
) -> dict[str, Method]:
    """Draw the channels with ours, xplique's `optimize` and lucent."""
    our = Method(Ours(bundle, layer), RenderRecipe().steps)
    optimize = Method(Optimize(bundle, layer, input_px), XPLIQUE_STEPS)
    lucent = Method(Lucent(model, layer, input_px), LUCENT_STEPS)
    our.renderer.draw([0])  # traces the layer, once for all its channels
    for half in np.array_split(range(channels), ROUNDS):
        # Full shards in each round, as in a run over a layer.
        our.take_turn(list(range(max(channels, OUR_SHARD))))
        optimize.take_turn(half.tolist())
        lucent.take_turn(half.tolist())
    del our.sprites[channels:]
    return {"ours": our, "xplique optimize": optimize, "lucent render_vis": lucent}


def draw_maco(bundle: Bundle, layer: str, input_px: int, steps: int) -> Method:
    """Draw channel 0 with MaCo; with fewer steps than all, compute the time of all."""
    maco = Method(Maco(bundle, layer, input_px, steps), XPLIQUE_STEPS)
    maco.take_turn([0])
    if steps == XPLIQUE_STEPS:
        return maco
    first = Method(Maco(bundle, layer, input_px, 1), 1)
    first.take_turn([0])
    return all_of_maco(first, maco, steps)


def all_of_maco(first: Method, some: Method, steps: int) -> Method:
    """Return MaCo with the times of all steps, computed from those of one step and of some.

    The first step is mostly tracing.
    """

    def of_all(first_s: float, some_s: float) -> list[float]:
        return [first_s + (some_s - first_s) / (steps - 1) * (XPLIQUE_STEPS - 1)]

    return Method(
        some.renderer,
        XPLIQUE_STEPS,
        of_all(first.seconds[0], some.seconds[0]),
        of_all(first.cpu_seconds[0], some.cpu_seconds[0]),
    )


def figures(bundle: Bundle, layer: str, method: Method, our: Method) -> dict[str, float | None]:
    """Return the figures of a method, and our objective on the same channels."""
    seconds, count = float(np.mean(method.seconds)), len(method.sprites)
    found: dict[str, float | None] = {
        "steps": method.steps,
        "sprites": count,
        "s": seconds,
        "times_ours": seconds / float(np.mean(our.seconds)),
        "cpu_s": float(np.mean(method.cpu_seconds)),
        "cpu_times_ours": float(np.mean(method.cpu_seconds) / np.mean(our.cpu_seconds)),
        "objective": None,
        "ours_objective": None,
        "own_objective": None,
    }
    if count:
        sprites, ids = np.stack(method.sprites), list(range(count))
        found["objective"] = lucid_objective(bundle, layer, sprites, ids)
        found["ours_objective"] = lucid_objective(bundle, layer, np.stack(our.sprites[:count]), ids)
        if method is not our:
            found["own_objective"] = own_objective(method.renderer, sprites)
    return found


def own_objective(peer: Peer, sprites: np.ndarray) -> float:
    """Return the mean objective of a peer's sprites under fresh draws of its own transforms."""
    looks = (peer.look(sprites) for _ in range(FRESH_TRANSFORMS))
    return float(np.mean([[look[i, ..., i].mean() for i in range(len(sprites))] for look in looks]))


def report(result: dict[str, dict[str, float | None]]) -> None:
    """Print the result as a table."""
    headings = {
        "steps": "steps",
        "sprites": "sprites",
        "s": "s per sprite",
        "times_ours": "times ours",
        "cpu_s": "CPU s",
        "cpu_times_ours": "times ours",
        "objective": "objective",
        "ours_objective": "ours has",
        "own_objective": "its own",
    }
    print(f"{'':20}" + "".join(f"{heading:>13}" for heading in headings.values()))
    for name, row in result.items():
        cells = (
            ""
            if row[key] is None
            else f"{row[key]:.3f}"
            if isinstance(row[key], float)
            else row[key]
            for key in headings
        )
        print(f"{name:20}" + "".join(f"{cell:>13}" for cell in cells))


def save(png: Path, methods: Iterable[Method], columns: int) -> None:
    """Write a sheet with a row for each method."""
    black = np.zeros((SIZE_PX, SIZE_PX, 3), np.float32)
    rows = [
        np.concatenate([*method.sprites, *[black] * (columns - len(method.sprites))], axis=1)
        for method in methods
    ]
    Image.fromarray(np.round(np.concatenate(rows) * 255).astype(np.uint8)).save(png)


if __name__ == "__main__":
    app()
