"""The two libraries whose models are traced: Keras 3, and tf-keras for the files of Keras 2."""

import importlib
from types import ModuleType

import keras


def library_of(model: keras.Model) -> ModuleType:
    """Return the library of a model: `keras` or `tf_keras`."""
    return keras if isinstance(model, keras.Model) else keras_2()


def keras_2() -> ModuleType:
    """Return tf-keras, which computes as Keras 2 did; its import leaves Keras 3 as it is."""
    return importlib.import_module("tf_keras")


def called_class(library: ModuleType) -> type:
    """Return the class whose `__call__` all layers, and the operations between them, pass."""
    return library.Operation if library is keras else library.layers.Layer
