"""The recipe of a sprite: all that decides its pixels, beside the model, layer and channel."""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.records import Rung
from diamond_cutter.tasks.rendering.presets import PRESETS, STANDARD_ANGLES, STANDARD_SCALES
from diamond_cutter.tasks.rendering.spectrum import FREQUENCIES

RUNGS: tuple[Rung, ...] = get_args(Rung)


def _each(
    *, count: int | None = None, least: float, most: float | None = None
) -> Callable[[dict[str, Any]], None]:
    """Return what tells forms the range of each number of a tuple, and how many there are.

    The command line cannot read a type that says so.
    """

    def add(schema: dict[str, Any]) -> None:
        schema["items"] |= {"minimum": least} | ({} if most is None else {"maximum": most})
        if count is not None:
            schema |= {"minItems": count, "maxItems": count}

    return add


class LayerSettings(FrozenModel):
    """The settings of one layer that `diamond-cutter tune` finds; None: as in the recipe."""

    steps: int | None = Field(default=None, ge=1, le=10_000)
    learning_rate: float | None = Field(default=None, gt=0, le=10)
    decay_power: float | None = Field(default=None, ge=0, le=3)
    blur: float | None = Field(default=None, ge=0, le=100)
    gate_smoothing: float | None = Field(default=None, ge=0, le=1)
    pre_activation: bool | None = Field(
        default=None, description="optimise before the activation function, but score as elsewhere"
    )
    pad_px: int | None = Field(default=None, ge=0, le=64)
    jitter_px: tuple[int, ...] | None = None
    scale: tuple[float, ...] | None = None
    rotate_degrees: tuple[float, ...] | None = None


class RenderRecipe(FrozenModel):
    """The parameters of one activation maximisation; equal recipes have equal ids.

    A name of `PRESETS` selects that preset, and other fields change it. Any other name starts from
    `fast`.
    """

    name: str = Field(
        default="fast",
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="fast, tiny, lucid, robust, alpha, maco, or your own name",
    )
    engine: Literal[2] = Field(
        default=2, description="version of the renderer; other versions may draw other pixels"
    )
    size_px: int = Field(default=128, ge=32, le=512, multiple_of=4, description="side of a sprite")
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="each seed draws another picture of the same channel",
    )

    objective: Literal["channel", "neuron", "neuron-and-channel"] = Field(
        default="channel",
        description="a channel's mean over all positions, its value at one, or half of each",
    )
    neuron_at: tuple[float, ...] = Field(
        default=(0.5, 0.5),
        json_schema_extra=_each(count=2, least=0, most=1),
        description="row and column of the neuron, as fractions of the layer's sides",
    )
    pre_activation: bool = Field(
        default=False,
        description="maximise the input of the layer's activation function, not its output",
    )
    negative: bool = Field(
        default=False, description="minimise the channel, before its activation function"
    )
    variants: int = Field(
        default=1,
        ge=1,
        le=16,
        description="pictures of each channel; `diversity` keeps them different",
    )
    diversity: float = Field(
        default=1.0, ge=0, le=1000, description="weight of the penalty for alike variants"
    )

    parameterisation: Literal["fourier", "maco"] = Field(
        default="fourier", description="maco optimises phases and keeps magnitudes"
    )
    decay_power: float = Field(
        default=1.4, ge=0, le=3, description="a coefficient is scaled by frequency ** -decay_power"
    )
    initial_sd: float = Field(
        default=0.01, gt=0, le=1, description="standard deviation of the first spectrum"
    )
    spectrum: tuple[tuple[float, ...], ...] = Field(
        default=(), description="for maco: magnitude by colour and frequency"
    )
    alpha: bool = Field(
        default=False,
        description="optimise an opacity for each pixel; unnecessary parts become transparent",
    )
    alpha_weight: float = Field(
        default=1.0, ge=0, le=100, description="weight of the penalty for opacity"
    )
    blur: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="weight of the penalty for fine detail, which falls to 0 over the steps",
    )

    steps: int = Field(default=160, ge=1, le=10_000, description="optimisation steps")
    learning_rate: float = Field(default=0.05, gt=0, le=10, description="Adam's learning rate")
    beta1: float = Field(
        default=0.5, ge=0, lt=1, description="Adam's decay rate of the mean gradient"
    )
    beta2: float = Field(
        default=0.9, ge=0, lt=1, description="Adam's decay rate of the mean squared gradient"
    )
    cooldown: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="last fraction of the steps, in which the learning rate falls to 0",
    )
    gate_smoothing: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="fraction of each ReLU gate, in the gradient, that its channel's mean replaces",
    )
    redirect_steps: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="number of first steps in which gradient passes shut ReLUs",
    )

    pad_px: int = Field(default=12, ge=0, le=64, description="border around the image, in pixels")
    pad_value: float = Field(default=0.5, ge=0, le=1, description="value of the border")
    jitter_px: tuple[int, ...] = Field(
        default=(8, 4),
        json_schema_extra=_each(least=0),
        description="the image moves by up to the sum of these at each step",
    )
    scale: tuple[float, ...] = Field(
        default=STANDARD_SCALES,
        json_schema_extra=_each(least=0.25, most=4),
        description="the image is scaled by one of these factors at each step",
    )
    input_sides: int = Field(
        default=3,
        ge=1,
        le=8,
        description="number of sizes of the network's input, which grow with the scale",
    )
    rotate_degrees: tuple[float, ...] = Field(
        default=STANDARD_ANGLES,
        json_schema_extra=_each(least=-45, most=45),
        description="the image is turned by one of these angles at each step",
    )

    ladder: tuple[Rung, ...] = Field(
        default=RUNGS,
        description="changes with which a failed sprite is tried again, in this order",
    )
    layers: dict[str, LayerSettings] = Field(default={}, description="settings of single layers")

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"name": given}
        if isinstance(given, Mapping):
            # Forms send None for a field that nobody has filled in.
            filled = {
                field: value
                for field, value in given.items()
                if value is not None or field == "name"
            }
            return {**PRESETS.get(str(given.get("name", "fast")), {}), **filled}
        return given

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "RenderRecipe":
        for layer in ("", *self.layers):
            self.at(layer)._check_transforms()
        if len(self.neuron_at) != 2 or not all(0 <= share <= 1 for share in self.neuron_at):
            raise ValueError(
                "neuron_at must be a row and a column between 0 and 1, as fractions of the layer's "
                f"sides: found {self.neuron_at}"
            )
        if (self.parameterisation == "maco") != bool(self.spectrum):
            raise ValueError(
                "the parameterisation 'maco' needs a spectrum, and no other may have one. Use the "
                "recipe maco."
            )
        whole = all(
            len(row) == len(FREQUENCIES) and min(row) >= 0 and all(map(math.isfinite, row))
            for row in self.spectrum
        )
        if not whole or len(self.spectrum) not in (0, 1, 3):
            raise ValueError(
                "a spectrum must have 1 or 3 rows, one for each colour, of "
                f"{len(FREQUENCIES)} magnitudes of 0 or more"
            )
        return self

    def _check_transforms(self) -> None:
        if not self.scale or not all(0.25 <= factor <= 4 for factor in self.scale):
            raise ValueError(f"scale must be factors between 0.25 and 4: found {self.scale}")
        if not self.rotate_degrees or not all(-45 <= angle <= 45 for angle in self.rotate_degrees):
            raise ValueError(
                f"rotate_degrees must be angles between -45 and 45: found {self.rotate_degrees}"
            )
        if (
            min(self.jitter_px, default=0) < 0
            or sum(self.jitter_px) > 2 * self.pad_px + self.size_px // 2
        ):
            raise ValueError(
                f"jitter_px {self.jitter_px} would move the image out of sight: expected a sum of "
                "at most 2 * pad_px + size_px / 2, and none below 0"
            )

    def at(self, layer: str) -> "RenderRecipe":
        """Return the recipe with the settings of one layer."""
        if layer not in self.layers:
            return self
        return self.model_copy(
            update=self.layers[layer].model_dump(exclude_none=True) | {"layers": {}}
        )

    def draws_as(self, other: "RenderRecipe", name: str) -> bool:
        """Tell whether another recipe, of any name, draws and scores a layer or mixes alike."""
        return self._drawing(name) == other._drawing(name)

    def _drawing(self, name: str) -> tuple["RenderRecipe", bool]:
        # The recipe, not the layer's settings, decides whether sprites are scored before or after
        # the activation function.
        return self.at(name).model_copy(update={"name": "", "layers": {}}), self.pre_activation

    def subjects_in(self, pictures: int) -> int:
        """Return the number of channels or mixes whose variants fit into a batch, at least 1."""
        return max(pictures // self.variants, 1)

    @property
    def key(self) -> str:
        """Return the recipe's name and hash, as in the bucket's keys: `fast@1a2b3c4d`."""
        content = self.model_dump(mode="json", exclude={"name"})
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.name}@{digest[:8]}"

    def to_bytes(self) -> bytes:
        """Return the recipe as it is stored beside its sprites."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def input_px(self) -> int:
        """Return the side of the network's input at scale 1: the padded image less its jitter."""
        return self.size_px + 2 * self.pad_px - sum(self.jitter_px)

    @property
    def scales_by_side(self) -> tuple[tuple[float, ...], ...]:
        """Return the scales in ascending groups, one for each side of the network's input."""
        ordered, count = sorted(self.scale), min(self.input_sides, len(self.scale))
        ends = [round(len(ordered) * group / count) for group in range(count + 1)]
        return tuple(tuple(ordered[first:end]) for first, end in itertools.pairwise(ends))

    @property
    def input_sides_px(self) -> tuple[int, ...]:
        """Return the side of the network's input for each group of scales; it grows with them."""
        return tuple(
            round(self.input_px * (sum(scales) / len(scales))) for scales in self.scales_by_side
        )
