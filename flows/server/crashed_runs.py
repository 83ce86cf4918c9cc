"""Finds runs that Prefect takes for running though their processes are gone, and says so to
Prefect.

A run that is killed cannot say that it ends. Each run therefore has labels with its process; the
next command that uses the same Prefect database looks whether that is still there.
"""

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext
from prefect.states import Crashed

from diamond_cutter.flows.server.loss import only_shown

_HOST, _PID, _STARTED = (f"diamond-cutter.{name}" for name in ("host", "pid", "started"))
_UNDER_WAY = [StateType.RUNNING, StateType.PENDING]
_FLOWS = ["sprites", "attribute-dataset"]
_MESSAGE = (
    "The process of this run ended without a word to Prefect. What it finished is in the "
    "bucket; the same run again does the rest."
)


def name_process() -> None:
    """Put down in Prefect which process the flow run around the caller is."""
    context = FlowRunContext.get()
    if (
        context is None
        or context.flow_run is None
        or not isinstance(context.client, SyncPrefectClient)
    ):
        return
    with only_shown():
        context.client.update_flow_run_labels(
            context.flow_run.id,
            {_HOST: _this_host(), _PID: os.getpid(), _STARTED: _start_of(os.getpid())},
        )


def mark_crashed_runs() -> None:
    """Set runs of this machine whose processes are gone, and their tasks, to Crashed; leave all
    other runs alone.
    """
    with _client() as client:
        _crash(client, [run.id for run in _orphans(client)])


def crash_runs(runs: Sequence[UUID]) -> None:
    """Set those of some runs that are still under way, and their tasks, to Crashed."""
    if runs:
        with _client() as client:
            found = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(
                    id=FlowRunFilterId(any_=list(runs)), state=_under_way()
                )
            )
            _crash(client, [run.id for run in found])


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.HTTPError:
        pass  # what Prefect shows of old runs is no reason not to begin a new one, or not to end


def _crash(client: SyncPrefectClient, runs: Iterable[UUID]) -> None:
    state: State[Any] = Crashed(message=_MESSAGE)
    for run in runs:
        tasks = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run])),
            task_run_filter=TaskRunFilter(
                state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_UNDER_WAY))
            ),
        )
        for task in tasks:
            client.set_task_run_state(task.id, state, force=True)
        client.set_flow_run_state(run, state, force=True)


def _under_way() -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY))


def _orphans(client: SyncPrefectClient) -> Iterator[FlowRun]:
    under_way = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=_FLOWS)),
        flow_run_filter=FlowRunFilter(state=_under_way()),
    )
    for run in under_way:
        pid = run.labels.get(_PID)
        if (
            run.labels.get(_HOST) == _this_host()
            and isinstance(pid, int)
            and _is_gone(pid, str(run.labels.get(_STARTED)))
        ):
            yield run


def _this_host() -> str:
    """Name this machine since it was started, and the processes that are seen in it: containers may
    share all but these.
    """
    try:
        boot, processes = (
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            os.stat("/proc/self/ns/pid").st_ino,
        )
    except OSError:
        return f"{socket.gethostname()} {psutil.boot_time():.0f}"
    return f"{socket.gethostname()} {boot} {processes}"


def _is_gone(pid: int, started: str) -> bool:
    """Tell whether a process is gone, be there another one of its number by now; where this cannot
    be seen, it is not.
    """
    if not psutil.pid_exists(pid):
        return True
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE or _start_of(pid) != started
    except psutil.NoSuchProcess:
        return True
    except (psutil.AccessDenied, PermissionError):
        return False


def _start_of(pid: int) -> str:
    """Return when a process started, in ticks where they are known, which do not change when the
    clock is set.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return str(psutil.Process(pid).create_time())
