"""Copies buckets: verified, resumable, and each record after the files that it names."""

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
    is_claim,
    is_fingerprinted,
    is_run_record,
    is_view,
    is_view_record,
    record_beside,
    report_of,
    set_folder,
    set_of,
)
from diamond_cutter.storage.sets.report_keys import report_key
from diamond_cutter.tasks.importing.stored import read_card

_IN_MEMORY_BYTES = 8 << 20


class Copied(FrozenModel):
    """The result of `cp`."""

    source: str
    target: str
    files: int = Field(description="number of copied files")
    bytes: int = Field(description="size of copied files")
    there: int = Field(description="number of files that the target already had")
    rebuilt: tuple[str, ...] = Field(
        description="sets with other sprites in the target, for which views were written again"
    )
    problems: tuple[Problem, ...]


class _Copying:
    """One copy: its two buckets, its counts, and its problems so far."""

    def __init__(self, source: Bucket, target: Bucket) -> None:
        self.source, self.target = source, target
        self.files, self.bytes, self.there = 0, 0, 0
        self.problems: list[Problem] = []
        self.replaced_views: set[tuple[str, str]] = set()

    def copy_prefixes(self, prefixes: Sequence[str], on_file: Callable[[int, int], object]) -> None:
        """Copy the files below some prefixes, rank by rank."""
        listed = {
            info.key: info
            for prefix in prefixes
            for info in self.source.list(prefix)
            if not is_claim(info.key)
        }
        present = {info.key: info for prefix in prefixes for info in self.target.list(prefix)}
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            on_file(done, len(listed))

        for rank in range(max(map(_rank, listed), default=-1) + 1):
            infos = (info for key, info in listed.items() if _rank(key) == rank)
            self.copy_all(infos, present, count)

    def copy_all(
        self,
        infos: Iterable[ObjectInfo],
        present: dict[str, ObjectInfo],
        on_file: Callable[[], object],
    ) -> None:
        """Copy files that do not name each other."""
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
        """Tell whether a file that a record names was not copied: the record is skipped, too."""
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
                    problem="Skipped, because a file that it names was not copied.",
                )
            )
        return missing

    def _copy(self, info: ObjectInfo, present: ObjectInfo | None) -> bool | str:
        """Copy a file; return whether it was missing, or the error message."""
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
            # The name is a hash of the content, so other content is damaged.
            self.target.put(key, data, mode="overwrite")


def copy(
    source: Bucket,
    target: Bucket,
    prefixes: Iterable[str] = (),
    on_file: Callable[[int, int], object] = lambda done, of: None,
) -> Copied:
    """Copy the keys below some prefixes, or all keys; keep the files that the target has.

    Files are copied before their records, then views, and the commits of runs and reports last.
    Readers of the target therefore never see incomplete work. If the target has other sprites of a
    set, the views of the set are written again.

    Args:
        source: the bucket to copy from.
        target: the bucket to copy to.
        prefixes: beginnings of keys, such as `models/` or `sprites/mine@`.
        on_file: called with the number of finished files, and of all files.

    Raises:
        StorageError: one of the buckets cannot be used.
    """
    wanted = list(prefixes) or [""]
    for prefix in wanted:
        check_prefix(prefix)
    target.check()
    copying = _Copying(source, target)
    copying.copy_prefixes(wanted, on_file)
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
    """Return the step in which a file is copied: before the files that name it."""
    if is_run_record(key) or key == report_key(report_of(key) or ""):
        return 3
    if is_view(key):
        return 2
    # The card of a model commits its graph. All records are JSON.
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
