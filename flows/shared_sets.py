"""The records and claims in the sets of a run, as the run last saw them.

Listings cost requests, so each has a reason. The claims are listed every `CLAIMS_EVERY_S`. If that
saves more requests than it costs, they are listed so often that hardly any claim comes and goes
unseen. A set is listed after the run has met another one there, if claims may have gone unseen, and
while the run waits for others. A run that waits looks less and less often. It is only needed if a
claim is lost, because whoever ends a shard looks itself. So the requests of a shard do not grow
with the number of runs.
"""

import random
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cache

from diamond_cutter.flows.claims_of_others import FRESH_FOR_S, ClaimsOfOthers
from diamond_cutter.storage import Bucket, Token, Unavailable
from diamond_cutter.storage.sets.claims import RENEWED_EVERY_S
from diamond_cutter.storage.sets.layout import (
    is_run_record,
    is_shard_record,
    is_spritemap_record,
    set_folder,
    set_of,
)
from diamond_cutter.storage.sets.records import RunRecord
from diamond_cutter.storage.sets.sprite_set import read_record

CLAIMS_EVERY_S = 30.0
# While all that is left is at work elsewhere. A look counts at most `RENEWED_EVERY_S` of a lease.
SHORTEST_WAIT_S, _LONGEST_WAIT_S = 3.0, RENEWED_EVERY_S
# Free shards for each claim of others; with fewer of them, they are scarce.
ENOUGH = 8.0
# If they are scarce, the claims are listed again when others have probably taken this part of the
# free shards.
_TAKEN = 0.15
# Each wait is twice as long as the one before, from the first of these to the second, for each
# claim. A set is listed after the third.
_FIRST_WAIT_S, _LAST_WAIT_S, _LISTING_S = 1 / 6, 1.0, 1 / 3


class SharedSets:
    """What other runs have done, and are at work on, in the sets of this run.

    landed: when the run first saw each new record of a shard, spritemap or run, by its key.
    committed: by folder, the record of the run that another run of the same request has committed.
    claims: of others.
    looks: the number of listings, and of meetings with others.
    """

    def __init__(
        self,
        bucket: Bucket,
        folders: Collection[str],
        *,
        seed: str,
        damaged: Collection[str] = (),
        before: Mapping[str, Token] | None = None,
        awaited: Mapping[str, str] | None = None,
    ) -> None:
        """List the claims.

        Args:
            bucket: of the sets.
            folders: of the sets.
            seed: of the times between looks.
            damaged: the keys of records of shards that do not count.
            before: the versions of records that were there before the run, by key. They do not
                count.
            awaited: by folder, the key of the record of a run that would complete this run's work.
        """
        self._bucket, self._damaged, self._before = bucket, damaged, before or {}
        self._awaited, self._random = awaited or {}, random.Random(seed)
        self.landed: dict[str, float] = {}
        self.committed: dict[str, RunRecord] = {}
        self.looks = 0
        self._news: list[str] = []
        self._listed = ""
        # Keys whose claims have ended. They have probably landed, but no listing has shown it yet.
        self._doubtful: dict[str, set[str]] = {folder: set() for folder in folders}
        self._met: set[str] = set()
        # The plan has listed them.
        self._listed_at = dict.fromkeys(folders, time.monotonic())
        self._next_listing: dict[str, float] = {}
        self.claims, self._waits = ClaimsOfOthers(bucket, folders), 0
        self._wait_from_now()

    def is_landed(self, key: str) -> bool:
        """Tell whether another run has written a record since this run was planned."""
        return key in self.landed or folder_of(key) in self.committed

    def is_free(self, key: str) -> bool:
        """Tell whether nobody seems to be at work on a record that has not landed."""
        if self.claims.is_claimed(key):
            return False
        return key not in self._doubtful[folder_of(key)] or self.claims.lost_claim(key) is not None

    @property
    def are_several(self) -> bool:
        """Tell whether there are several sets, so that listing one of them shows little."""
        return len(self._listed_at) > 1

    def take_news(self) -> list[str]:
        """Return the keys that have landed since the last call, and folders that are committed."""
        news, self._news = self._news, []
        return news

    def count_not_free(self) -> int:
        """Return the number of shards that others have claimed, and of records with ended claims.

        Almost all of these are of shards, and to count them apart would take a third of the time
        of a simulated run.
        """
        return self.claims.on_shards + sum(map(len, self._doubtful.values()))

    def note_landed(self, key: str) -> None:
        """Note that a record is there by this run's own work."""
        self.landed.setdefault(key, time.monotonic())

    def meet(self, key: str) -> None:
        """Note that another run was at work on a record, or has written it."""
        self._doubtful[folder_of(key)].add(key)
        self._met.add(folder_of(key))
        self.looks += 1

    def is_elsewhere(self, key: str) -> bool:
        """Tell whether a record is not in the set that was listed last."""
        return folder_of(key) != self._listed

    def before_choosing(self, key: str, *, free_per_claim: float, elsewhere: bool) -> bool:
        """Look again if the last look may be too old to choose work in the set of a record.

        Args:
            key: of the record.
            free_per_claim: the number of shards that seem to be free, for each claim of others.
            elsewhere: whether the run would go on at a new place, where others may have been.

        Returns:
            Whether there was a look.
        """
        folder, fresh_for_s, scarce = folder_of(key), CLAIMS_EVERY_S, free_per_claim < ENOUGH
        if scarce:
            fresh_for_s = max(
                FRESH_FOR_S, min(fresh_for_s, _TAKEN * free_per_claim * self.claims.shard_s())
            )
        looks, has_met = self.looks, folder in self._met
        if has_met or time.monotonic() - self.claims.listed_at >= fresh_for_s:
            self._look_at_claims()
        if has_met or (scarce and elsewhere and self.claims.late_at > self._listed_at[folder]):
            self._list(folder)
        return self.looks > looks

    def keep_watch(self) -> None:
        """List the claims if otherwise some might come and go before the next listing."""
        if self.claims.is_due():
            with suppress(Unavailable):  # the next listing is late, but no task is lost
                self._list_claims()

    def look(self, *folders: str) -> None:
        """List the claims, then the records of sets: a claim ends after its record is written."""
        self._look_at_claims()
        for folder in folders:
            self._list(folder)

    def wait_for(self, keys: Iterable[str]) -> None:
        """Look again, if it is time, because others are at work on all that is left.

        Args:
            keys: of the records that the run waits for.
        """
        if time.monotonic() < self._wait_until:
            return
        self._waits += 1
        self._look_at_claims()
        due = list[str]()
        for folder in {folder_of(key) for key in keys if not self.claims.is_claimed(key)}:
            if not self.claims.claimed_in(folder):
                # Everything there has landed, or nobody is at work on it any more.
                if not (self._may_read_run(folder) and self._read_run(folder)):
                    self._list(folder)
            elif time.monotonic() >= self._next_listing.get(folder, 0.0):
                due.append(folder)
        if due:  # one of them, because a run may wait for a hundred models
            self._list(min(due, key=self._listed_at.__getitem__))

    def end_waiting(self) -> None:
        """Note that the run has found work, so that its next wait begins with short ones."""
        self._waits = 0

    def check_owners(self) -> None:
        """Check whether processes of this machine have left claims behind."""
        self.looks += self.claims.check_owners()

    def _look_at_claims(self) -> None:
        """List the claims, and begin to wait for the next time."""
        self._list_claims()
        self._wait_from_now()

    def _list_claims(self) -> None:
        self.looks += 1
        for key in self.claims.look() - self.landed.keys():
            self._doubtful[folder_of(key)].add(key)

    def _wait_from_now(self) -> None:
        """Determine when a run that waits looks again."""
        first = max(SHORTEST_WAIT_S, self.claims.most * _FIRST_WAIT_S)
        last = min(max(SHORTEST_WAIT_S, self.claims.most * _LAST_WAIT_S), _LONGEST_WAIT_S)
        # The exponent is bounded because a run may wait for days.
        wait_s = min(first * 2 ** min(self._waits, 8), last) * self._random.uniform(0.5, 1.0)
        self._wait_until = time.monotonic() + wait_s

    def _list(self, folder: str) -> None:
        now, self._listed = time.monotonic(), folder
        self.looks += 1
        for info in self._bucket.list(folder):
            if info.key not in self.landed and self._is_news(info.key, info.token):
                self.landed[info.key] = now
                self._news.append(info.key)
        self._doubtful[folder].clear()
        self._met.discard(folder)
        self._listed_at[folder] = now
        pause = max(SHORTEST_WAIT_S, self.claims.most * _LISTING_S)
        self._next_listing[folder] = now + pause * self._random.uniform(0.5, 1.0)
        if self._awaited.get(folder) in self.landed:
            self._read_run(folder)

    def _is_news(self, key: str, token: Token) -> bool:
        if is_shard_record(key):
            return key not in self._damaged
        return (is_spritemap_record(key) or is_run_record(key)) and self._before.get(key) != token

    def _may_read_run(self, folder: str) -> bool:
        """Tell whether a record of the awaited run can only be a new one."""
        return folder in self._awaited and self._awaited[folder] not in self._before

    def _read_run(self, folder: str) -> bool:
        """Read the awaited record of a run, and tell whether it completes the set."""
        record = read_record(self._bucket, self._awaited[folder], RunRecord)
        if record is None or not record.is_complete:
            return False
        self.committed[folder] = record
        self._news.append(folder)
        return True


@cache
def folder_of(key: str) -> str:
    """Return the folder of the set that a record is in."""
    return set_folder(*(set_of(key) or ("", "")))
