"""Describe new layers on a cut network, and name their weights and layers."""

from collections.abc import Collection

from pydantic import Field

from diamond_cutter.frozen_model import FrozenModel

# Of Keras and of most networks in the inventory.
EPSILON = 1e-3
# The constants of the BatchNorm behind a convolution.
BATCH_NORM = ("gamma", "beta", "mean", "variance")


class Attached(FrozenModel):
    """New layers on a cut network: convolutions, global average pooling and a linear head.

    With convolutions, the layers of the cut are joined by channel. Without, each is pooled, and
    their averages are joined.
    """

    model: str = Field(description="name and hash of the network that was cut")
    at: tuple[str, ...] = Field(min_length=1, description="the layers of the cut, in this order")
    convolutions: tuple[int, ...] = Field(
        default=(), description="channels of each new convolution, 3 x 3, with BatchNorm and ReLU"
    )
    scope: str = Field(default="attached", description="begins the names of the new nodes")
    training: str | None = Field(
        default=None, description="folder of the training in the bucket; none if it was elsewhere"
    )

    def convolution(self, number: int) -> str:
        """Return the beginning of the names of a convolution's nodes; the first has number 1."""
        return f"{self.scope}/conv_{number}"

    @property
    def head(self) -> str:
        """Return the beginning of the names of the head's nodes."""
        return f"{self.scope}/head"

    @property
    def logits_tensor(self) -> str:
        """Return the tensor of the logits."""
        return f"{self.scope}/logits:0"

    @property
    def convolution_tensors(self) -> tuple[str, ...]:
        """Return the tensor of each new convolution, behind its ReLU."""
        return tuple(
            f"{self.convolution(number)}/relu:0" for number in range(1, len(self.convolutions) + 1)
        )


def free_scope(names: Collection[str], wanted: str = "attached") -> str:
    """Return a scope for new nodes that no node of a graph is in, given the nodes' names."""
    taken = {name.partition("/")[0] for name in names}
    scopes = (wanted, *(f"{wanted}_{number}" for number in range(2, len(taken) + 3)))
    return next(scope for scope in scopes if scope not in taken)


def layer_names(count: int, taken: Collection[str]) -> tuple[str, ...]:
    """Return the names of new convolution layers: those that follow the names that are taken."""
    numbers = range(1, count + len(taken) + 1)
    free = (name for number in numbers if (name := f"added_conv_{number}") not in taken)
    return tuple(name for name, _ in zip(free, range(count), strict=False))
