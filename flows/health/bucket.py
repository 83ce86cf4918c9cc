"""Checks the bucket with a scratch object: write, read, conditional write, listing, delete."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from diamond_cutter.flows.health.clock import compare_clocks
from diamond_cutter.flows.health.findings import Finding, Findings, failure
from diamond_cutter.flows.quantities import significant
from diamond_cutter.storage import (
    AccessDenied,
    Bucket,
    Conflict,
    LocalBucket,
    NotFound,
    ObjectInfo,
    StorageError,
)
from diamond_cutter.storage.sets.layout import new_scratch_key
from diamond_cutter.storage.trial import trial_bucket

_FIRST, _SECOND = b"diamond-cutter doctor, first version", b"diamond-cutter doctor, second version"
_SLOW_S = 3.0


def check_bucket(url: str, stop: threading.Event) -> Findings:
    """Yield the findings about a bucket, and leave nothing in it."""
    with trial_bucket(url) as bucket:
        scratch = _ScratchObject(bucket, url)
        try:
            for name, step in scratch.steps():
                finding = _tried(f"bucket: {name}", step)
                yield finding
                if finding.state == "failed" and not scratch.written:
                    break
            if scratch.refused:
                yield _tried("bucket: listing", scratch.list)
            elif scratch.clock is not None:
                yield scratch.clock
        finally:
            scratch.remove()


class _ScratchObject:
    """An object that is written, read, listed and deleted."""

    def __init__(self, bucket: Bucket, url: str) -> None:
        self._bucket, self._url, self._key = bucket, url, new_scratch_key()
        self._info: ObjectInfo | None = None
        self._may_exist = True
        self.refused = False  # writing is not allowed
        self.clock: Finding | None = None

    @property
    def written(self) -> bool:
        """Tell whether the object was written."""
        return self._info is not None

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """Return the names of the steps and the steps, in their order."""
        return [
            ("write", self._write),
            ("read", self._read),
            ("conditional write", self._write_on_condition),
            ("listing", self.list),
            ("delete", self._delete),
        ]

    def remove(self) -> None:
        """Delete the object if it may still be there."""
        if self._may_exist:
            with suppress(StorageError):
                self._bucket.delete(self._key)

    def list(self) -> str:
        """List the object."""
        listed = [info.key for info in self._bucket.list(self._key)]
        if listed != [self._key] * self.written:
            raise StorageError(
                f"the listing of {self._url} is wrong: expected the object that was written, found "
                f"{len(listed)} objects. Use a storage that lists objects right after their write."
            )
        return "objects can be listed"

    def _write(self) -> str:
        before = datetime.now(UTC)
        try:
            self._info = self._bucket.put(self._key, _FIRST)
        except StorageError as error:
            # After other errors the object may have been written, although its reply was lost.
            self.refused = isinstance(error, AccessDenied)
            self._may_exist = not self.refused
            raise
        if not isinstance(self._bucket, LocalBucket):
            after = datetime.now(UTC)
            self.clock = compare_clocks("the bucket", self._info.updated, before, after)
        return f"objects can be written to {self._url}"

    def _read(self) -> str:
        if self._bucket.get(self._key) != _FIRST:
            raise StorageError(
                f"{self._url} returns other bytes than were written to it. Use another storage."
            )
        return "objects can be read"

    def _write_on_condition(self) -> str:
        """Write where the bucket has to refuse it: to a key in use, and over another version."""
        first = self._info
        if first is None:
            raise NotFound(f"{self._key!r} was not written to {self._url}")
        self._expect_refusal("create")
        self._bucket.put(self._key, _SECOND, mode=first.token)
        self._expect_refusal(first.token)
        return "a write on a condition that does not hold is refused, as it must be"

    def _expect_refusal(self, mode: object) -> None:
        try:
            self._bucket.put(self._key, _FIRST + _SECOND, mode=mode)  # type: ignore[arg-type]
        except Conflict:
            return
        raise StorageError(
            f"{self._url} replaced an object although the write forbade that. Runs that work at "
            "the same time could lose results. Use a storage with conditional writes."
        )

    def _delete(self) -> str:
        self._bucket.delete(self._key)
        self._may_exist = False
        return "objects can be deleted"


def _tried(check: str, step: Callable[[], str]) -> Finding:
    started = time.perf_counter()
    try:
        found = step()
    except StorageError as error:
        return failure(check, error)
    seconds = time.perf_counter() - started
    if seconds > _SLOW_S:
        return Finding(
            check=check,
            state="warning",
            found=f"{found}, but it took {significant(seconds)} s. Check the network, or use a "
            "bucket in the region of this machine.",
        )
    return Finding(check=check, state="ok", found=f"{found} ({significant(1000 * seconds)} ms)")
