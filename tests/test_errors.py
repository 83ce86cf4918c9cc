"""Every exception of the package is a DiamondCutterError, which the command line prints."""

import importlib
import inspect
import pkgutil

import pytest

import diamond_cutter
from diamond_cutter.errors import DiamondCutterError, first_line

# Raised and caught within one module, or understood by a library that catches its base.
_INTERNAL = {
    "DeviceBlamed",
    "DeviceLost",
    "Refused",
    "ServerLost",
    "Stopped",
    "_Damaged",
    "_NotHere",
    "_Unreadable",
}


def test_every_exception_has_the_base_and_an_exit_code() -> None:
    found = set()
    for module in pkgutil.walk_packages(diamond_cutter.__path__, "diamond_cutter."):
        if module.name.endswith(("worker", "server.process")):
            continue
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            own = kind.__module__.startswith("diamond_cutter.")
            if own and issubclass(kind, BaseException) and name not in _INTERNAL:
                assert issubclass(kind, DiamondCutterError), f"{kind.__module__}.{name}"
                assert kind.exit_code in (1, 2)
                found.add(name)
    tree = inspect.getdoc(inspect.getmodule(DiamondCutterError)) or ""
    assert {name for name in found if name not in tree} <= {"Refused"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("it broke.\nTraceback", "it broke"),
        ("\n  \n it broke", "it broke"),
        ("", "ValueError"),
        ("\x1b[1mit\x1b[0m broke", "it broke"),
        ("Exception encountered when calling Conv2D.call().\n\nit broke", "it broke"),
        (
            "Exception encountered when calling Conv2D.call().",
            "Exception encountered when calling Conv2D.call()",
        ),
        (
            "Could not deserialize 'A': {...}.\n\nException encountered: Could not deserialize "
            "'B': {...}.\n\nException encountered: Unrecognized keyword: groups",
            "Unrecognized keyword: groups",
        ),
        ("x" * 300, "x" * 200),
    ],
)
def test_the_first_line_of_an_error_says_what_happened(text: str, line: str) -> None:
    assert first_line(ValueError(text)) == line


def test_our_own_errors_are_kept_whole() -> None:
    assert first_line(DiamondCutterError("x" * 300), limit=None) == "x" * 300
