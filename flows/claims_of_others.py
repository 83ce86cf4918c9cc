"""The claims of other runs on the sets of a run, as it last listed them."""

import math
import time
from collections import deque
from collections.abc import Collection
from statistics import fmean

from diamond_cutter.storage import Bucket
from diamond_cutter.storage.sets.claims import ClaimWatch
from diamond_cutter.storage.sets.layout import is_shard_record

# How long a shard takes at least, until the first one of the run has ended, and of how many the
# times are remembered.
_SHARD_S, _REMEMBERED = 30.0, 8
# Parts of the time of a shard: when the claims are listed again, and when that was too late to see
# nearly all of them.
_WATCHED_AFTER, _LATE_AFTER = 0.65, 0.8
# They are listed again after this time at the earliest.
FRESH_FOR_S = 2.0
# Claims of killed runs are lost after some looks, and then count no more.
_RECENT_LOOKS = 8


class ClaimsOfOthers(ClaimWatch):
    """The claims in some folders, without those of this run on shards.

    most: the highest number of them in these folders that the run has seen.
    listed_at: when they were listed last.
    late_at: when they were last listed so late that some may have come and gone unseen; at first
        minus infinity.
    """

    def __init__(self, bucket: Bucket, folders: Collection[str]) -> None:
        """List the claims."""
        self._began = self.listed_at = time.monotonic()
        self.late_at = -math.inf
        self._folders, self.most = tuple(folders), 0
        self._ours: set[str] = set()
        self._on_shards = deque[int](maxlen=_RECENT_LOOKS)
        self._own_s = deque[float](maxlen=_REMEMBERED)
        super().__init__(bucket, self._folders[0] if len(self._folders) == 1 else "sprites/")

    def look(self) -> set[str]:
        """List the claims, and return the keys of the records whose claims have ended.

        Raises:
            Unavailable: the bucket does not respond. What was seen before still counts.
        """
        ended = super().look()
        now = time.monotonic()
        if now - self.listed_at > _LATE_AFTER * self.shard_s():
            self.late_at = now
        self.listed_at = now
        others = [key for key in self if self._is_of_others(key)]
        self.most = max(self.most, len(others))
        self._on_shards.append(sum(map(is_shard_record, others)))
        return {key for key in ended if key.startswith(self._folders)}

    def _is_of_others(self, key: str) -> bool:
        return key.startswith(self._folders) and key not in self._ours and self.is_claimed(key)

    @property
    def on_shards(self) -> int:
        """Return the number of claims on shards."""
        return self._on_shards[-1]

    @property
    def most_on_shards(self) -> int:
        """Return the highest number of claims on shards at once that recent looks have shown."""
        return max(self._on_shards)

    def is_due(self) -> bool:
        """Tell whether claims may come and go unseen if they are not listed soon."""
        shard_s = self.shard_s()
        after_s = max(FRESH_FOR_S, _WATCHED_AFTER * shard_s)
        return shard_s > 0 and time.monotonic() - self.listed_at >= after_s

    def note_begun(self, key: str) -> None:
        """Note that this run is at work on a shard."""
        self._ours.add(key)

    def note_ended(self, key: str, seconds: float) -> None:
        """Note that this run is not at work on a shard any more.

        Args:
            key: of the record of the shard.
            seconds: for which a device was busy with it. Shards of others probably take as long.
        """
        self._ours.discard(key)
        if seconds:
            self._own_s.append(seconds)

    def shard_s(self) -> float:
        """Return how long a claim probably lasts, or 0 because recent shards differ too much."""
        if not self._own_s:
            return max(_SHARD_S, time.monotonic() - self._began)
        mean = fmean(self._own_s)
        return mean if min(self._own_s) >= mean / 2 else 0.0
