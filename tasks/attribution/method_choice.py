"""Choose how each layer is measured: by gradient times activation, unless that does not add up.

Gradient times activation takes one pass through the network. Where the score bends along the way,
it misses the layer's effect, and integrated gradients do not. They take many passes, so they are
chosen only if they add up better and the work has a bound. The work is counted, not measured: the
same images and options give the same choice on every machine.
"""

from typing import NamedTuple

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.records import Record
from diamond_cutter.tasks.attribution.spec import AttributionSpec, LayerMethod

# Up to this error, the sizes of attributions can be believed.
MOST_ERROR = 0.2
SAMPLE = 8
# For one layer and all images: about five minutes at 1e11 multiply-adds a second, the rate of bare
# passes that benchmarks/attribution.py measures on two cores.
MOST_MULTIPLY_ADDS = 3e13
# A forward and a backward pass take three times the multiply-adds of the forward pass.
_PASS = 3
# The maps of a shown image explain two classes, and its checks take one pass more.
_OF_A_SHOWN_IMAGE = 3


class ChosenMethod(FrozenModel):
    """The choice for one layer."""

    layer: str
    method: LayerMethod
    gradient_error: float | None = Field(
        description="median completeness error of gradient times activation; none if no image "
        "was readable"
    )
    integrated_error: float | None = Field(
        description="of integrated gradients; none if they were not tried"
    )
    multiply_adds: float = Field(description="that integrated gradients take for all images")


class MethodsRecord(Record):
    """Commits the methods of a report's layers, before anything is measured by them."""

    images: int = Field(description="number of images of the sample that were readable")
    layers: tuple[ChosenMethod, ...] = Field(description="in the order of the report")

    @property
    def methods(self) -> tuple[LayerMethod, ...]:
        """Return the method of each layer."""
        return tuple(chosen.method for chosen in self.layers)


class Candidate(NamedTuple):
    """A layer whose method is to be chosen; fields as in `ChosenMethod`."""

    layer: str
    gradient_error: float | None
    multiply_adds: float

    @property
    def is_worth_a_trial(self) -> bool:
        """Tell whether integrated gradients may do better, and are affordable."""
        return (
            self.gradient_error is not None
            and self.gradient_error > MOST_ERROR
            and self.multiply_adds <= MOST_MULTIPLY_ADDS
        )

    def chosen(self, integrated_error: float | None) -> ChosenMethod:
        """Return the choice; the error is None if integrated gradients were not tried."""
        better = (
            integrated_error is not None
            and self.gradient_error is not None
            and integrated_error < self.gradient_error
        )
        return ChosenMethod(
            layer=self.layer,
            method="integrated" if better else "gradient",
            gradient_error=self.gradient_error,
            integrated_error=integrated_error,
            multiply_adds=self.multiply_adds,
        )


def work(spec: AttributionSpec, images: int, tail_multiply_adds: float) -> float:
    """Return the multiply-adds that integrated gradients of a layer take.

    Args:
        spec: the options.
        images: number of images of the dataset.
        tail_multiply_adds: of one forward pass from the layer to the logits.
    """
    passes = images + _OF_A_SHOWN_IMAGE * min(spec.shown, images)
    return float(_PASS * tail_multiply_adds * spec.steps * passes)
