"""What can go wrong between a request and its run; the command line prints the text and exits with
2.
"""

import re
from collections.abc import Sequence

from cyclopts import CycloptsError
from pydantic import ValidationError

from diamond_cutter.errors import DiamondCutterError


class RequestError(DiamondCutterError):
    """What was asked for does not exist or contradicts itself; the text is one sentence with the
    remedy.
    """


class PrefectServerError(DiamondCutterError):
    """The Prefect server is missing, does not answer or does not start."""


class AttributionFailed(DiamondCutterError):
    """Some images could not be measured though they can be read; the text counts and names them."""

    exit_code = 1

    def __init__(self, failures: Sequence[str]) -> None:
        named = "; ".join(failures[:5]) + (
            f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
        )
        super().__init__(
            f"{named}; what was measured is in the bucket, and the same command does only the rest"
        )


def sentence(error: BaseException) -> str:
    """Return an error as one sentence: what, expected, found."""
    if isinstance(error, CycloptsError) and isinstance(error.__cause__, ValidationError):
        error = error.__cause__
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "value_error":
            # What is wrong with the parts together is no part's.
            return (
                f"{where} is wrong: {first['ctx']['error']}"
                if where
                else str(first["ctx"]["error"])
            )
        return (
            f"{where or error.title} is wrong: {first['msg'][:1].lower()}{first['msg'][1:]}; "
            f"found {first['input']!r}"
        )
    return re.sub(r"\s*\n\s*", " ", str(error)).strip()


def print_error(text: str) -> None:
    """Print a sentence to standard error."""
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"[red]diamond-cutter:[/red] {escape(text)}"
    )
