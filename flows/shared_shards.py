"""The shards that a run has to render, while other runs of the same sets work on them, too.

All runs have the same order of shards, but each begins somewhere else. A run that meets another one
goes on at a random place, because the next shards are those that the other run takes next. So runs
meet rarely, although no run looks at the bucket before every shard that it claims.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from posixpath import dirname

from diamond_cutter.flows.shared_sets import ENOUGH, SharedSets, folder_of
from diamond_cutter.storage import Token
from diamond_cutter.storage.sets.layout import shard_record_key
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import ShardJob

SUBMITTED_AT_MOST = 3
# For how long a shard may be in the bucket before its task ends.
_ENDS_WITHIN_S = 60.0
# Other runs that work on several sets, from which on watching them saves requests (measured).
_MANY = 32
# How often a run looks for tasks that a cluster has lost. The time in which a claim is not renewed
# is only known as well as this.
_LOST_EVERY_S = 20.0
# A run may have thousands of shards left, and need not check all of them.
_TRIED_FIRST = 32
# Up to so many devices for each shard of a layer, most of their layers are foreseen (measured).
_FORESEEN = 2


class SharedShards:
    """The shards that are left, and those under way.

    Of several shards with equal sprites, such as those of layers that models share, only one is
    rendered. The others wait for it, and are then copied.
    """

    def __init__(
        self,
        sets: SharedSets,
        jobs: Iterable[ShardJob],
        seed: str,
        on_found: Callable[[ShardJob], None],
        drawing_of: Callable[[ShardJob], Hashable] = id,
    ) -> None:
        """Order the shards.

        Args:
            sets: the sets of the shards.
            jobs: the shards.
            seed: of the places where the run begins and goes on.
            on_found: is called with each shard that another run has rendered.
            drawing_of: returns a value that is equal for shards with equal sprites.
        """
        self._sets, self._on_found = sets, on_found
        self._recipes: dict[int, tuple[RenderRecipe, str]] = {}
        self._copies: dict[str, list[ShardJob]] = {}
        self._origins: dict[str, str] = {}
        self._left = {self.key_of(job): job for job in self._originals(jobs, drawing_of)}
        self._shards_each = len(self._left) / max(1, len(set(map(dirname, self._left))))
        self._random = random.Random(seed)
        self._order = _rotated(self._left, self._random)
        self._places = {key: place for place, key in enumerate(self._order)}
        self._place = 0
        self._added, self._none_free = 0, (-1, -1)
        # With the lost claim that the task of a shard takes over, if there is one.
        self._under_way: dict[str, tuple[ShardJob, Token | None]] = {}
        self._submitted: Counter[str] = Counter()
        self._watched = time.monotonic()

    def next(self) -> ShardJob | None:
        """Return a shard to render now; None if none is left, or others are at work on them."""
        self.drop_landed()
        while self._left and self._none_free != (self._sets.looks, self._added):
            next_one = self._next_in_order()
            key = next_one or self._somewhere_else()
            if key is None:
                self._none_free = self._sets.looks, self._added
                return None
            if self._sets.before_choosing(
                key, free_per_claim=self._free_per_claim(), elsewhere=not next_one
            ):
                self.drop_landed()
                continue
            self._sets.end_waiting()
            job = self._left.pop(key)
            self._submitted[key] += 1
            self._under_way[key] = job, self._sets.claims.lost_claim(key)
            self._sets.claims.note_begun(key)
            return job
        return None

    @property
    def left(self) -> Collection[str]:
        """Return the keys of the shards that are neither done nor under way."""
        return self._left.keys()

    @property
    def are_scarce(self) -> bool:
        """Tell whether other runs will probably take the next shards before this run can.

        Then it pays to choose a shard only when a device is free, and to look before.
        """
        return self._free_per_claim() < ENOUGH

    def _free_per_claim(self) -> float:
        """Return the number of shards that seem to be free for each claim of others."""
        others = self._sets.claims.most_on_shards
        free = max(0, len(self._left) - self._sets.count_not_free())
        return free / others if others else math.inf

    def watch_others(self) -> None:
        """Look at the claims of others soon after the start, and then if it saves requests.

        That is so if shards are scarce, or if many runs work on several sets: the run then knows
        almost all shards that have landed, without listing the records of each set.
        """
        several = self._sets.are_several and self._sets.claims.most_on_shards >= _MANY
        if self._left and self._under_way and (self.are_scarce or several or not self._sets.looks):
            self._sets.keep_watch()

    def drop_landed(self) -> None:
        """Call `on_found` with all shards left that have landed."""
        for news in self._sets.take_news():
            if news in self._left:
                self._find(news)
            elif news.endswith("/"):
                for key in [key for key in self._left if folder_of(key) == news]:
                    self._find(key)

    def _find(self, key: str) -> None:
        job = self._left.pop(key)
        self._release_copies(key)
        self._on_found(job)

    def _next_in_order(self) -> str | None:
        """Return the next shard, or None if another run has been here."""
        while self._place < len(self._order):
            key = self._order[self._place]
            if key in self._left:
                return key if self._sets.is_free(key) else None
            if key not in self._submitted:
                return None
            self._place += 1
        self._place = 0
        return None

    def _somewhere_else(self) -> str | None:
        """Return a random shard, in the set that the run has looked at last if there is one.

        It is not the next one of another run, unless there are few.
        """
        keys = list(self._left)
        few = self._random.sample(keys, min(len(keys), _TRIED_FIRST))
        few.sort(key=lambda key: (self._sets.is_elsewhere(key), self._is_next_of_another(key)))
        for key in (*few, *keys):
            if self._sets.is_free(key):
                self._place = self._places[key]
                return key
        return None

    def _is_next_of_another(self, key: str) -> bool:
        before = self._order[self._places[key] - 1]
        return before not in self._submitted and not self._sets.is_free(before)

    def lost_claim(self, job: ShardJob) -> Token | None:
        """Return the claim on a shard that its owner no longer renews, if there is one."""
        return self._sets.claims.lost_claim(self.key_of(job))

    def origin_of(self, job: ShardJob) -> str | None:
        """Return the key of the record of a shard in the bucket that has equal sprites, or None."""
        return self._origins.get(self.key_of(job))

    def likely_after(self, job: ShardJob, devices: int) -> ShardJob | None:
        """Return the shard of another layer that the device of a shard will probably render next.

        None if it is of the same layer, or cannot be foreseen. With equal times, the next one is as
        many places later as there are devices.
        """
        now = self.key_of(job)
        place = self._places[now] + devices
        key = next(iter(self._order[place : place + 1]), "")
        if key not in self._left or dirname(key) == dirname(now) or key in self._origins:
            return None
        foreseen = devices <= _FORESEEN * self._shards_each and not self.are_scarce
        return self._left[key] if foreseen and self._sets.is_free(key) else None

    def ended(self, job: ShardJob, *, how: str, seconds: float = 0.0) -> None:
        """Note that the task of a shard has ended.

        Args:
            job: the shard.
            how: `rendered`; `there` or `claimed`, if another run has rendered it, or is at work
                on it; `failed`; `gone`, if it cannot be copied from its origin.
            seconds: for which a device was busy with it.
        """
        key = self.key_of(job)
        self._under_way.pop(key, None)
        self._sets.claims.note_ended(key, seconds)
        if how in ("rendered", "there"):
            self._sets.note_landed(key)
        if (how == "there" and key not in self._origins) or how == "claimed":
            self._sets.meet(key)
        if how in ("claimed", "gone"):
            self._submitted[key] -= 1
            self._put_back(key, job)
        if how == "gone":
            del self._origins[key]
        elif how != "claimed":
            self._release_copies(key, landed=how != "failed")

    def take_again(self, job: ShardJob) -> bool:
        """Take back a shard whose task was lost, and tell whether it may be submitted again."""
        key = self.key_of(job)
        self._under_way.pop(key, None)
        if self._submitted[key] >= SUBMITTED_AT_MOST:
            self._release_copies(key, landed=False)
            return False
        self._put_back(key, job)
        return True

    def lost(self) -> Iterator[ShardJob]:
        """Yield the shards under way whose tasks seem to be lost.

        Their claims are no longer renewed, or their records are there for a minute. A cluster may
        have a thousand shards under way, so they are only looked through every `_LOST_EVERY_S`.
        """
        if time.monotonic() - self._watched < _LOST_EVERY_S:
            return
        self._watched = time.monotonic()
        if self._under_way:
            self._sets.look(*{folder_of(key) for key in self._under_way})
        for key, (job, lost_before) in list(self._under_way.items()):
            now = time.monotonic()
            lost = self._sets.claims.lost_claim(key) not in (None, lost_before)
            if lost or now - self._sets.landed.get(key, now) > _ENDS_WITHIN_S:
                yield job

    def _originals(
        self, jobs: Iterable[ShardJob], drawing_of: Callable[[ShardJob], Hashable]
    ) -> Iterator[ShardJob]:
        """Yield the first shard of each drawing; the others wait for it."""
        first: dict[Hashable, str] = {}
        for job in jobs:
            key = self.key_of(job)
            original = first.setdefault(drawing_of(job), key)
            if original == key:
                yield job
            else:
                self._copies.setdefault(original, []).append(job)

    def _release_copies(self, key: str, *, landed: bool = True) -> None:
        """Let the shards go on that wait for a shard: as copies of it if it has landed."""
        copies = self._copies.pop(key, [])
        if copies and not landed:
            # One of them is rendered instead, and the others wait for that one.
            self._copies[self.key_of(copies[0])] = copies[1:]
            copies = copies[:1]
        for job in copies:
            copy = self.key_of(job)
            if landed:
                self._origins[copy] = key
            self._places[copy] = len(self._order)
            self._order.append(copy)
            self._put_back(copy, job)
            if self._sets.is_landed(copy):
                self._find(copy)

    def _put_back(self, key: str, job: ShardJob) -> None:
        self._left[key] = job
        self._added += 1

    def key_of(self, job: ShardJob) -> str:
        """Return the key of a shard's record."""
        return shard_record_key(job.model, self._recipe_of(job), job.name, job.numbers)

    def _recipe_of(self, job: ShardJob) -> str:
        """Return the key of a shard's recipe, which is a hash, so it is computed only once."""
        recipe = job.recipe
        if id(recipe) not in self._recipes:
            self._recipes[id(recipe)] = recipe, recipe.key
        return self._recipes[id(recipe)][1]


def _rotated(keys: Iterable[str], order: random.Random) -> list[str]:
    """Return the keys of the shards from a random one on, layer by layer, because of tracing."""
    by_layer: dict[str, list[str]] = {}
    for key in keys:
        by_layer.setdefault(dirname(key), []).append(key)
    layers = list(by_layer.values())
    # More runs begin in a layer with more shards.
    first = order.choices(range(len(layers)), list(map(len, layers)))[0] if layers else 0
    for layer in layers[first : first + 1]:
        start = order.randrange(len(layer))
        layer[:] = [*layer[start:], *layer[:start]]
    return [key for layer in (*layers[first:], *layers[:first]) for key in layer]
