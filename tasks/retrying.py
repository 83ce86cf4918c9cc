"""Tells which failed tasks are retried, and gives the options of a task that is."""

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from diamond_cutter.model_inventory.errors import ModelError
from diamond_cutter.storage import AccessDenied, BadKey, Unavailable
from diamond_cutter.tasks.devices import NoDeviceLeft, SlotsClosed

# Errors after which no task of the run can succeed.
FINAL_ERRORS = (ModelError, AccessDenied, Unavailable, SlotsClosed, NoDeviceLeft)


def may_help(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task may succeed when it is retried."""
    error = state.result(raise_on_failure=False)
    # A key stays invalid, but those of other tasks may be valid.
    return not isinstance(error, (*FINAL_ERRORS, BadKey))


# The records in the bucket remember what is done, so Prefect keeps no results.
RETRIED: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": 1,
    "retry_condition_fn": may_help,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
