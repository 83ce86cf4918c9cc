"""The renderers that peers.py compares: ours, xplique's and lucent's, with their defaults."""

import os
import sys
import types
from typing import Protocol

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for PyTorch; read when it is imported

import numpy as np
import tensorflow as tf

from benchmarks.render import ours
from diamond_cutter.model_inventory.bundle import Bundle, parse_graph, to_model_input
from diamond_cutter.model_inventory.graph.graph_def import run_inside, subgraph
from diamond_cutter.model_inventory.weights import weights_file
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

XPLIQUE_STEPS = 256
LUCENT_STEPS = 512
SIZE_PX = RenderRecipe().size_px


class Renderer(Protocol):
    """Draws sprites."""

    def draw(self, channels: list[int]) -> list[np.ndarray]:
        """Return the channels' sprites, float32 `[SIZE_PX, SIZE_PX, 3]` with values in [0, 1]."""


class Peer(Renderer, Protocol):
    """Draws sprites, and shows them to its network under its own transforms."""

    def look(self, sprites: np.ndarray) -> np.ndarray:
        """Return the layer's activations under a fresh draw, float32 `[sprite, ..., channel]`."""


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
