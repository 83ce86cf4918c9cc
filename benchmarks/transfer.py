"""Measures whether other networks recognise our sprites, and lucid's, of class logits.

    uv run python benchmarks/transfer.py --classes 50

Sprites are rendered on EfficientNet-Lite0 and shown to Lite1 and Lite2, each at its own image size.
Printed are the share whose class is the first guess or among the first five, and its probability. A
sprite that only tricks its own network fails here.

Lucid draws 256 steps at 224 px, otherwise by its defaults, in batches by hand, which is its fastest
way. A few classes are also drawn one at a time, to measure the time of its `render_vis`. Ours is a
named recipe. They take turns, so that changes of the machine's speed affect both. Our trace, once
per layer, does not count.
"""

import functools
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import tensorflow as tf
from cyclopts import App, Parameter
from PIL import Image

from benchmarks.render import Picture, lucid_batched, lucid_one_by_one, ours
from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

JUDGES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
LUCID = {"steps": 256, "size_px": 224}
TURN = 16

app = App()


@app.default
def main(
    *,
    classes: int = 50,
    recipe: str = "robust",
    one_by_one: int = 2,
    json_file: Annotated[Path | None, Parameter("--json")] = None,
    png: Path | None = None,
) -> None:
    """Render, judge and print; write the figures as a JSON object.

    Parameters
    ----------
    classes
        Number of classes, spread evenly over the 1000.
    recipe
        The named recipe of our renderer.
    one_by_one
        Number of classes for which lucid is timed one at a time.
    png
        File for a sheet of the first sprites, lucid's above ours.
    """
    bundle, chosen = import_model("efficientnet-lite0"), RenderRecipe(name=recipe, ladder=())
    wanted = [int(index) for index in np.linspace(0, 999, classes).round()]
    pictures, seconds = take_turns(bundle, wanted, chosen)
    started = time.perf_counter()
    lucid_one_by_one(bundle, "logits", wanted[:one_by_one], **LUCID)
    one_s = (time.perf_counter() - started) / one_by_one
    found = {
        name: {"s": seconds[name], **judged(drawn, wanted)} for name, drawn in pictures.items()
    }
    report(found, classes, recipe, one_s)
    if json_file:
        json_file.write_text(json.dumps({**found, "one_by_one_s": one_s}, indent=1) + "\n")
    if png:
        rows = [
            np.concatenate([_sized(picture, 128) for picture in drawn[:8]], axis=1)
            for drawn in pictures.values()
        ]
        Image.fromarray(np.round(np.concatenate(rows) * 255).astype(np.uint8)).save(png)


def take_turns(
    bundle: Bundle, wanted: list[int], recipe: RenderRecipe
) -> tuple[dict[str, list[Picture]], dict[str, float]]:
    """Return the pictures of lucid and of ours, and their seconds per sprite."""
    methods = {
        "lucid": functools.partial(lucid_batched, **LUCID),
        "ours": functools.partial(ours, recipe=recipe),
    }
    pictures: dict[str, list[Picture]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    ours(bundle, "logits", wanted[:1], recipe)  # traces the layer
    for first in range(0, len(wanted), TURN):
        for name, render in methods.items():
            started = time.perf_counter()
            pictures[name] += render(bundle, "logits", wanted[first : first + TURN])
            seconds[name] += (time.perf_counter() - started) / len(wanted)
    return pictures, seconds


def report(found: dict[str, dict[str, Any]], classes: int, recipe: str, one_s: float) -> None:
    """Print the seconds, and each judge's verdict."""
    batched_s, our_s = found["lucid"]["s"], found["ours"]["s"]
    print(
        f"{classes} classes; seconds per sprite: lucid {one_s:.2f} one by one, {batched_s:.2f} in "
        f"batches; {recipe} {our_s:.2f}, {one_s / our_s:.1f} and {batched_s / our_s:.1f} times as "
        "fast"
    )
    print(f"{'judge':22}{'':8}{'top-1':>8}{'top-5':>8}{'probability':>13}")
    for judge in JUDGES:
        for name, figures in found.items():
            top1, top5, probability = figures[judge]
            print(f"{judge:22}{name:8}{top1:8.2f}{top5:8.2f}{probability:13.3f}")


def judged(pictures: list[Picture], wanted: list[int]) -> dict[str, tuple[float, float, float]]:
    """Return each judge's share of first guesses, of first five guesses, and mean probability."""
    return {judge: _judged(import_model(judge), pictures, wanted) for judge in JUDGES}


def _judged(
    judge: Bundle, pictures: list[Picture], wanted: list[int]
) -> tuple[float, float, float]:
    logits = activation_function(judge, "logits")
    shown = np.stack([_sized(picture, judge.card.image.height) for picture in pictures])
    probabilities = np.concatenate(
        [
            tf.nn.softmax(logits(part)).numpy()
            for part in np.array_split(shown, -(-len(shown) // TURN))
        ]
    )
    right = probabilities[np.arange(len(wanted)), wanted]
    better = (probabilities > right[:, None]).sum(axis=1)
    return float((better < 1).mean()), float((better < 5).mean()), float(right.mean())


def _sized(picture: Picture, size_px: int) -> Picture:
    return tf.image.resize(picture, [size_px, size_px], antialias=True).numpy()


if __name__ == "__main__":
    app()
