"""The progress bar of a run."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class SpriteProgress:
    """Counts sprites on the terminal; off the terminal it prints nothing."""

    def __init__(self, total: int) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("sprites"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting the renderer", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def of_shard(self, layer: str, size: int) -> Callable[[int], None]:
        """Return what counts the sprites of one shard, as they are reported; a shard that is tried again counts once."""
        left = size

        def count(sprites: int) -> None:
            nonlocal left
            fresh = min(sprites, left)
            left -= fresh
            self._bar.update(self._task, advance=fresh, description=layer)

        return count
