"""Which failed tasks are retried."""

import pytest
from prefect import task
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from diamond_cutter.storage import AccessDenied, BadKey, Corrupt, Unavailable
from diamond_cutter.tasks.devices import WorkerDied
from diamond_cutter.tasks.retrying import may_help


@task
def render() -> None:
    """Stand in for a task that is retried."""


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (WorkerDied("the process was killed"), True),
        (Corrupt("every download arrived damaged"), True),
        (BadKey("expected a folder, found a file"), False),
        (AccessDenied("the bucket cannot be written"), False),
        (Unavailable("the disk is full"), False),
    ],
)
def test_only_what_may_help_is_tried_again(error: Exception, helps: bool) -> None:
    run = TaskRun(task_key="render", dynamic_key="0")
    assert may_help(render, run, Failed(data=error)) == helps
