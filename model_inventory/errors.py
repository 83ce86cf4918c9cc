"""Errors of models.

ModelError
├── UnknownModel      no model has the name
├── AmbiguousModel    several models have the name
├── UnknownLayer      the model has no such layer
├── WeightsMissing    the package or file with the weights is missing
├── BadModel          the weights or the graph are not valid
│   └── Quantised     the whole model computes with whole numbers
└── NoKerasModel      the model cannot be exported as a Keras model
"""

from collections.abc import Collection, Iterable

from diamond_cutter.errors import DiamondCutterError

_NAMED = 3
_LONGEST_NAME = 160


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


class Quantised(BadModel):
    """The model computes with whole numbers; the text lacks the name of the model."""


class NoKerasModel(ModelError):
    """The model cannot be exported as a Keras model; the text says why."""


def first_few(names: Collection[str]) -> str:
    """Return the first three names, each of limited length, and the number of the others."""
    named = ", ".join(name[:_LONGEST_NAME] for name in list(names)[:_NAMED])
    return f"{named} and {len(names) - _NAMED} more" if len(names) > _NAMED else named


def shape_in_words(sides: Iterable[int | None]) -> str:
    """Return a shape such as `[any, 224, 224, 3]`; unknown sides are None."""
    return f"[{', '.join('any' if side is None else str(side) for side in sides)}]"
