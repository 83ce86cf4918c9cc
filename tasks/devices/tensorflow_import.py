"""Import TensorFlow without Keras.

TensorFlow imports Keras at the end of its own import, only to register Keras' optimizers for its
SavedModels, and Keras imports pandas, scikit-learn and SciPy if they are installed. That takes a
third of the time until a process can render, which needs none of them. Who needs Keras imports it.
"""

import gc
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def import_tensorflow_without_keras() -> None:
    """Have the first import of TensorFlow in this process leave Keras out."""
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds TensorFlow, once."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None and "keras" not in sys.modules:
            spec.loader = _WithoutKeras(spec.loader)
        return spec


class _WithoutKeras(Loader):
    """Executes a module for which there is no Keras."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # An import of a module that is None raises ImportError, which TensorFlow expects.
        sys.modules["keras"] = None  # type: ignore[assignment]
        try:
            self._loader.exec_module(module)
        finally:
            del sys.modules["keras"]
        # Its modules stay. The collector would go through them for every layer that is let go.
        gc.freeze()
