"""Every exception of the package is a DiamondCutterError, which the command line prints."""

import importlib
import inspect
import pkgutil

import diamond_cutter
from diamond_cutter.errors import DiamondCutterError

# Raised and caught within one module, or understood by a library that catches its base.
_INTERNAL = {"_Refused", "_Damaged", "ServerLost", "Terminated"}


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
