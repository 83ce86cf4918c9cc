"""What a run has to render, gather and publish, while other runs of the same request do, too.

One of the live runs renders a shard, one gathers a spritemap, and one publishes a model. The others
adopt the records. If the run that does it dies, another one takes over.
"""

import random
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from itertools import chain

from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.flows.planning import LayerPlan, shard_jobs
from diamond_cutter.flows.shared_sets import SharedSets, folder_of
from diamond_cutter.flows.shared_shards import SharedShards
from diamond_cutter.storage import Bucket, Token
from diamond_cutter.tasks.gathering.adoption import drawing_of
from diamond_cutter.tasks.photos.activations import activations_key
from diamond_cutter.tasks.rendering.shard import ShardJob

# Seconds for each claim, of which a run draws a part before it gathers; less than one is left out.
_TURN_S, _SHORTEST_TURN_S = 0.01, 1.0


class SharedWork(Iterator[ShardJob | None]):
    """The models, layers and shards of a run that are not done.

    Yields the shards to render now, and None while others are at work on all that is left. It may
    yield more after its end, if the task of a shard is lost.

    Attributes:
        shards: the shards that are left, and those under way.
        runs: the models that are neither published nor adopted, by their keys.
    """

    def __init__(
        self,
        bucket: Bucket,
        runs: Sequence[ModelRun],
        seed: str,
        on_found: Callable[[ShardJob], None],
    ) -> None:
        """List the claims, and order the shards.

        Args:
            bucket: of the sprites.
            runs: the models.
            seed: of the order, and of the times between looks. It differs from run to run.
            on_found: is called with each shard that another run has rendered.
        """
        self.runs = {run.plan.card.key: run for run in runs}
        self._sets = SharedSets(
            bucket,
            [folder_of(run.key) for run in runs],
            seed=seed,
            damaged={key for run in runs for layer in run.plan.layers for key in layer.damaged},
            before={key: token for run in runs for key, token in run.plan.gathered.items()},
            awaited={folder_of(run.key): run.key for run in runs if run.may_adopt},
        )
        jobs = [job for run in runs for job in _jobs(run)]
        drawings = _Drawings(self.runs) if len(runs) > 1 else id
        self.shards = SharedShards(self._sets, jobs, seed, on_found, drawings)
        self._ready: dict[str, tuple[ModelRun, LayerPlan]] = {}
        self._random, self._turn = random.Random(seed), 0.0
        for run in runs:
            for layer in run.plan.layers:
                if not layer.shards and not layer.postponed:
                    self.add_layer(run, layer)

    def __next__(self) -> ShardJob | None:
        """Return a shard to render now, or None if others are at work on all that is left."""
        job = self.shards.next()
        if job is not None:
            return job
        unpublished = [run.key for run in self.runs.values() if run.is_complete]
        if not (self.shards.left or self._ready or unpublished):
            raise StopIteration
        self._sets.wait_for(chain(self.shards.left, self._ready, unpublished))
        # Whoever has something else to do need not know which claims are of killed processes.
        self._sets.check_owners()
        return self.shards.next()

    def end(self) -> None:
        """Delete what killed runs have left: nobody else replaces the claims on finished work."""
        self._sets.claims.delete_lost()

    def add_layer(self, run: ModelRun, layer: LayerPlan) -> None:
        """Add a layer all of whose shards are there."""
        self._ready[run.spritemap_key(layer)] = run, layer

    def return_layer(self, run: ModelRun, layer: LayerPlan) -> None:
        """Take back a layer, because another run gathers it."""
        self._sets.meet(run.spritemap_key(layer))
        self.add_layer(run, layer)

    def layers_to_gather(self) -> Iterator[tuple[ModelRun, LayerPlan, Token | None]]:
        """Yield the layers to gather now, each with the lost claim on it if there is one.

        Layers that other runs have gathered are noted instead.
        """
        if self._is_turn(self._layers_free()):
            for key in self._layers_free():
                yield *self._ready.pop(key), self._sets.claims.lost_claim(key)

    def _layers_free(self) -> list[str]:
        """Return the keys of the spritemaps to gather, and note those that others have gathered."""
        self.shards.drop_landed()
        free = list[str]()
        for key, (run, layer) in list(self._ready.items()):
            if run.may_adopt and self._sets.is_landed(key):
                del self._ready[key]
                run.gathered_elsewhere.add(layer.layer)
                run.spritemap_done(layer)
            elif self._sets.is_free(key) and not self._comes_later(run, layer):
                free.append(key)
        return free

    def _is_turn(self, free: Collection[str]) -> bool:
        """Tell whether to gather spritemaps now.

        Hundreds of runs may find the same layers at the same time. So each waits for a random time
        first, and then looks whether another one has gathered them. The next layers have a new
        time.
        """
        if not free:
            self._turn = 0.0
            return False
        if not self._turn:
            turn_s = self._random.uniform(0.0, _TURN_S * self._sets.claims.most)
            if turn_s < _SHORTEST_TURN_S:
                return True
            self._turn = time.monotonic() + turn_s
        if time.monotonic() < self._turn:
            return False
        self._turn = 0.0
        self._sets.look(*set(map(folder_of, free)))
        return True

    def _comes_later(self, run: ModelRun, layer: LayerPlan) -> bool:
        """Tell whether a layer had all its shards before, and another run may check it first."""
        return not layer.shards and run.has_shards_left and self._sets.claims.most > 0

    def finish_models(self, finish: Callable[[ModelRun, Token | None], bool]) -> None:
        """Publish the models whose layers have ended, or adopt what another run has published.

        Args:
            finish: does this. It gets the lost claim on this work, if there is one, and returns
                False if another run has claimed it.
        """
        for model, run in list(self.runs.items()):
            if not run.is_complete:
                continue
            if run.may_adopt_run:
                run.committed = self._sets.committed.get(folder_of(run.key))
            if run.committed is None and not self._sets.is_free(run.key):
                continue
            if finish(run, self._sets.claims.lost_claim(run.key)):
                del self.runs[model]
            else:
                self._sets.meet(run.key)


class _Drawings:
    """Returns a value that is equal for shards of several models with equal sprites."""

    def __init__(self, runs: Mapping[str, ModelRun]) -> None:
        self._cards = {model: run.plan.card for model, run in runs.items()}
        self._known: dict[tuple[str, str], Hashable] = {}

    def __call__(self, job: ShardJob) -> Hashable:
        name = job.model, job.name
        if name not in self._known:
            card = self._cards[job.model]
            self._known[name] = drawing_of(card, job.recipe, job.subjects)
        return self._known[name], job.numbers


def _jobs(run: ModelRun) -> Iterator[ShardJob]:
    records = {layer: activations_key(record) for layer, record in run.photos.items()}
    return shard_jobs(run.plan, run.request, records)
