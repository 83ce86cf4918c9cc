"""The settings that a renderer is traced for. Recipes with equal keys share one trace."""

from dataclasses import dataclass
from typing import Literal, Self

from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.recipe import RenderRecipe

# What only the loop depends on: how it starts, climbs and holds back.
_LOOP_ONLY = (
    "parameterisation",
    "spectrum",
    "decay_power",
    "blur",
    "variants",
    "beta1",
    "beta2",
    "gate_smoothing",
)


@dataclass(frozen=True)
class TraceKey:
    """All settings, beside the layers, that the traced graphs depend on.

    Everything else is fed at run time: targets, first spectra, transforms, learning rates, weights
    of penalties, and the number of steps with redirected ReLUs. Fields with the recipe's names have
    its values.

    input_px: side of the network's input at scale 1.
    input_sides_px: the sides that the network's input has at the steps.
    before_activation: whether the layers are read before their activation functions.
    penalises_detail: whether fine detail costs anything, at whatever weight.
    """

    batch_size: int
    execution: Execution
    size_px: int
    parameterisation: Literal["fourier", "maco"]
    decay_power: float
    spectrum: tuple[tuple[float, ...], ...]
    alpha: bool
    pad_px: int
    pad_value: float
    input_px: int
    input_sides_px: tuple[int, ...]
    before_activation: bool
    variants: int
    penalises_detail: bool
    beta1: float
    beta2: float
    gate_smoothing: float

    @classmethod
    def of(cls, recipe: RenderRecipe, batch_size: int, execution: Execution) -> Self:
        """Return the key of a recipe's traces."""
        return cls(
            batch_size=batch_size,
            execution=execution,
            size_px=recipe.size_px,
            parameterisation=recipe.parameterisation,
            decay_power=recipe.decay_power,
            spectrum=recipe.spectrum,
            alpha=recipe.alpha,
            pad_px=recipe.pad_px,
            pad_value=recipe.pad_value,
            input_px=recipe.input_px,
            input_sides_px=recipe.input_sides_px,
            before_activation=recipe.pre_activation or recipe.negative,
            variants=recipe.variants,
            penalises_detail=recipe.blur > 0,
            beta1=recipe.beta1,
            beta2=recipe.beta2,
            gate_smoothing=recipe.gate_smoothing,
        )

    @classmethod
    def of_scores(cls, recipe: RenderRecipe, batch_size: int, execution: Execution) -> Self:
        """Return the key of the traces that score a recipe's pictures.

        It has the defaults of all settings that only the loop depends on. So the candidates of a
        search share one trace, and the default recipe is scored by the renderer of its loop.
        """
        defaults = {name: RenderRecipe.model_fields[name].default for name in _LOOP_ONLY}
        return cls.of(recipe.model_copy(update=defaults), batch_size, execution)
