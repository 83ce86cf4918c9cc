"""Counts the files that a command copies, and the bytes that it fetches, for the display."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from diamond_cutter.flows.events.display import shown
from diamond_cutter.flows.events.progress import Progress, doing
from diamond_cutter.flows.events.stream import Detail, Expected, publish
from diamond_cutter.flows.quantities import sized

# Of a copy or a download, until its rate is known.
_EXPECTED_S = 30.0


@contextmanager
def counted_files(command: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many files are done.

    Args:
        command: its name.
        what: the step, such as `copying`.

    Yields:
        what takes the number of files that are done, and of all files.
    """
    with shown(command), doing(what), ExitStack() as stack:
        count: Callable[[tuple[int, str]], None] | None = None

        def on_file(done: int, of: int) -> None:
            nonlocal count
            if count is None:
                publish(Expected(command=command, seconds={"files": _EXPECTED_S}))
                count = stack.enter_context(Progress("files", of)).described()
            count((1, ""))

        yield on_file


class Download:
    """Shows how much of each file of a model is here.

    It is called with the name of a file, its bytes so far, and its size if that is known.
    """

    def __init__(self, command: str) -> None:
        self._command, self._stack = command, ExitStack()
        self._file, self._here = "", 0
        self._count: Callable[[tuple[int, str]], None] | None = None

    def __call__(self, file: str, here: int, total: int | None) -> None:
        """Note how much of a file is here."""
        if total is None:
            publish(Detail(text=f"{file}, {sized(here)}"))
            return
        if file != self._file:
            self.end()
            self._file, self._here = file, 0
            publish(Expected(command=self._command, seconds={"kB": _EXPECTED_S}))
            self._count = self._stack.enter_context(Progress("kB", total // 1000)).described()
        if self._count is not None:
            self._count((here // 1000 - self._here, file))
            self._here = here // 1000

    def end(self) -> None:
        """End the work on the current file."""
        self._stack.close()


@contextmanager
def fetching(model: str) -> Iterator[Download]:
    """Show how much of the weights of a model is here while the block fetches them."""
    command = "models fetch"
    with shown(command), doing(f"fetching {model}"):
        download = Download(command)
        try:
            yield download
        finally:
            download.end()
