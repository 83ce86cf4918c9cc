"""What can go wrong with a model.

ModelError
├── UnknownModel      no model of that name
├── AmbiguousModel    several models have that name
├── UnknownLayer      the model has no such layer
├── WeightsMissing    the package or file that holds the weights is not here
└── BadModel          the weights or the graph cannot be used
"""

from diamond_cutter.errors import DiamondCutterError


class ModelError(DiamondCutterError):
    """A model cannot be had; the text is one sentence with the remedy."""


class UnknownModel(ModelError):
    """No model has that name."""


class AmbiguousModel(ModelError):
    """Several models have that name."""


class UnknownLayer(ModelError):
    """The model has no layer of that name."""


class WeightsMissing(ModelError):
    """The weights of a known model are not on this machine."""


class BadModel(ModelError):
    """The weights or the graph are unreadable, of the wrong shape, or not finite."""
