"""The shards that a run has to render, while other runs of the same sets work on them, too.

Each run goes through the layers and shards in an order of its own. It skips what has landed in the
bucket meanwhile, and comes back later to what another run has claimed.
"""

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from diamond_cutter.storage import Bucket, Token
from diamond_cutter.storage.sets.claims import RENEWED_EVERY_S, ClaimWatch
from diamond_cutter.storage.sets.layout import is_shard_record, set_folder, shard_record_key
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import ShardJob

LOOKS_EVERY_S = 15.0
# While all that is left is claimed by others, so that a run ends soon after the last of them.
WAITING_LOOKS_EVERY_S = 3.0
SUBMITTED_AT_MOST = 3
# For how long a shard may be in the bucket before its task ends.
_ENDS_WITHIN_S = 60.0


@dataclass
class _Folder:
    """A set as it was when the run looked at it last."""

    watch: ClaimWatch
    looked: float
    landed: dict[str, float]


class SharedShards(Iterator[ShardJob | None]):
    """Yields shards to render now, and None while other runs have claimed all that are left.

    It may yield more after its end, if the task of a shard is lost.
    """

    def __init__(
        self,
        bucket: Bucket,
        jobs: Iterable[ShardJob],
        seed: str,
        damaged: Collection[str],
        on_found: Callable[[ShardJob], None],
    ) -> None:
        """Order the shards.

        Args:
            bucket: of the sprites.
            jobs: the shards.
            seed: of the order.
            damaged: the keys of records that were there when the shards were planned, and do not
                count.
            on_found: is called with each shard that another run has rendered.
        """
        self._bucket, self._damaged, self._on_found = bucket, damaged, on_found
        self._left = deque(_shuffled(jobs, seed))
        # With the lost claim that the task of a shard takes over, if there is one.
        self._under_way: dict[str, tuple[ShardJob, Token | None]] = {}
        self._submitted: Counter[str] = Counter()
        self._folders: dict[str, _Folder] = {}
        self._blocked: dict[str, float] = {}
        self._waits = False
        self._recipes: dict[int, tuple[RenderRecipe, str]] = {}
        self._watched = time.monotonic() - RENEWED_EVERY_S

    def __next__(self) -> ShardJob | None:
        """Return a shard to render now, or None if others are at work on all that are left."""
        job = self._next_free()
        self._waits = job is None and bool(self._left)
        # Whoever has something else to do need not know which claims are of killed processes.
        if job is None and self._left and self._some_owners_are_gone():
            job = self._next_free()
        if job is None and not self._left:
            raise StopIteration
        return job

    def _next_free(self) -> ShardJob | None:
        """Return the next shard that has not landed and is not claimed, or None."""
        for _ in range(len(self._left)):
            job = self._left.popleft()
            key, folder = self._key_of(job), self._seen(job)
            if key in folder.landed:
                self._on_found(job)
            elif folder.watch.is_claimed(key) or self._blocked.get(key) == folder.looked:
                self._left.append(job)
            else:
                self._submitted[key] += 1
                self._under_way[key] = job, folder.watch.lost_claim(key)
                return job
        return None

    def _some_owners_are_gone(self) -> bool:
        folders = {id(folder): folder for folder in map(self._seen, self._left)}
        return any([folder.watch.check_owners() for folder in folders.values()])

    def lost_claim(self, job: ShardJob) -> Token | None:
        """Return the claim on a shard that its owner no longer renews, if there is one."""
        return self._seen(job).watch.lost_claim(self._key_of(job))

    def ended(self, job: ShardJob, *, claimed: bool = False) -> None:
        """Note that the task of a shard has ended; `claimed` if another run is at work on it."""
        key = self._key_of(job)
        self._under_way.pop(key, None)
        if claimed:
            self._submitted[key] -= 1
            # The last look did not show the claim, so wait for the next one.
            self._blocked[key] = self._seen(job).looked
            self._left.append(job)

    def take_again(self, job: ShardJob) -> bool:
        """Take back a shard whose task was lost, and tell whether it may be submitted again."""
        key = self._key_of(job)
        self._under_way.pop(key, None)
        if self._submitted[key] >= SUBMITTED_AT_MOST:
            return False
        self._left.append(job)
        return True

    def lost(self) -> Iterator[ShardJob]:
        """Yield the shards under way whose tasks seem to be lost.

        Their claims are no longer renewed, or their records are there for a minute. A cluster may
        have a thousand shards under way, so they are only looked through as often as claims are
        renewed.
        """
        if time.monotonic() - self._watched < RENEWED_EVERY_S:
            return
        self._watched = time.monotonic()
        for key, (job, lost_before) in list(self._under_way.items()):
            folder, now = self._seen(job), time.monotonic()
            lost = folder.watch.lost_claim(key) not in (None, lost_before)
            if lost or now - folder.landed.get(key, now) > _ENDS_WITHIN_S:
                yield job

    def _seen(self, job: ShardJob) -> _Folder:
        """Return the set of a shard, after a look at it if the last one was long ago."""
        name, now = set_folder(job.model, self._recipe_of(job)), time.monotonic()
        folder = self._folders.get(name)
        if folder is None:
            folder = self._folders[name] = _Folder(ClaimWatch(self._bucket, name), now, {})
        elif now - folder.looked < (WAITING_LOOKS_EVERY_S if self._waits else LOOKS_EVERY_S):
            return folder
        else:
            folder.watch.look()
            folder.looked = now
        for info in self._bucket.list(name):
            if is_shard_record(info.key) and info.key not in self._damaged:
                folder.landed.setdefault(info.key, now)
        return folder

    def _key_of(self, job: ShardJob) -> str:
        """Return the key of a shard's record."""
        return shard_record_key(job.model, self._recipe_of(job), job.name, job.numbers)

    def _recipe_of(self, job: ShardJob) -> str:
        """Return the key of a shard's recipe, which is a hash, so it is computed only once."""
        recipe = job.recipe
        if id(recipe) not in self._recipes:
            self._recipes[id(recipe)] = recipe, recipe.key
        return self._recipes[id(recipe)][1]


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
