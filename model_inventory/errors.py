"""Errors of models.

ModelError
├── UnknownModel      no model has the name
├── AmbiguousModel    several models have the name
├── UnknownLayer      the model has no such layer
├── WeightsMissing    the package or file with the weights is missing
└── BadModel          the weights or the graph are not valid
"""

from diamond_cutter.errors import DiamondCutterError


class ModelError(DiamondCutterError):
    """A model is not available; the text says what to do."""


class UnknownModel(ModelError):
    """No model has the name."""


class AmbiguousModel(ModelError):
    """Several models have the name."""


class UnknownLayer(ModelError):
    """The model has no layer of the name."""


class WeightsMissing(ModelError):
    """The weights of a known model are not on this machine."""


class BadModel(ModelError):
    """The weights or the graph are unreadable, not finite, or not allowed."""
