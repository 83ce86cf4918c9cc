"""Few tasks run at once, added jobs start immediately, and each job ends once."""

from collections.abc import Callable
from typing import Any

from diamond_cutter.flows.task_futures import FutureQueue


class Ended:
    """A task that ends as soon as it starts."""

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        callback(self)


def test_jobs_start_within_the_limit_and_added_ones_at_once() -> None:
    started, ended = list[str](), list[str]()

    def submit(job: str) -> Any:
        started.append(job)
        return Ended()

    queue = FutureQueue[str]("abcde", submit, lambda: 2)
    for job, _ in queue:
        ended.append(job)
        assert len(started) - len(ended) <= 2
        if job == "b":
            queue.add("added")
            assert started == ["a", "b", "c", "added"]
    assert ended == ["a", "b", "c", "added", "d", "e"] and queue.is_empty


def test_no_job_starts_after_the_caller_has_raised() -> None:
    started = list[str]()

    def submit(job: str) -> Any:
        started.append(job)
        return Ended()

    for _ in FutureQueue[str]("abcde", submit, lambda: 2):
        break
    assert started == ["a", "b"]
