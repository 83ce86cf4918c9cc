"""The outputs of a model, and the one that is explained: its head."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.errors import BadModel, first_few

HeadKind = Literal["classes", "two classes", "values"]
Activation = Literal["softmax", "sigmoid", "none"]
# By operation of TensorFlow.
ACTIVATION_NAMES: Mapping[str, Activation] = {
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "Sigmoid": "sigmoid",
}


class Output(FrozenModel):
    """An output of a model."""

    name: str
    shape: tuple[int | None, ...] = Field(
        description="of one image, such as [10] or [224, 224, 21]; None for unknown sides"
    )
    activation: Activation | None = Field(
        default=None, description="what its scores pass at last; None if unknown"
    )

    @property
    def size(self) -> int | None:
        """Return the number of scores, or None if it is unknown."""
        return self.shape[-1] if self.shape else None

    @property
    def is_vector(self) -> bool:
        """Tell whether it has scores only, without rows and columns."""
        return len(self.shape) == 1

    def in_words(self) -> str:
        """Return the name, the shape and the activation, such as `boxes [4] (sigmoid)`."""
        sides = ", ".join("any" if side is None else str(side) for side in self.shape)
        ending = "" if self.activation in (None, "none") else f" ({self.activation})"
        return f"{self.name} [{sides}]{ending}"


class Head(FrozenModel):
    """How the scores of a model are read; cards of plain classifiers with one output have none."""

    kind: HeadKind = Field(
        default="classes",
        description="a score for each class; two classes by one score, which counts for the second "
        "class; or numbers, of a regression",
    )
    averaged: bool = Field(
        default=False,
        description="whether the logits are means over positions, as of a segmentation",
    )
    output: str | None = Field(default=None, description="the chosen one of the outputs")
    outputs: tuple[Output, ...] = Field(default=(), description="all outputs of the file")


Choose = Callable[[Sequence[Output]], Output]


def choose_output(outputs: Sequence[Output], head: str | None = None, labels: int = 0) -> Output:
    """Return the output that becomes the head.

    Without a name it is the first vector. A vector that ends in a softmax or sigmoid wins over
    vectors of other sizes, and a vector that the labels fit wins over all others.

    Args:
        outputs: at least one.
        head: the name of one.
        labels: the number of the classes' names; 0 if unknown.

    Raises:
        BadModel: no output has the name.
    """
    if head is not None:
        return _named(outputs, head)
    vectors = [output for output in outputs if output.is_vector] or [
        output for output in outputs if set(output.shape[:-1]) == {1}
    ]
    if not vectors:
        ending = [output for output in outputs if output.activation in ("softmax", "sigmoid")]
        return (ending or outputs)[0]
    fitting = [output for output in vectors if labels and output.size == labels]
    if fitting:
        return fitting[0]
    classifying = [output for output in vectors if output.activation in ("softmax", "sigmoid")]
    first = vectors[0]
    if first.size == 1 and first not in classifying:  # a value, beside classes
        classifying = [output for output in classifying if output.size != 1] or classifying
    # Probabilities beside their own logits are no better than those.
    if first not in classifying and classifying and first.size not in _sizes(classifying):
        return classifying[0]
    return first


def choice_in_words(chosen: Output, outputs: Sequence[Output]) -> str:
    """Return a clause that says which of several outputs was chosen, and how to choose another."""
    others = first_few([output.in_words() for output in outputs if output.name != chosen.name])
    return (
        f"that the output {chosen.in_words()} is its head, not {others}; see --head to choose "
        "another"
    )


def _named(outputs: Sequence[Output], head: str) -> Output:
    for output in outputs:
        if output.name == head:
            return output
    raise BadModel(
        f"head {head!r} is not an output of the model: expected one of "
        f"{first_few([output.in_words() for output in outputs])}. Give one of these names."
    )


def _sizes(outputs: Sequence[Output]) -> set[int | None]:
    return {output.size for output in outputs}
