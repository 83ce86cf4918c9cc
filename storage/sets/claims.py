"""Claims, by which runs of the same request share the work.

A claim is a small object that says: a process is at work on this record, so leave it alone. It is
created before the work and deleted after it. Its owner renews it every `RENEWED_EVERY_S`. A claim
is lost if it was not renewed for `LEASE_S`, or if its process is known to be gone. Then another run
takes it over. Claims only save work: if two runs do the same work nevertheless, one record counts.

Clocks of machines differ, so nobody compares a time in a claim with a clock. Who waits for a claim
watches its token, which changes with each renewal.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from diamond_cutter.process_identity import ProcessIdentity
from diamond_cutter.storage.bucket import Bucket, Token
from diamond_cutter.storage.errors import Conflict, StorageError, Unavailable
from diamond_cutter.storage.sets.layout import claim_key, claimed_record, claims_folder
from diamond_cutter.storage.sets.records import Record
from diamond_cutter.storage.sets.sprite_set import read_record

LEASE_S = 120.0
# Most shards end before the first renewal.
RENEWED_EVERY_S = 40.0
# A check is a request, and a bucket may hold a thousand claims of as many runs. So this is how many
# a run checks between two looks, and how many all runs check together.
_CHECKED_AT_ONCE, _CHECKED_BY_ALL = 16, 256


class Claim(Record):
    """A claim of a process. Its `id` makes it differ from all others."""

    id: str
    process: ProcessIdentity


@contextmanager
def claim(bucket: Bucket, record_key: str, lost: Token | None = None) -> Iterator[bool]:
    """Claim the work on a record for the block, unless another process has claimed it.

    Args:
        bucket: of the record.
        record_key: of the record that the work will commit.
        lost: the claim that this one may replace, because its owner no longer renews it.

    Yields:
        Whether the work is claimed for the block. If not, leave it to the other process.

    Raises:
        AccessDenied, CredentialsError, Unavailable: the bucket cannot be written.
    """
    key = claim_key(record_key)
    content = Claim(id=uuid4().hex, process=ProcessIdentity.of_this_process()).to_bytes()
    token = _take(bucket, key, content, lost)
    if token is None:
        yield False
        return
    renewal = _Renewal(bucket, key, content, token)
    renewal.start()
    try:
        yield True
    finally:
        renewal.end()


def _take(bucket: Bucket, key: str, content: bytes, lost: Token | None) -> Token | None:
    """Return the token of our claim, or None if another process has claimed the work."""
    while True:
        try:
            return bucket.put(key, content).token
        except Conflict:
            # Most claims are of live processes. To find that out takes one request.
            if lost is None and not _owner_is_gone(bucket, key):
                return None
        present = bucket.stat(key)
        if present is None:
            continue  # it was deleted meanwhile
        if lost is not None and present.token != lost and not _owner_is_gone(bucket, key):
            return None
        try:
            return bucket.put(key, content, mode=present.token).token
        except Conflict:
            lost = None  # a third process was faster, or the owner lives


def _owner_is_gone(bucket: Bucket, key: str) -> bool:
    present = read_record(bucket, key, Claim)
    return present is not None and present.process.is_known_to_be_gone()


class _Renewal:
    """Renews a claim until it is ended."""

    def __init__(self, bucket: Bucket, key: str, content: bytes, token: Token) -> None:
        self._bucket, self._key, self._content, self._token = bucket, key, content, token
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_ended, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop and delete the claim, unless another process has taken it over."""
        self._ended.set()
        self._thread.join()
        with suppress(StorageError):  # a claim that stays is lost after its lease
            self._bucket.delete(self._key, token=self._token)

    def renew(self) -> bool:
        """Renew the claim once, and tell whether to renew it again later."""
        try:
            self._token = self._bucket.put(self._key, self._content, mode=self._token).token
        except Unavailable:
            return True
        except StorageError:  # a Conflict: this process was stopped for longer than the lease
            return False
        return True

    def _renew_until_ended(self) -> None:
        while not self._ended.wait(RENEWED_EVERY_S) and self.renew():
            pass


class ClaimWatch:
    """The claims on the records of a folder as the last listing showed them."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        """List the claims."""
        self._bucket, self._folder = bucket, claims_folder(folder)
        self._looked = time.monotonic()
        # By the key of the record: the claim, and for how long it has been watched.
        self._seen: dict[str, tuple[Token, float]] = {}
        self._of_gone_owners = set[Token]()
        self.look()
        self._unchecked = {key: token for key, (token, _) in self._seen.items()}
        self._checks = max(1, _CHECKED_BY_ALL // max(1, len(self)))

    def __len__(self) -> int:
        """Return the number of claims."""
        return len(self._seen)

    def __iter__(self) -> Iterator[str]:
        """Yield the keys of the records that are claimed."""
        return iter(self._seen)

    def look(self) -> set[str]:
        """List the claims again, and return the keys of the records whose claims have ended.

        Raises:
            Unavailable: the bucket does not respond. What was seen before still counts.
        """
        now, seen = time.monotonic(), dict[str, tuple[Token, float]]()
        # While the bucket cannot be read, its claims cannot be renewed either.
        passed = min(now - self._looked, RENEWED_EVERY_S)
        for info in self._bucket.list(self._folder):
            key = claimed_record(info.key)
            token, watched_s = self._seen.get(key, (None, 0.0))
            seen[key] = info.token, watched_s + passed if token == info.token else 0.0
        ended = self._seen.keys() - seen.keys()
        self._looked, self._seen, self._checks_left = now, seen, _CHECKED_AT_ONCE
        return ended

    def check_owners(self) -> bool:
        """Check whether the owners of claims are gone, and tell whether some are.

        Only claims of the first look are checked that nobody has renewed since, and only a few
        between two looks. The more claims there are, the fewer a run checks, until it finds one
        whose owner is gone. The others are lost after their lease.
        """
        found = False
        while self._unchecked and self._checks and self._checks_left:
            key, token = self._unchecked.popitem()
            if self._seen.get(key, (None, 0.0))[0] == token:
                self._checks -= 1
                self._checks_left -= 1
                if _owner_is_gone(self._bucket, claim_key(key)):
                    self._of_gone_owners.add(token)
                    self._checks, found = max(self._checks, _CHECKED_AT_ONCE), True
        return found

    def delete_lost(self) -> None:
        """Delete the lost claims, unless the bucket can only be read."""
        self.check_owners()
        for key, (token, _) in self._seen.items():
            if self.lost_claim(key) is not None:
                with suppress(StorageError):  # another process has taken it over
                    self._bucket.delete(claim_key(key), token=token)

    def lost_claim(self, record_key: str) -> Token | None:
        """Return the claim on a record if its owner is gone or has not renewed it, else None."""
        token, watched_s = self._seen.get(record_key, (None, 0.0))
        return token if watched_s > LEASE_S or token in self._of_gone_owners else None

    def is_claimed(self, record_key: str) -> bool:
        """Tell whether there is a claim on a record that is not lost."""
        return record_key in self._seen and self.lost_claim(record_key) is None

    def claimed_in(self, folder: str) -> bool:
        """Tell whether there is a claim on a record in a folder that is not lost."""
        return any(key.startswith(folder) and self.is_claimed(key) for key in self._seen)
