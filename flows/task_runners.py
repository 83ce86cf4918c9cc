"""Where the tasks of a run work: in threads of this process, or on a cluster of Dask or Ray.

A cluster receives jobs and keys of records, never arrays. Each process of the cluster uses the
devices of its own machine (see `DeviceSlots`).
"""

import ipaddress
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from prefect.context import FlowRunContext, SettingsContext
from prefect.settings import PREFECT_API_URL

from diamond_cutter.errors import first_line
from diamond_cutter.flows.errors import RequestError, RunnerLost
from diamond_cutter.flows.events.progress import doing
from diamond_cutter.flows.request_fields import LOCAL

_ANSWERS_WITHIN_S = 10.0
_WORKERS_WITHIN_S = 60.0
_SILENT_FOR_S = 60.0
_LOST_AFTER_S = 600.0
# A count is a request to the scheduler, and the queue asks for it several times per task.
_COUNTED_EVERY_S = 1.0

Places = Callable[[], int]


@contextmanager
def tasks_on(runner: str, devices: Places) -> Iterator[Places]:
    """Submit the tasks of the current flow run to a runner in the block.

    Args:
        runner: `local`, or the URL of a cluster.
        devices: returns the number of devices of this machine that work.

    Yields:
        A function that returns the number of tasks that can work at the same time. It raises
        RunnerLost if the cluster has had no workers for ten minutes.

    Raises:
        RequestError: there is no such cluster, or it has no workers.
    """
    if runner == LOCAL:
        yield devices
        return
    context = FlowRunContext.get()
    if context is None:
        raise RuntimeError("tasks can only be submitted in a flow run")
    _require_common_server(runner)
    with ExitStack() as stack:
        task_runner, places = _connect(runner, stack)
        stack.enter_context(context.model_copy(update={"task_runner": task_runner}))
        yield places


def places_on(runner: str) -> int:
    """Return the number of tasks that a cluster can run at the same time.

    Raises:
        RequestError: there is no such cluster, or it has no workers.
    """
    with ExitStack() as stack:
        return _connect(runner, stack)[1]()


def _connect(runner: str, stack: ExitStack) -> tuple[Any, Places]:
    kind, _, address = runner.partition("://")
    with doing(f"connecting to {runner}"):
        try:
            task_runner, places = {"dask": _dask, "ray": _ray}[kind](address, stack)
        except ImportError as error:
            raise RequestError(
                f"the runner {runner} cannot be used without the extra {kind!r} "
                f"({first_line(error)}). Run `pip install 'diamond-cutter[{kind}]'`, here and "
                "on the machines of the cluster."
            ) from error
        except Exception as error:  # the libraries raise errors of many classes
            raise RequestError(
                f"no {kind} cluster answers at {runner} ({first_line(error)}). Check its "
                "address, or start it."
            ) from error
        watched = _Watched(runner, places)
        watched.wait_for_workers()
    return task_runner, watched


def _require_common_server(runner: str) -> None:
    """Refuse a private Prefect server if the machines of the cluster cannot reach it."""
    host = runner.partition("://")[2].rpartition(":")[0]
    url = PREFECT_API_URL.value() or ""
    if _is_this_machine(url.partition("://")[2].partition(":")[0]) and not _is_this_machine(host):
        raise RequestError(
            f"the workers of {runner} cannot reach the Prefect server {url}: expected a server "
            "that other machines can reach. Start it with `prefect server start --host 0.0.0.0` "
            "and set PREFECT_API_URL to its address."
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host in ("", "localhost")


def _dask(address: str, stack: ExitStack) -> tuple[Any, Places]:
    from prefect_dask import DaskTaskRunner

    runner = stack.enter_context(
        DaskTaskRunner(address=f"tcp://{address}", client_kwargs={"timeout": _ANSWERS_WITHIN_S})
    )
    client = runner.client
    stack.enter_context(_SerializedSettings.of_this_context())

    def threads() -> int:
        return sum(client.nthreads().values())

    return runner, threads


class _SerializedSettings(SettingsContext):
    """Prefect's settings, serialized once.

    prefect-dask sends them with each task, and to serialize them takes most of the time in which a
    task is submitted.
    """

    serialized: dict[str, Any]

    @classmethod
    def of_this_context(cls) -> Self:
        context = SettingsContext.get()
        if context is None:
            raise RuntimeError("Prefect has no settings")
        return cls(
            profile=context.profile, settings=context.settings, serialized=context.serialize()
        )

    def serialize(self, include_secrets: bool = True) -> dict[str, Any]:
        return self.serialized


def _ray(address: str, stack: ExitStack) -> tuple[Any, Places]:
    import ray
    from prefect_ray import RayTaskRunner
    from prefect_ray.context import remote_options

    logging.getLogger("ray").setLevel(logging.WARNING)
    # Otherwise the log of all workers comes to this terminal.
    quiet = {"log_to_driver": False}
    runner = stack.enter_context(RayTaskRunner(address=f"ray://{address}", init_kwargs=quiet))
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("GPU") for node in nodes):
        stack.enter_context(remote_options(num_gpus=1))
        return runner, lambda: int(ray.cluster_resources().get("GPU", 0))
    # A device process uses all cores of its machine, so a task claims the cores of the smallest.
    cores = min(node["CPU"] for node in nodes if node.get("CPU"))
    stack.enter_context(remote_options(num_cpus=cores))
    return runner, lambda: int(ray.cluster_resources().get("CPU", 0) // cores)


class _Watched:
    """Counts the tasks that a cluster can run at the same time, and notices its loss."""

    def __init__(self, runner: str, places: Places) -> None:
        self._runner, self._places = runner, places
        self._last, self._seen, self._answered = 0, time.monotonic(), time.monotonic()

    def __call__(self) -> int:
        now = time.monotonic()
        if self._last and now - self._answered < _COUNTED_EVERY_S:
            return self._last
        try:
            self._last = self._places()
        except Exception as error:  # of any class, while the cluster restarts
            self._last = 0
            if now - self._answered > _SILENT_FOR_S:
                raise self._lost("no longer answers") from error
            return 0
        self._answered = now
        if self._last:
            self._seen = now
        elif now - self._seen > _LOST_AFTER_S:
            raise self._lost(f"has had no worker for {_LOST_AFTER_S / 60:.0f} minutes")
        return self._last

    def wait_for_workers(self) -> None:
        until = time.monotonic() + _WORKERS_WITHIN_S
        while not self():
            if time.monotonic() > until:
                raise RequestError(
                    f"the cluster at {self._runner} has no workers: expected at least one within "
                    f"{_WORKERS_WITHIN_S:.0f} s. Start workers, then run the same command."
                )
            time.sleep(1)

    def _lost(self, how: str) -> RunnerLost:
        return RunnerLost(
            f"the cluster at {self._runner} {how}. All finished work is in the bucket. Start the "
            "cluster, then run the same command to continue."
        )
