"""Errors of requests and runs, and how they are printed."""

import re
from collections.abc import Sequence

from cyclopts import CycloptsError
from pydantic import ValidationError

from diamond_cutter.errors import DiamondCutterError


class RequestError(DiamondCutterError):
    """The request contradicts itself, or names something that does not exist."""


class PrefectServerError(DiamondCutterError):
    """The Prefect server is missing, does not answer or does not start."""


class RunnerLost(DiamondCutterError):
    """The cluster on which the tasks work is gone."""

    exit_code = 1


class AttributionFailed(DiamondCutterError):
    """Some readable images could not be measured; the text counts and names them."""

    exit_code = 1

    def __init__(self, failures: Sequence[str]) -> None:
        super().__init__(_with_others(failures))


class CutFailed(DiamondCutterError):
    """Some tasks of `cut` or `compare` failed; the text counts and names them."""

    exit_code = 1

    def __init__(self, failures: Sequence[str]) -> None:
        super().__init__(_with_others(failures))


def _with_others(failures: Sequence[str]) -> str:
    named = "; ".join(failures[:5]) + (
        f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    )
    return f"{named}. All other measurements are in the bucket. Run the same command to retry."


def sentence(error: BaseException) -> str:
    """Return an error in one line: the problem, the expected and the found value."""
    if isinstance(error, CycloptsError) and isinstance(error.__cause__, ValidationError):
        error = error.__cause__
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "value_error":
            # An error of several fields together belongs to none of them.
            return (
                f"{where} is not valid: {first['ctx']['error']}"
                if where
                else str(first["ctx"]["error"])
            )
        return (
            f"{where or error.title} is not valid: {first['msg'][:1].lower()}{first['msg'][1:]}, "
            f"found {first['input']!r}"
        )
    return re.sub(r"\s*\n\s*", " ", str(error)).strip()


def print_error(text: str) -> None:
    """Print an error message to standard error."""
    from diamond_cutter.flows.events.json_log import logs_as_json
    from diamond_cutter.flows.events.stream import Problem, publish

    if logs_as_json():
        publish(Problem(message=text))
        return
    from rich.text import Text

    from diamond_cutter.flows.events.console import print_line, standard_error

    print_line(standard_error(), Text.assemble(("diamond-cutter:", "red"), " ", text))
