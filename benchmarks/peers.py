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
import sys
import time
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for PyTorch; read when it is imported

import numpy as np
import tensorflow as tf
from cyclopts import App, Parameter
from cyclopts.validators import Number
from PIL import Image

from benchmarks.render import FRESH_TRANSFORMS, OUR_SHARD, lucid_objective, ours
from diamond_cutter.model_inventory.bundle import Bundle, parse_graph, to_model_input
from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.model_inventory.graph.graph_def import run_inside, subgraph
from diamond_cutter.model_inventory.weights import weights_file
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

XPLIQUE_STEPS = 256
LUCENT_STEPS = 512
SIZE_PX = RenderRecipe().size_px
ROUNDS = 2

app = App()


class Renderer(Protocol):
    """Draws sprites."""

    def draw(self, channels: list[int]) -> list[np.ndarray]:
        """Return the channels' sprites, float32 `[SIZE_PX, SIZE_PX, 3]` with values in [0, 1]."""


class Peer(Renderer, Protocol):
    """Draws sprites, and shows them to its network under its own transforms."""

    def look(self, sprites: np.ndarray) -> np.ndarray:
        """Return the layer's activations under a fresh draw, float32 `[sprite, ..., channel]`."""


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


class Ours:
    """The renderer of this repository."""

    def __init__(self, bundle: Bundle, layer: str) -> None:
        self._bundle, self._layer = bundle, layer

    def draw(self, channels: list[int]) -> list[np.ndarray]:
        return ours(self._bundle, self._layer, channels)


class Optimize:
    """Xplique's `optimize`, all channels in one call."""

    def __init__(self, bundle: Bundle, layer: str, input_px: int) -> None:
        from xplique import features_visualizations

        self._xplique = features_visualizations
        self._card, self._input_px = bundle.card, input_px
        self._options = {
            "values_range": bundle.card.image.value_range[0],
            "custom_shape": (SIZE_PX, SIZE_PX),
        }
        self._network = keras_model(bundle, layer, input_px)

    def draw(self, channels: list[int]) -> list[np.ndarray]:
        images, _ = self._xplique.optimize(
            self._objective(channels), nb_steps=XPLIQUE_STEPS, **self._options
        )
        return list(self._to_unit(images[-1].numpy()))

    def look(self, sprites: np.ndarray) -> np.ndarray:
        from xplique.features_visualizations.transformations import (
            generate_standard_transformations,
        )

        seen = generate_standard_transformations(SIZE_PX)(
            to_model_input(tf.constant(sprites), self._card)
        )
        return self._network(tf.image.resize(seen, [self._input_px] * 2)).numpy()

    def _objective(self, channels: list[int]) -> object:
        return self._xplique.Objective.channel(self._network, 1, channels)

    def _to_unit(self, images: np.ndarray) -> np.ndarray:
        low, high = self._card.image.value_range[0]
        return (images - low) / (high - low)


class Maco(Optimize):
    """Xplique's `maco`, one sprite at a time."""

    def __init__(self, bundle: Bundle, layer: str, input_px: int, steps: int) -> None:
        super().__init__(bundle, layer, input_px)
        self._steps = steps

    def draw(self, channels: list[int]) -> list[np.ndarray]:
        sprites = (
            self._xplique.maco(self._objective([channel]), nb_steps=self._steps, **self._options)[0]
            for channel in channels
        )
        return [self._to_unit(sprite) for sprite in sprites]

    def look(self, sprites: np.ndarray) -> np.ndarray:
        """Show a crop of each sprite, without the noise that MaCo adds."""
        count = len(sprites)
        middles, sides = (
            np.random.normal(0.5, 0.15, [count, 2]),
            np.random.uniform(0.05, 0.5, [count, 1]),
        )
        boxes = np.concatenate([middles - sides / 2, middles + sides / 2], axis=1)
        images = to_model_input(tf.constant(sprites), self._card)
        return self._network(
            tf.image.crop_and_resize(images, boxes, np.arange(count), [self._input_px] * 2)
        ).numpy()


def keras_model(bundle: Bundle, layer: str, input_px: int) -> tf.keras.Model:
    """Return a Keras model of the bundle up to a layer, which is layer 1 of the model."""
    tensor = bundle.card.layer(layer).tensor
    graph = subgraph(parse_graph(bundle), [tensor])

    # A function of its own, because a gradient tape does not see operations that are imported.
    @tf.function(autograph=False)
    def activations(images: tf.Tensor) -> tf.Tensor:
        return run_inside(graph, bundle.card.input_tensor, images, [tensor])[0]

    class Network(tf.keras.layers.Layer):
        def call(self, images: tf.Tensor) -> tf.Tensor:
            return activations(images)

    images = tf.keras.Input((input_px, input_px, 3))
    return tf.keras.Model(images, Network()(images))


class Lucent:
    """Lucent's `render_vis`, one sprite at a time."""

    def __init__(self, model: str, layer: str, input_px: int) -> None:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        # Lucent imports torchvision for another model's normalisation, and nothing else.
        torchvision = types.ModuleType("torchvision")
        torchvision.Normalize = None  # type: ignore[attr-defined]
        sys.modules |= {"torchvision": torchvision, "torchvision.transforms": torchvision}
        from lucent.optvis import objectives, param, render, transform

        self._torch, self._objectives, self._param, self._render, self._transform = (
            torch,
            objectives,
            param,
            render,
            transform,
        )
        block, _, part = layer.removeprefix("block_").partition(".")
        if layer == block or part not in ("", "depthwise"):
            raise ValueError(
                f"layer {layer} has no counterpart in lucent: expected a layer such as block_3 or "
                "block_3.depthwise"
            )
        # A block has one module for all its ReLUs. Lucent finds the last one's output there.
        self._layer = f"_blocks_{block}__swish" if part else f"_blocks_{block}"
        torch.manual_seed(0)
        self._network = EfficientNet.from_name(model, image_size=input_px)
        self._network.load_state_dict(torch.load(weights_file(model)))
        self._network.eval().requires_grad_(False)
        self._input_px = input_px
        self._transforms = [
            *transform.standard_transforms,
            lambda images: (images * 255 - 127) / 128,
        ]

    def draw(self, channels: list[int]) -> list[np.ndarray]:
        return [self._draw(channel) for channel in channels]

    def _draw(self, channel: int) -> np.ndarray:
        images = self._render.render_vis(
            self._network,
            self._objectives.channel(self._layer, channel),
            lambda: self._param.image(SIZE_PX),
            transforms=self._transforms,
            thresholds=(LUCENT_STEPS,),
            preprocess=False,
            fixed_image_size=self._input_px,
            progress=False,
            show_image=False,
        )
        return images[-1][0]

    def look(self, sprites: np.ndarray) -> np.ndarray:
        images = self._torch.tensor(sprites.transpose(0, 3, 1, 2))
        enlarge = self._torch.nn.Upsample(size=self._input_px, mode="bilinear", align_corners=True)
        hook = self._render.hook_model(self._network, lambda: images)
        self._network(self._transform.compose([*self._transforms, enlarge])(images))
        return hook(self._layer).numpy().transpose(0, 2, 3, 1)


if __name__ == "__main__":
    app()
