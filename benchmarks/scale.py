"""Simulates 10 and 100 workers on InceptionV4, and plans 100 models.

    uv run python benchmarks/scale.py
    uv run python benchmarks/scale.py --workers 10 100 300 1000
    uv run python benchmarks/scale.py --workers 10 100 --shards-each 52

The bucket is a strict server of Google Cloud Storage on loopback. Planning is real: the models'
cards have InceptionV4's main layers, further layers and class labels. While 100 models are planned,
the server waits with each answer. The runs are simulated in virtual time (see simulated_runs.py),
with real requests, claims and shared work. Two kinds are compared: one run on a cluster, and as
many plain runs as workers, which share the work by claims. They render so many models, or layers of
one, that each worker has about as many shards as `--shards-each` says, and publish them.

The requests of a shard should not depend on the number of workers. Those of a worker itself are
told apart: a worker reads each model that it renders, and a plain run reads the result of each one.

Rendering is replaced by a time. It is drawn from those measured for deep layers (performance.md:
27.5 to 38.4 s for a shard of 32 by `fast` on two cores), plus or minus a tenth. A request takes 30
to 80 ms, which is an assumption about Google Cloud Storage. A flow is at work for the processor
time of its requests and listings, and for the time of a task that task_overhead.py measures.
"""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, get_args
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from cyclopts import App, Parameter

from benchmarks.simulated_runs import SimulatedRun
from benchmarks.simulation import Outcome, Simulation, Times
from diamond_cutter.flows import sprites
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.run_scope import run_scope
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.model_inventory.card import ClassLabel, LayerCard, ModelCard
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.layout import card_key, graph_key
from diamond_cutter.tasks.importing.task import ensure_bundle
from diamond_cutter.tasks.rendering.shard import SHARD_CHANNELS
from tests.flows.made_up_set import made_up_card
from tests.storage.gcs_server import GcsServer, serving

# The main layers of slim's InceptionV4: 16,608 channels, 519 shards.
INCEPTION_V4 = {
    "Mixed_3a": 160,
    "Mixed_4a": 192,
    **{f"Mixed_5{part}": 384 for part in "abcde"},
    **{f"Mixed_6{part}": 1024 for part in "abcdefgh"},
    **{f"Mixed_7{part}": 1536 for part in "abcd"},
}
Kind = Literal["cluster", "plain"]
WORKERS: dict[Kind, str] = {"cluster": "workers", "plain": "plain runs"}
PLACE = "gs://place"
FURTHER_LAYERS, CLASSES = 150, 1001
PLANNED_WITHIN_S = 30.0
BUSY_AT_LEAST = {100: 0.95, 1000: 0.90}
# The requests for a shard that share the work, and by how much they may differ between numbers of
# workers.
SHARING_AT_MOST, DIFFERENCE_AT_MOST = 9.5, 0.15
TIMES = Times(
    request=(0.030, 0.080),
    shards=(27.5, 32.0, 33.9, 38.4),
    spread=0.1,
    dask_task=0.014,
    local_task=0.008,
)

app = App()


def made_up_models(shards: int) -> list[ModelCard]:
    """Return models with about this many shards, or one with the first layers if these are few."""
    whole = sum(_shards_in(channels) for channels in INCEPTION_V4.values())
    if shards >= whole:
        return [made_up_model(number) for number in range(round(shards / whole))]
    layers = dict[str, int]()
    for called, channels in INCEPTION_V4.items():
        if sum(map(_shards_in, layers.values())) < shards:
            layers[called] = channels
    return [made_up_model(0, layers)]


def _shards_in(channels: int) -> int:
    return -(-channels // SHARD_CHANNELS)


def made_up_model(
    number: int,
    layers: dict[str, int] = INCEPTION_V4,
    *,
    further: int = FURTHER_LAYERS,
    classes: int = CLASSES,
) -> ModelCard:
    """Return the card of a model that differs from all others in its graph and layers."""
    base = made_up_card()
    name = f"copy-{number:03}"

    def layer(called: str, channels: int, *, main: bool) -> LayerCard:
        changes = {"name": called, "tensor": f"{called}:0", "channels": channels, "main": main}
        digest = hashlib.sha256(f"{name} {called}".encode()).hexdigest()
        return base.layers[0].model_copy(update={**changes, "sha256": digest})

    return base.model_copy(
        update={
            "name": name,
            "graph_sha256": hashlib.sha256(name.encode()).hexdigest(),
            "labels": tuple(ClassLabel(name=f"class {each}") for each in range(classes)),
            "layers": (
                *(layer(f"conv_{each}", 64, main=False) for each in range(further)),
                *(layer(called, channels, main=True) for called, channels in layers.items()),
            ),
        }
    )


def put_models(server: GcsServer, place: str, cards: list[ModelCard]) -> None:
    """Make a bucket that holds the bundles of models."""
    server.make(place)
    for card in cards:
        server.put(place, graph_key(card.key), card.name.encode())
        server.put(place, card_key(card.key), card.model_dump_json(indent=1).encode())


def planned_models(bucket_url: str) -> list[ModelRun]:
    """Plan all models of a bucket as a run of `sprites` does."""
    request = SpritesRequest(model="*", bucket=bucket_url)
    with (
        run_scope(),
        patch.object(sprites, "ensure_bundle", ensure_bundle.fn),
        patch.object(sprites, "RunArtifacts"),
    ):
        runs, skipped = sprites._planned(open_bucket(bucket_url), request, slots=None)  # type: ignore[arg-type]
    if skipped:
        raise skipped[0]
    return runs


def simulate(
    server: GcsServer, bucket_url: str, models: list[ModelRun], workers: int, *, plain: bool
) -> Outcome:
    """Simulate one run on a cluster, or a `plain` run with one device for each worker.

    The bucket must be empty except for the models.
    """
    simulation = Simulation(server, open_bucket(bucket_url), TIMES)
    runs = [
        SimulatedRun(
            simulation,
            models,
            seed=f"run {number}",
            devices=1 if plain else workers,
            on_cluster=not plain,
        )
        for number in range(workers if plain else 1)
    ]
    return simulation.run([run.start for run in runs], workers)


@contextmanager
def bucket_server() -> Iterator[GcsServer]:
    """Run the server, and have this process find it."""
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        found = {"STORAGE_EMULATOR_HOST": server.url, "NO_PROXY": "127.0.0.1"}
        with patch.dict(os.environ, {**found, "PREFECT_HOME": folder}):
            yield server


@app.default
def main(
    *,
    workers: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (10, 100),
    models: int = 100,
    shards_each: int = 5,
    request_ms: float = 60.0,
    only: Kind | None = None,
) -> None:
    """Plan, simulate, print the figures, and exit with 1 if a goal is missed.

    Args:
        workers: the numbers of workers.
        models: how many models are planned together.
        shards_each: how many shards each worker renders, about.
        request_ms: how long the server waits with each answer while they are planned.
        only: simulate only plain runs, or only a run on a cluster.
    """
    missed: list[str] = []
    kinds = get_args(Kind) if only is None else (only,)
    outcomes: dict[Kind, list[Outcome]] = {kind: [] for kind in kinds}
    with bucket_server() as server:
        put_models(server, "place", [made_up_model(number) for number in range(models)])
        plan(server, models, request_ms / 1000, missed)
        for number in workers:
            cards = made_up_models(number * shards_each)
            put_models(server, "place", cards)
            server.seen.clear()
            planned = planned_models(PLACE)
            print(f"a plan of {len(cards)} models takes {len(server.seen)} requests")
            for kind in kinds:
                put_models(server, "place", cards)
                outcome = simulate(server, PLACE, planned, number, plain=kind == "plain")
                what = f"{len(cards)} models, {number} {WORKERS[kind]}"
                print(f"{what}: {told(outcome)}", flush=True)
                goal = BUSY_AT_LEAST.get(number, 0.0)
                if outcome.busy_before < goal:
                    missed.append(f"{what}: busy {outcome.busy_before:.1%}, expected {goal:.0%}")
                outcomes[kind].append(outcome)
    for kind, of_kind in outcomes.items():
        requests = [outcome.for_sharing for outcome in of_kind]
        most = min(SHARING_AT_MOST, (1 + DIFFERENCE_AT_MOST) * min(requests))
        if max(requests) > most:
            found = f"{min(requests):.1f} to {max(requests):.1f}"
            missed.append(f"{found} requests with different numbers of {WORKERS[kind]}")
    print("\n".join(missed) or "no goal is missed")
    sys.exit(1 if missed else 0)


def plan(server: GcsServer, count: int, request_s: float, missed: list[str]) -> None:
    """Plan all models while the server waits with each answer, and print the time."""
    server.seen.clear()
    server.wait_s = request_s
    started, processor = time.monotonic(), time.process_time()
    planned = planned_models(PLACE)
    seconds, processor = time.monotonic() - started, time.process_time() - processor
    server.wait_s = 0.0
    shards = sum(run.plan.shard_count for run in planned)
    print(
        f"{count} models planned: {seconds:.1f} s at {1000 * request_s:.0f} ms a request "
        f"({processor:.1f} s of processor time, with the server), {len(server.seen)} requests, "
        f"{shards} shards",
        flush=True,
    )
    if seconds > PLANNED_WITHIN_S:
        missed.append(f"planning {count} models takes {seconds:.0f} s")


def told(outcome: Outcome) -> str:
    """Return a line about a simulation."""
    kinds = ", ".join(f"{what} {count:.1f}" for what, count in outcome.by_kind.items())
    foreseen = f", {outcome.foreseen:.0%} of them foreseen" if outcome.foreseen else ""
    return (
        f"{outcome.shards} shards in {outcome.seconds / 60:.1f} min; idle {1 - outcome.busy:.1%} "
        f"until the last shard (at best {1 - outcome.ideal:.1%}), {1 - outcome.busy_before:.1%} "
        f"until a worker found none, after {outcome.before_s / 60:.1f} min; "
        f"{outcome.requests:.1f} requests a shard ({kinds}), {outcome.for_sharing:.1f} of them to "
        f"share the work; {outcome.traced:.0%} of the shards begin another layer on a device"
        f"{foreseen}; flow at work {outcome.flow:.0%}; "
        f"{outcome.twice} rendered twice; the runs ended {outcome.published_s:.0f} to "
        f"{outcome.last_end_s:.0f} s after the last shard"
    )


if __name__ == "__main__":
    app()
