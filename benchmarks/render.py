"""Compares our renderer with lucid on the same channels of the same model.

    uv run python benchmarks/render.py --model efficientnet-lite0 --layer block_10.depthwise
    block_15 --channels 16

It measures three things:

- seconds per sprite of lucid's `render_vis` (one sprite at a time, 512 steps), of lucid batched by
  hand (one graph, a batch of sprites, 512 steps), and of ours with the default recipe;
- the mean objective of each method's sprites under fresh transforms of lucid's standard
  distribution;
- the floor: a bare forward and backward pass of the same folded, truncated graph.

The methods take turns, eight channels at a time, so that changes of the machine's speed affect all
of them. Our trace, once per layer, is printed but not counted. Lucid builds a graph in each call,
which counts.
"""

import functools
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As in the processes of devices, and for lucid as well.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from cyclopts import App, Parameter

from benchmarks.lucid_reference import import_lucid, lucid_model
from diamond_cutter.model_inventory.bundle import Bundle, layer_graph, to_model_input
from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.model_inventory.errors import UnknownLayer
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.tasks.rendering.gradients import faster_gradients
from diamond_cutter.tasks.rendering.objectives import Focus, objective, target_maps
from diamond_cutter.tasks.rendering.precision import Execution, execution_here, in_precision
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.sprites import render_sprites
from diamond_cutter.tasks.rendering.subjects import Channels, Targets

# TensorFlow would warn that each layer is traced again, which is intended.
tf.get_logger().setLevel("ERROR")

LUCID_STEPS = 512
LUCID_BATCH = 8
OUR_BATCH, OUR_SHARD = 16, 32
FRESH_TRANSFORMS = 16
FAST = RenderRecipe(ladder=())  # no retries, because lucid has none
LAYERS = ("stem", "block_2", "block_10.depthwise", "block_15", "head", "logits")

# float32 `[height, width, 3]` in [0, 1].
Picture = npt.NDArray[np.float32]

app = App()


@app.default
def main(
    *,
    model: str = "efficientnet-lite0",
    layer: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = LAYERS,
    channels: int = 16,
    first: int = 0,
    recipe: str = "fast",
    one_by_one: int | None = None,
    json_file: Annotated[Path | None, Parameter("--json")] = None,
) -> None:
    """Measure and print each layer; write the means and each layer's figures as a JSON object.

    Parameters
    ----------
    first
        The first channel, so that a recipe can be measured on channels that did not choose it.
    recipe
        The named recipe of our renderer. `lucid` shows how close it comes to lucid itself.
    one_by_one
        Number of channels that `render_vis` draws, which takes most of the time. Default: all.
    """
    bundle, chosen = import_model(model), RenderRecipe(name=recipe, ladder=())
    check_channels(bundle, layer, range(first, first + channels))
    print(
        f"{model}, {chosen.size_px} px; {chosen.steps} steps of the recipe {chosen.name} in "
        f"{execution_here().name}; {LUCID_STEPS} of lucid"
    )
    results = {}
    for name in layer:
        results[name] = measure(
            bundle, name, range(first, first + channels), one_by_one or channels, chosen
        )
        report(name, results[name])
    means = {
        key: mean_above_zero([result[key] for result in results.values()])
        for key in next(iter(results.values()))
    }
    if len(results) > 1:
        report(f"geometric means of {len(results)} layers", means)
    if json_file:
        json_file.write_text(json.dumps({**means, "layers": results}, indent=1) + "\n")


def check_channels(bundle: Bundle, layers: tuple[str, ...], channels: range) -> None:
    """Exit with 2 and a sentence if a layer or channel does not exist."""
    try:
        counts = {layer: bundle.card.layer(layer).channels for layer in layers}
    except UnknownLayer as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    for layer, count in counts.items():
        if not (channels and 0 <= channels.start and channels.stop <= count):
            print(
                f"layer {layer!r} has {count} channels: expected some of 0 to {count - 1}, found "
                f"{channels}",
                file=sys.stderr,
            )
            sys.exit(2)


def mean_above_zero(values: list[float]) -> float:
    """Return the geometric mean of the positive values; dead channels have none."""
    return statistics.geometric_mean([value for value in values if value > 0] or [math.nan])


def ratio(value: float, base: float) -> float:
    """Return the ratio of a value to a base, or NaN if the base is a dead channel's."""
    return value / base if base > 0 else math.nan


def measure(
    bundle: Bundle, layer: str, channels: range, one_by_one: int, recipe: RenderRecipe
) -> dict[str, float]:
    """Return the seconds and objectives of all methods on channels of a layer.

    `render_vis` draws the first `one_by_one` channels.
    """
    tracing_s = tracing_seconds(bundle, layer, recipe)
    pictures, means = take_turns(bundle, layer, channels, one_by_one, recipe)

    def achieved(drawn: list[Picture]) -> float:
        return lucid_objective(bundle, layer, np.stack(drawn), list(channels[: len(drawn)]))

    objective = {method: achieved(drawn) for method, drawn in pictures.items()}
    same = achieved(pictures["ours"][:one_by_one])
    floor_s = floor_seconds(bundle, layer, recipe, Execution())
    step_s = means["ours"] / recipe.steps
    return {
        **{f"{method}_s": means[method] for method in pictures},
        **{f"{method}_objective": objective[method] for method in pictures},
        "speedup": means["render_vis"] / means["ours"],
        "speedup_batched": means["lucid_batched"] / means["ours"],
        "objective_ratio": ratio(same, objective["render_vis"]),
        "objective_ratio_batched": ratio(objective["ours"], objective["lucid_batched"]),
        "step_s": step_s,
        "floor_s": floor_s,
        "floor_in_our_precision_s": floor_seconds(bundle, layer, recipe, execution_here()),
        "step_over_floor": step_s / floor_s,
        "tracing_s": tracing_s,
    }


def tracing_seconds(bundle: Bundle, layer: str, recipe: RenderRecipe) -> float:
    """Trace our renderer, and return the seconds that it takes."""
    started = time.perf_counter()
    short = recipe.model_copy(update={"steps": 2})
    render_sprites(bundle, Channels(layer=layer), [0], short, batch_size=OUR_BATCH)
    return time.perf_counter() - started


def take_turns(
    bundle: Bundle, layer: str, channels: range, one_by_one: int, recipe: RenderRecipe
) -> tuple[dict[str, list[Picture]], dict[str, float]]:
    """Return the pictures of each method, and its mean seconds per sprite."""
    methods = {
        "render_vis": lucid_one_by_one,
        "lucid_batched": lucid_batched,
        "ours": functools.partial(ours, recipe=recipe),
    }
    pictures: dict[str, list[Picture]] = {method: [] for method in methods}
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    count = bundle.card.layer(layer).channels
    for done in range(0, len(channels), LUCID_BATCH):
        part = channels[done : done + LUCID_BATCH]
        wanted = {
            "render_vis": [channel for channel in part if channel in channels[:one_by_one]],
            "lucid_batched": list(part),
            # A full shard each time, as in a run over a layer.
            "ours": [each % count for each in range(part.start, part.start + OUR_SHARD)],
        }
        for method, render in methods.items():
            if wanted[method]:
                started = time.perf_counter()
                drawn = render(bundle, layer, wanted[method])
                seconds[method].append((time.perf_counter() - started) / len(wanted[method]))
                pictures[method] += drawn[: len(part)]
    return pictures, {method: statistics.mean(times) for method, times in seconds.items()}


def report(title: str, result: dict[str, float]) -> None:
    """Print one layer's result."""
    print(f"\n{title:32}{'s per sprite':>14}{'objective':>12}")
    for name, key in (
        ("lucid render_vis", "render_vis"),
        (f"lucid in batches of {LUCID_BATCH}", "lucid_batched"),
        ("ours", "ours"),
    ):
        print(f"{name:32}{result[key + '_s']:14.3f}{result[key + '_objective']:12.4f}")
    print(
        f"ours is {result['speedup']:.1f} times as fast as render_vis, "
        f"{result['speedup_batched']:.1f} times as fast as batched lucid,"
    )
    print(
        f"at {result['objective_ratio']:.3f} of render_vis' objective and "
        f"{result['objective_ratio_batched']:.3f} of batched lucid's; "
        f"one step of one sprite takes {result['step_s'] * 1000:.2f} ms,"
    )
    print(
        f"{result['step_over_floor']:.2f} times the bare forward and backward pass in float32 "
        f"({result['floor_s'] * 1000:.2f} ms; "
        f"{result['floor_in_our_precision_s'] * 1000:.2f} ms in our precision); tracing a layer, "
        f"once: {result['tracing_s']:.1f} s",
        flush=True,
    )


def ours(
    bundle: Bundle, layer: str, channels: list[int], recipe: RenderRecipe = FAST
) -> list[Picture]:
    """Render as the pipeline does."""
    sprites = render_sprites(bundle, Channels(layer=layer), channels, recipe, batch_size=OUR_BATCH)
    return [sprite.picture.astype(np.float32) / 255 for sprite in sprites]


def lucid_one_by_one(
    bundle: Bundle, layer: str, channels: list[int], *, steps: int = LUCID_STEPS, size_px: int = 128
) -> list[Picture]:
    """Call render_vis for each channel, otherwise with its defaults."""
    lucid, tensor = import_lucid(), bundle.card.layer(layer).tensor
    model = lucid_model(bundle)
    pictures = []
    for channel in channels:
        objective = lucid.objectives.channel(tensor, channel)
        image = functools.partial(lucid.param.image, size_px)
        images = lucid.render.render_vis(
            model, objective, image, thresholds=(steps,), verbose=False
        )
        pictures.append(images[-1][0])
    return pictures


def lucid_batched(
    bundle: Bundle, layer: str, channels: list[int], *, steps: int = LUCID_STEPS, size_px: int = 128
) -> list[Picture]:
    """Render several channels in one graph: `param.image(batch=n)`, a sum of objectives."""
    lucid, tensor = import_lucid(), bundle.card.layer(layer).tensor
    model = lucid_model(bundle)
    pictures: list[Picture] = []
    for first in range(0, len(channels), LUCID_BATCH):
        batch = channels[first : first + LUCID_BATCH]
        objective = lucid.objectives.Objective.sum(
            [lucid.objectives.channel(tensor, c, batch=i) for i, c in enumerate(batch)]
        )
        image = functools.partial(lucid.param.image, size_px, batch=len(batch))
        images = lucid.render.render_vis(
            model, objective, image, thresholds=(steps,), verbose=False
        )
        pictures += list(images[-1])
    return pictures


def lucid_objective(
    bundle: Bundle, layer: str, pictures: npt.NDArray[np.float32], channels: list[int]
) -> float:
    """Return the mean objective of pictures under fresh draws of lucid's standard transforms.

    Args:
        bundle: the model.
        layer: of the channels.
        pictures: float32 `[n, height, width, 3]` in [0, 1].
        channels: of the pictures.
    """
    lucid = import_lucid()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(0)
        fed = tf.compat.v1.placeholder(tf.float32, pictures.shape)
        seen = lucid.render.make_transform_f(None)(fed)
        network = lucid.render.import_model(lucid_model(bundle), seen, fed)
        activations = network(bundle.card.layer(layer).tensor)
        flat = tf.reshape(activations, [pictures.shape[0], -1, activations.shape[-1]])
        objective = tf.gather(tf.reduce_mean(flat, axis=1), channels, axis=1, batch_dims=1)
        draws = [session.run(objective, {fed: pictures}) for _ in range(FRESH_TRANSFORMS)]
    return float(np.mean(draws))


def floor_seconds(bundle: Bundle, layer: str, recipe: RenderRecipe, execution: Execution) -> float:
    """Return the seconds per image of a bare forward and backward pass of the same size."""
    (exact, tensors), card = layer_graph(bundle, [layer]), bundle.card
    graph = faster_gradients(in_precision(exact, execution), execution)
    targets = Targets(tf.zeros([OUR_BATCH, 1], tf.int32), tf.ones([OUR_BATCH, 1]))

    @tf.function(autograph=False)
    def forward_backward(images: tf.Tensor) -> tf.Tensor:
        (activations,) = run_inside(
            graph,
            card.input_tensor,
            tf.cast(to_model_input(images, card), execution.dtype),
            tensors,
        )
        achieved = objective(
            target_maps(activations, targets), Focus(tf.constant(0.0), tf.constant([0.5, 0.5]))
        )
        return tf.gradients(tf.reduce_sum(achieved), [images])[0]

    images = tf.random.uniform([OUR_BATCH, recipe.input_px, recipe.input_px, 3])
    times = []
    for _ in range(23):
        started = time.perf_counter()
        forward_backward(images).numpy()
        times.append(time.perf_counter() - started)
    return statistics.median(times[3:]) / OUR_BATCH


if __name__ == "__main__":
    app()
