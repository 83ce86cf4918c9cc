"""Writes docs/models.md: a row for each model that can be had by name, and what of it was run to write the row.

    uv run python -m tools.models_table

Each network that can be built here is built, imported and run, in a process of its own: the packaged ones with their trained
weights, those of keras.applications with random ones, for the smallest images that they take. Lucid's need files that are published
elsewhere, so of them only what lucid says is written. A network that fails is written as failed.
"""

import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

from model_inventory.catalogue import ModelListing, list_models
from model_inventory.keras_catalogue import KERAS_APPLICATIONS
from model_inventory.lucid_zoo import lucid_models

# The smallest side that a network takes, where that is more than 32 pixels.
SMALLEST_PX = {"keras/inceptionv3": 75, "keras/inceptionresnetv2": 75, "keras/xception": 71}
TABLE = Path(__file__).parents[1] / "docs" / "models.md"
HEAD = """# Models

Written by `uv run python -m tools.models_table`, which built, imported and ran what it says it did:

- *weights run here*: imported with the trained weights, and run;
- *architecture run here*: imported with random weights, and run on images as small as it takes, because the weights of ImageNet are fetched
  from where Keras publishes them;
- *metadata only*: what lucid says of the model, compared with lucid's classes by the tests. The path from the bucket to a bundle is tested
  with a made-up graph under the model's name; the published file was not run.

Layers are all that can be rendered, main ones what `--layers main` means. Seconds and memory are those of building and importing, each in
a process of its own, on two busy cores.

| model | image | values | layers | main | channels | logits | import | memory | verified |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    """Run every model and write the table."""
    rows = []
    for listing in list_models():
        rows.append(_row(listing, _run(listing)))
        print(rows[-1], flush=True)  # noqa: T201
    TABLE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


def _run(listing: ModelListing) -> dict[str, Any]:
    """Import a model in a process of its own and return what it came to, or an error."""
    if listing.source == "lucid":
        return {}
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_import, args=(listing, theirs))
    process.start()
    theirs.close()
    try:
        return json.loads(ours.recv())
    except EOFError:
        return {"failed": f"the process ended with {process.exitcode}"}
    finally:
        process.join()


def _import(listing: ModelListing, to: Any) -> None:
    started = time.perf_counter()
    try:
        if listing.source == "package":
            from model_inventory.catalogue import import_model

            card, verified = import_model(listing.name).card, "weights run here"
        else:
            from model_inventory.card import ModelSource
            from model_inventory.keras_applications import build, to_bundle

            source = ModelSource(origin="random", weights_sha256="0" * 64, importer="random/1")
            side = SMALLEST_PX.get(listing.name, 32)
            card, verified = to_bundle(listing.name, build(listing.name, side), source, side).card, "architecture run here"
    except Exception as error:
        to.send(json.dumps({"failed": str(error).splitlines()[0][:200]}))
        return
    found = {
        "layers": len(card.layers),
        "main": sum(layer.main for layer in card.layers),
        "channels": sum(layer.channels for layer in card.layers),
        "logits": card.layer("logits").channels,
        "values": _values(card.image.value_range, card.image.channel_order),
        "seconds": time.perf_counter() - started,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "verified": verified,
    }
    to.send(json.dumps(found))


def _row(listing: ModelListing, run: dict[str, Any]) -> str:
    image = f"{listing.height} x {listing.width}"
    if listing.source == "lucid":
        row = lucid_models()[listing.name]
        values = _values(row.image.value_range, row.image.channel_order)
        main = sum(layer.main for layer in row.layers) or ""
        layers, channels = listing.layers or "found in the graph", f"{listing.channels:,}" if listing.channels else ""
        cells = [f"`{listing.name}`", image, values, layers, main, channels, row.output_size or "", "", "", "metadata only"]
    elif "failed" in run:
        order = KERAS_APPLICATIONS[listing.name].image if listing.source == "keras" else None
        values = _values(order.value_range, order.channel_order) if order else ""
        cells = [f"`{listing.name}`", image, values, "", "", "", "", "", "", f"failed: {run['failed']}"]
    else:
        counts = [run["layers"], run["main"], f"{run['channels']:,}", run["logits"]]
        costs = [f"{run['seconds']:.0f} s", f"{run['memory']:.1f} GB"]
        cells = [f"`{listing.name}`", image, run["values"], *counts, *costs, run["verified"]]
    return "| " + " | ".join(map(str, cells)) + " |"


def _values(ranges: Any, order: str) -> str:
    """Say what black and white are at a model's input."""
    words = {tuple(f"{value:.4g}" for value in each) for each in ranges}
    text = "a range for each channel" if len(words) > 1 else " to ".join(words.pop())
    return text + (", BGR" if order == "bgr" else "")


if __name__ == "__main__":
    main()
