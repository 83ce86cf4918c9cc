"""Copies what a bucket holds into another one: verified, resumable, and never a record before what
it names.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import Field

from diamond_cutter.flows.verification import Problem
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, Conflict, Corrupt, NotFound, ObjectInfo, crc32c
from diamond_cutter.storage.bucket import check_prefix
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import (
    is_fingerprinted,
    is_run_record,
    is_view,
    is_view_record,
    record_beside,
    report_key,
    report_of,
    set_folder,
    set_of,
)
from diamond_cutter.tasks.importing.stored import read_card

_IN_MEMORY_BYTES = 8 << 20


class Copied(FrozenModel):
    """What `cp` did."""

    source: str
    target: str
    files: int = Field(description="that were copied")
    bytes: int = Field(description="that were copied")
    there: int = Field(description="files that were there already, with the same bytes")
    rebuilt: tuple[str, ...] = Field(
        description="views over a set's records that were made anew, since the other bucket had "
        "more of the set"
    )
    problems: tuple[Problem, ...]


class _Copying:
    """One copy: what was found on both sides, and what has gone wrong so far."""

    def __init__(self, source: Bucket, target: Bucket) -> None:
        self.source, self.target = source, target
        self.files, self.bytes, self.there = 0, 0, 0
        self.problems: list[Problem] = []
        self.replaced_views: set[tuple[str, str]] = set()

    def copy_all(
        self,
        infos: Iterable[ObjectInfo],
        present: dict[str, ObjectInfo],
        on_file: Callable[[], object],
    ) -> None:
        """Copy files of which none names another one."""
        lost = {problem.key for problem in self.problems}
        sound = [info for info in infos if not self._lacks(info.key, lost)]
        slower = max(self.source, self.target, key=lambda bucket: bucket.transfers)
        for info, outcome in zip(
            sound,
            at_once(slower, lambda info: self._copy(info, present.get(info.key)), sound),
            strict=True,
        ):
            on_file()
            if isinstance(outcome, str):
                self.problems.append(Problem(key=info.key, problem=outcome))
            elif outcome:
                self.files, self.bytes = self.files + 1, self.bytes + info.size
            else:
                self.there += 1

    def _lacks(self, key: str, lost: set[str]) -> bool:
        """Tell whether something that a record names was not copied; then the record is not
        either.
        """
        named = {record_beside(other) for other in lost}
        of_run = is_run_record(key) and any(set_of(other) == set_of(key) for other in lost)
        report = None if is_fingerprinted(key) else report_of(key)
        missing = (
            key in named
            or of_run
            or (report is not None and any(report_of(other) == report for other in lost))
        )
        if missing:
            self.problems.append(
                Problem(
                    key=key,
                    problem="It was not copied, since something that it names could not be.",
                )
            )
        return missing

    def _copy(self, info: ObjectInfo, present: ObjectInfo | None) -> bool | str:
        """Copy a file; tell whether it had to be, or why it could not be."""
        try:
            if present is not None and self._same(info, present):
                return False
            if present is not None and (is_view(info.key) or is_view_record(info.key)):
                found = set_of(info.key)
                self.replaced_views |= {found} if found else set()
                return False
            self._put(info)
            return True
        except (Corrupt, NotFound, Conflict) as error:
            return str(error)

    def _same(self, info: ObjectInfo, present: ObjectInfo) -> bool:
        if info.size != present.size:
            return False
        sums = [
            crc32c(bucket.get(found.key)) if found.crc32c is None else found.crc32c
            for bucket, found in ((self.source, info), (self.target, present))
        ]
        return sums[0] == sums[1]

    def _put(self, info: ObjectInfo) -> None:
        if info.size <= _IN_MEMORY_BYTES:
            return self._keep(info.key, self.source.get(info.key, want_crc=info.crc32c))
        with tempfile.TemporaryDirectory(prefix="diamond-cutter-") as folder:
            path = Path(folder) / "object"
            self.source.fetch(info.key, path, want_crc=info.crc32c)
            self._keep(info.key, path)

    def _keep(self, key: str, data: bytes | Path) -> None:
        try:
            self.target.put(key, data)
        except Conflict:
            if record_beside(key) is None:
                raise
            # Its name decides its content: whatever else is there is damage.
            self.target.put(key, data, mode="overwrite")


def copy(
    source: Bucket,
    target: Bucket,
    prefixes: Iterable[str] = (),
    on_file: Callable[[int, int], object] = lambda done, of: None,
) -> Copied:
    """Copy what lies below the prefixes, or all; what is there already stays.

    Files come before the records that commit them, then views over records, and the commits of runs
    and reports last, so that whoever looks at the target sees nothing that is not whole. Where the
    target has other sprites of a set, the views over the set are made anew.

    Args:
        source: where from.
        target: where to.
        prefixes: beginnings of keys, such as `models/` or `sprites/mine@`.
        on_file: is told how many files are done, and of how many.

    Raises:
        StorageError: one of the buckets cannot be used.
    """
    wanted = list(prefixes) or [""]
    for prefix in wanted:
        check_prefix(prefix)
    target.check()
    listed = {info.key: info for prefix in wanted for info in source.list(prefix)}
    present = {info.key: info for prefix in wanted for info in target.list(prefix)}
    copying, done = _Copying(source, target), 0

    def count() -> None:
        nonlocal done
        done += 1
        on_file(done, len(listed))

    for rank in range(max(map(_rank, listed), default=-1) + 1):
        copying.copy_all(
            (info for key, info in listed.items() if _rank(key) == rank), present, count
        )
    return Copied(
        source=source.url,
        target=target.url,
        files=copying.files,
        bytes=copying.bytes,
        there=copying.there,
        rebuilt=tuple(_rebuilt(target, sorted(copying.replaced_views))),
        problems=tuple(copying.problems),
    )


def _rank(key: str) -> int:
    """Return when a file is copied: what others name goes first."""
    if is_run_record(key) or key == report_key(report_of(key) or ""):
        return 3
    if is_view(key):
        return 2
    # Of a model the card commits the graph; all other records are JSON too.
    return 1 if key.endswith(".json") else 0


def _rebuilt(bucket: Bucket, sets: Sequence[tuple[str, str]]) -> Iterator[str]:
    if not sets:
        return
    # Prefect takes a second to import.
    from diamond_cutter.tasks.gallery.task import publish_gallery
    from diamond_cutter.tasks.gathering.task import publish_index

    for model, recipe in sets:
        card = read_card(bucket, model)
        if card is not None:
            publish_index.fn(bucket.url, card, recipe)
            publish_gallery.fn(bucket.url, card, recipe)
            yield set_folder(model, recipe)
