"""The shards that a run has to render, while other runs of the same sets work on them, too.

Each run goes through the layers and shards in an order of its own. It skips what has landed in the
bucket meanwhile, and comes back later to what another run has claimed.
"""

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

from diamond_cutter.storage import Bucket, Token
from diamond_cutter.storage.sets.claims import ClaimWatch
from diamond_cutter.storage.sets.layout import set_folder
from diamond_cutter.tasks.rendering.shard import ShardJob

LOOKS_EVERY_S = 15.0
SUBMITTED_AT_MOST = 3
# For how long a shard may be in the bucket before its task ends.
_ENDS_WITHIN_S = 60.0


class SharedShards(Iterator[ShardJob | None]):
    """Yields shards to render now, and None while other runs have claimed all that are left.

    It may yield more after its end, if the task of a shard is lost.
    """

    def __init__(
        self,
        bucket: Bucket,
        jobs: Iterable[ShardJob],
        seed: str,
        on_found: Callable[[ShardJob], None],
    ) -> None:
        """Order the shards, and look at the bucket.

        Args:
            bucket: of the sprites.
            jobs: the shards.
            seed: of the order.
            on_found: is called with each shard that another run has rendered.
        """
        self._bucket, self._on_found = bucket, on_found
        self._left = deque(_shuffled(jobs, seed))
        self._under_way: dict[str, ShardJob] = {}
        self._submitted: Counter[str] = Counter()
        folders = {_folder(job) for job in self._left}
        self._watches = {folder: ClaimWatch(bucket, folder) for folder in folders}
        self._before = {folder: self._tokens(folder) for folder in folders}
        self._looked = time.monotonic()
        self._landed: dict[str, float] = {}
        self._blocked: set[str] = set()

    def __next__(self) -> ShardJob | None:
        """Return a shard to render now, or None if others are at work on all that are left."""
        self._look_if_due()
        for _ in range(len(self._left)):
            job = self._left.popleft()
            key = job.record_key
            if key in self._landed:
                self._on_found(job)
            elif key in self._blocked or self._watches[_folder(job)].is_claimed(key):
                self._left.append(job)
            else:
                self._submitted[key] += 1
                self._under_way[key] = job
                return job
        if self._left:
            return None
        raise StopIteration

    def lost_claim(self, job: ShardJob) -> Token | None:
        """Return the claim on a shard that its owner no longer renews, if there is one."""
        return self._watches[_folder(job)].lost_claim(job.record_key)

    def ended(self, job: ShardJob, *, claimed: bool = False) -> None:
        """Note that the task of a shard has ended; `claimed` if another run is at work on it."""
        self._under_way.pop(job.record_key, None)
        if claimed:
            self._submitted[job.record_key] -= 1
            self._blocked.add(job.record_key)
            self._left.append(job)

    def take_again(self, job: ShardJob) -> bool:
        """Take back a shard whose task was lost, and tell whether it may be submitted again."""
        self._under_way.pop(job.record_key, None)
        if self._submitted[job.record_key] >= SUBMITTED_AT_MOST:
            return False
        self._left.append(job)
        return True

    def lost(self) -> Iterator[ShardJob]:
        """Yield the shards under way whose tasks seem to be lost.

        Their claims are no longer renewed, or their records are there for a minute.
        """
        self._look_if_due()
        now = time.monotonic()
        for key, job in list(self._under_way.items()):
            if self.lost_claim(job) or now - self._landed.get(key, now) > _ENDS_WITHIN_S:
                yield job

    def _look_if_due(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOKS_EVERY_S:
            return
        self._looked = now
        self._blocked.clear()
        for folder in {_folder(job) for job in (*self._left, *self._under_way.values())}:
            self._watches[folder].look()
            for key, token in self._tokens(folder).items():
                if token != self._before[folder].get(key):
                    self._landed.setdefault(key, now)

    def _tokens(self, folder: str) -> dict[str, Token]:
        return {info.key: info.token for info in self._bucket.list(folder)}


def _folder(job: ShardJob) -> str:
    return set_folder(job.model, job.recipe.key)


def _shuffled(jobs: Iterable[ShardJob], seed: str) -> list[ShardJob]:
    """Return the shards in random order, layer by layer, because a layer is traced once."""
    by_layer: dict[tuple[str, str], list[ShardJob]] = {}
    for job in jobs:
        by_layer.setdefault((job.model, job.name), []).append(job)
    order = random.Random(seed)
    layers = list(by_layer.values())
    order.shuffle(layers)
    for layer in layers:
        order.shuffle(layer)
    return [job for layer in layers for job in layer]
