"""Import TensorFlow without Keras in the process of a device, and without its log elsewhere.

TensorFlow imports Keras at the end of its own import, only to register Keras' optimizers for its
SavedModels, and Keras imports pandas, scikit-learn and SciPy if they are installed. That takes a
third of the time until a process can render, which needs none of them. Who needs Keras imports it.

The process of a command computes nothing with TensorFlow. It imports TensorFlow only to make an
error of a device's process again. TensorFlow then logs about oneDNN and CUDA, in C++ and before it
reads TF_CPP_MIN_LOG_LEVEL, so that only the file descriptor can be silenced.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from diamond_cutter.tasks.devices.messages import phase

_STANDARD_ERROR = 2


def import_tensorflow_without_keras() -> None:
    """Have the first import of TensorFlow in this process leave Keras out, and report itself."""
    sys.meta_path.insert(0, _Finder(_without_keras))


def import_tensorflow_quietly() -> None:
    """Have the first import of TensorFlow in this process print nothing."""
    sys.meta_path.insert(0, _Finder(_quietly))


class _Finder(MetaPathFinder):
    """Finds TensorFlow, once, and imports it within a context."""

    def __init__(self, context: Callable[[], AbstractContextManager[None]]) -> None:
        self._context = context

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Within(self._context, spec.loader)
        return spec


class _Within(Loader):
    """Executes a module within a context."""

    def __init__(self, context: Callable[[], AbstractContextManager[None]], loader: Loader) -> None:
        self._context, self._loader = context, loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with self._context():
            self._loader.exec_module(module)


@contextmanager
def _without_keras() -> Iterator[None]:
    with phase("loading TensorFlow"):
        if "keras" in sys.modules:
            yield
            return
        # An import of a module that is None raises ImportError, which TensorFlow expects.
        sys.modules["keras"] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            del sys.modules["keras"]
        # Its modules stay. The collector would go through them for every layer that is let go.
        gc.freeze()


@contextmanager
def _quietly() -> Iterator[None]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nowhere = os.dup(_STANDARD_ERROR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STANDARD_ERROR)
        yield
    finally:
        os.dup2(kept, _STANDARD_ERROR)
        os.close(kept)
        os.close(nowhere)
