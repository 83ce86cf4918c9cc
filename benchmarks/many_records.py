"""Measures the time and memory of `ls` and `plan` with 10,240 records on Google Cloud Storage.

    uv run python benchmarks/many_records.py

The bucket is a strict server on loopback. The set is made up: 160 layers of 2,048 channels, with 32
channels per record. Each command runs twice: with the index of a finished run, and without it, as
during a first run, when every record has to be read.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from cyclopts import App

sys.path.insert(0, str(Path(__file__).parents[1]))

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import crc32c
from diamond_cutter.storage.sets.layout import (
    card_key,
    fingerprinted,
    graph_key,
    index_key,
    shard_record_key,
)
from diamond_cutter.storage.sets.records import FileRef
from diamond_cutter.storage.sets.sprite_set import LayerShards
from diamond_cutter.tasks.gathering.index import sprite_table, to_parquet
from tests.flows.made_up_set import GRAPH, RECIPE, made_up_card
from tests.storage.gcs_server import GcsServer, serving
from tests.storage.shard_records import shard_record

LAYERS, CHANNELS, IN_A_SHARD = 160, 2048, 32
PLANNED = ("--layers", "all", "--recipe.size-px", "32", "--recipe.steps", "4")
MEASURED = """
import sys, time
from diamond_cutter.flows.cli.main import run
begun = time.monotonic()
code = run(sys.argv[1:])
# Not getrusage's, which includes the memory of the parent process.
peak_kb = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
print(code, time.monotonic() - begun, peak_kb / 1024, file=sys.stderr)
"""

app = App()


@app.default
def main() -> None:
    """Make the set, run the commands, print seconds and MB."""
    card = wide_card()
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        server.make("place")
        server.put("place", graph_key(card.key), GRAPH)
        server.put("place", card_key(card.key), card.model_dump_json().encode())
        index = to_parquet(pd.concat(list(tables(server, card))))
        environment = {
            **os.environ,
            "STORAGE_EMULATOR_HOST": server.url,
            "NO_PROXY": "127.0.0.1",
            "PREFECT_HOME": folder,
        }
        for has_index in (True, False):
            if has_index:
                server.put("place", index_key(card.key, RECIPE.key), index)
            else:
                server.delete("place", index_key(card.key, RECIPE.key), {})
            for command in (["ls"], ["plan", card.key, *PLANNED]):
                server.seen.clear()
                seconds, megabytes = measured(command, environment)
                print(
                    f"{command[0]:4} {'with' if has_index else 'without'} index: {seconds:.1f} s, "
                    f"{megabytes:.0f} MB, {len(server.seen)} calls",
                    flush=True,
                )


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command on the bucket, and return its seconds and peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command, "--bucket", "gs://place"],
        env=environment,
        capture_output=True,
        text=True,
    )
    code, seconds, megabytes = done.stderr.split()[-3:]
    if code != "0" or str(CHANNELS) not in done.stdout:
        sys.exit(f"{command} failed: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return float(seconds), float(megabytes)


def wide_card() -> ModelCard:
    """Return the card of a model with many layers of many channels."""
    card = made_up_card()
    layers = (
        card.layers[0].model_copy(update={"name": f"layer_{number:03}", "channels": CHANNELS})
        for number in range(LAYERS)
    )
    return card.model_copy(update={"layers": tuple(layers)})


def tables(server: GcsServer, card: ModelCard) -> Iterator[pd.DataFrame]:
    """Put each layer's records and files into the bucket, and yield its rows of the index."""
    picture = b"a picture"
    for layer in card.layers:
        shards = {}
        for first in range(0, CHANNELS, IN_A_SHARD):
            channels = range(first, first + IN_A_SHARD)
            key = shard_record_key(card.key, RECIPE.key, layer.name, channels)
            file = FileRef(
                key=fingerprinted(key, picture, "webp"), size=len(picture), crc32c=crc32c(picture)
            )
            said = {"model": card.key, "recipe": RECIPE.key, "layer": layer.name}
            shards[key] = shard_record(channels, file).model_copy(update=said)
            server.put("place", file.key, picture)
            server.put("place", key, shards[key].to_bytes())
        sums = {key: crc32c(record.to_bytes()) for key, record in shards.items()}
        yield sprite_table({layer.name: LayerShards(shards, {}, sums)}, [layer.name])


if __name__ == "__main__":
    app()
