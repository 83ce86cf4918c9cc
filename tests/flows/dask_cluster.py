"""A scheduler and workers of Dask on loopback, each a process of its own."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil


class Cluster:
    """A scheduler of Dask on loopback, and its workers, with one thread each."""

    def __init__(self, workers: int, options: Sequence[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        self.scheduler = _quiet("dask_scheduler", "--host", "127.0.0.1", "--port", port)
        self._options = options
        self.workers = [self.start_worker() for _ in range(workers)]

    def start_worker(self) -> "subprocess.Popen[bytes]":
        """Start a nanny, which starts the worker, and again after the worker's end."""
        one_thread = ("--nthreads", "1", "--no-dashboard")
        return _quiet("dask_worker", f"tcp://{self.address}", *one_thread, *self._options)

    def worker_process(self, number: int) -> psutil.Process | None:
        """Return the process in which a worker runs its tasks, if it has started."""
        children = psutil.Process(self.workers[number].pid).children()
        return next(
            (child for child in children if "spawn_main" in " ".join(child.cmdline())), None
        )

    def close(self) -> None:
        """End all processes."""
        for process in (*self.workers, self.scheduler):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def _quiet(program: str, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def dask(workers: int, *options: str) -> Iterator[Cluster]:
    """Run a cluster for a while; `options` are those of its workers."""
    cluster = Cluster(workers, options)
    try:
        yield cluster
    finally:
        cluster.close()
