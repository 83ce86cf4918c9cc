"""How often and for how long storage tries again, in one place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from diamond_cutter.storage.errors import Conflict, Unavailable

TRANSFER_ATTEMPTS = 4  # for bytes that arrive damaged
WRITE_ATTEMPTS = 5  # for keys that other runs write, too

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class CallRetries:
    """Retries of a call to a cloud service: for `total_s`, with waits that double.

    An attempt fails once no byte has arrived for `silence_s`.
    """

    total_s: float = 120.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    silence_s: float = 60.0


@dataclass(frozen=True, slots=True)
class DownloadRetries:
    """Retries of a download: `attempts` in a row that bring less than a MiB, with doubling waits.

    An attempt fails once no byte has arrived for `silence_s`.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    silence_s: float = 30.0


def write_until_settled(
    key: str, attempt: Callable[[], _Result | None], attempts: int = WRITE_ATTEMPTS
) -> _Result:
    """Return the result of an attempt to write a key, repeated after a Conflict or a None.

    Raises:
        Unavailable: every attempt met another writer.
    """
    for _ in range(attempts):
        try:
            result = attempt()
        except Conflict:
            continue
        if result is not None:
            return result
    raise Unavailable(
        f"key {key!r} was replaced by other writers {attempts} times in a row. Run the same "
        "command again."
    )
