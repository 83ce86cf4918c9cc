"""Do sprites of one network mean the same to others? Ours and lucid's, in one run on one machine.

    uv run python benchmarks/transfer.py --classes 50

Sprites of class logits are rendered on EfficientNet-Lite0 and shown to Lite1 and Lite2, each at its
own image size: how often the class is their first guess, or among their first five, and what
probability they give it. A sprite that only tricks the network it was made for fails here. Lucid
draws 256 steps at 224 px, otherwise by its defaults, in batches by hand, which is its fastest way;
a few classes are drawn one at a time as well, as its `render_vis` does, for the time that takes.
Ours is a named recipe. They take turns, so that a machine whose speed drifts treats them alike.
Ours is traced once for a layer, which is not counted.
"""

import functools
import json
import os
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import tensorflow as tf
from cyclopts import App, Parameter
from PIL import Image

from benchmarks.render import lucid_batched, lucid_one_by_one, ours
from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

JUDGES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
LUCID_STEPS = 256
LUCID_PX = 224
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
    """Render, judge and print; write the same as one JSON object.

    Parameters
    ----------
    classes
        How many, spread evenly over the 1000.
    recipe
        Which of the named recipes is ours.
    one_by_one
        For how many classes lucid is timed one at a time.
    png
        Takes a sheet of the first sprites, lucid's above ours.
    """
    bundle, chosen = import_model("efficientnet-lite0"), RenderRecipe(name=recipe, ladder=())
    wanted = [int(index) for index in np.linspace(0, 999, classes).round()]
    as_asked = {"steps": LUCID_STEPS, "size_px": LUCID_PX}
    methods = {
        "lucid": functools.partial(lucid_batched, **as_asked),
        "ours": functools.partial(ours, recipe=chosen),
    }
    pictures: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    seconds = dict.fromkeys([*methods, "one by one"], 0.0)
    ours(bundle, "logits", wanted[:1], chosen)
    for first in range(0, classes, TURN):
        for name, render in methods.items():
            started = time.perf_counter()
            pictures[name] += render(bundle, "logits", wanted[first : first + TURN])
            seconds[name] += (time.perf_counter() - started) / classes
    started = time.perf_counter()
    lucid_one_by_one(bundle, "logits", wanted[:one_by_one], **as_asked)
    seconds["one by one"] = (time.perf_counter() - started) / one_by_one
    found = {name: {"s": seconds[name], **judged(pictures[name], wanted)} for name in methods}
    one, batched, our = seconds["one by one"], seconds["lucid"], seconds["ours"]
    print(
        f"{classes} classes; seconds per sprite: lucid {one:.2f} one by one, {batched:.2f} in "
        f"batches; {recipe} {our:.2f}, ",
        end="",
    )
    print(f"{one / our:.1f} and {batched / our:.1f} times as fast")
    print(f"{'judge':22}{'':8}{'top-1':>8}{'top-5':>8}{'probability':>13}")
    for judge in JUDGES:
        for name in methods:
            top1, top5, probability = found[name][judge]
            print(f"{judge:22}{name:8}{top1:8.2f}{top5:8.2f}{probability:13.3f}")
    if json_file:
        json_file.write_text(json.dumps({**found, "one_by_one_s": one}, indent=1) + "\n")
    if png:
        rows = [
            np.concatenate([_sized(picture, 128) for picture in drawn[:8]], axis=1)
            for drawn in pictures.values()
        ]
        Image.fromarray(np.round(np.concatenate(rows) * 255).astype(np.uint8)).save(png)


def judged(pictures: list[np.ndarray], wanted: list[int]) -> dict[str, tuple[float, float, float]]:
    """Return, for each judge, the share of pictures whose class is its first guess, among its first
    five, and its mean probability.
    """
    return {judge: _judged(import_model(judge), pictures, wanted) for judge in JUDGES}


def _judged(
    judge: Bundle, pictures: list[np.ndarray], wanted: list[int]
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


def _sized(picture: np.ndarray, size_px: int) -> np.ndarray:
    return tf.image.resize(picture, [size_px, size_px], antialias=True).numpy()


if __name__ == "__main__":
    app()
