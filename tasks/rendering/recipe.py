"""How a sprite is rendered: everything that decides its pixels, beside the model, the layer and the
channel.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage.sets.records import Rung
from diamond_cutter.tasks.rendering.presets import PRESETS, STANDARD_ANGLES, STANDARD_SCALES
from diamond_cutter.tasks.rendering.spectrum import FREQUENCIES

RUNGS: tuple[Rung, ...] = get_args(Rung)


class LayerSettings(FrozenModel):
    """What a recipe does differently at one layer, as `diamond-cutter tune` finds it; None is as
    everywhere.
    """

    steps: int | None = Field(default=None, ge=1, le=10_000)
    learning_rate: float | None = Field(default=None, gt=0, le=10)
    decay_power: float | None = Field(default=None, ge=0, le=3)
    blur: float | None = Field(default=None, ge=0, le=100)
    gate_smoothing: float | None = Field(default=None, ge=0, le=1)
    pre_activation: bool | None = Field(
        default=None, description="optimised before the activation function, scored as elsewhere"
    )
    pad_px: int | None = Field(default=None, ge=0, le=64)
    jitter_px: tuple[int, ...] | None = None
    scale: tuple[float, ...] | None = None
    rotate_degrees: tuple[float, ...] | None = None


class RenderRecipe(FrozenModel):
    """The parameters of one activation maximisation; equal recipes have equal ids.

    A name of `PRESETS` stands for that preset: what else is given changes it. Any other name starts
    from `fast`.
    """

    name: str = Field(
        default="fast",
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="fast, lucid, alpha, maco, or a name of your own",
    )
    engine: Literal[2] = Field(
        default=2, description="the renderer's version: another one may draw other pixels"
    )
    size_px: int = Field(default=128, ge=32, le=512, multiple_of=4, description="side of a sprite")
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="another seed draws another picture of the same channel",
    )

    objective: Literal["channel", "neuron", "neuron-and-channel"] = Field(
        default="channel",
        description="a channel's mean over all positions, its value at one, or half of each",
    )
    # Of two numbers; a type that says so is one that the command line cannot read.
    neuron_at: tuple[float, ...] = Field(
        default=(0.5, 0.5),
        description="row and column of the neuron, as shares of the layer's sides",
    )
    pre_activation: bool = Field(
        default=False,
        description="what goes into the layer's activation function, not what comes out",
    )
    negative: bool = Field(
        default=False, description="what pushes the channel down, before its activation function"
    )
    variants: int = Field(
        default=1,
        ge=1,
        le=16,
        description="pictures of each channel, as different as `diversity` makes them",
    )
    diversity: float = Field(
        default=1.0, ge=0, le=1000, description="weight of the likeness of a channel's variants"
    )

    parameterisation: Literal["fourier", "maco"] = Field(
        default="fourier", description="maco: magnitudes stay, phases are optimised"
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
        description="an opacity for each pixel; what the channel does not need turns transparent",
    )
    alpha_weight: float = Field(default=1.0, ge=0, le=100, description="weight of the mean opacity")
    blur: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="weight of fine detail, falling to zero over the steps",
    )

    steps: int = Field(default=160, ge=1, le=10_000, description="optimisation steps")
    learning_rate: float = Field(
        default=0.05, gt=0, le=10, description="Adam's, in the Fourier coefficients"
    )
    beta1: float = Field(default=0.5, ge=0, lt=1, description="Adam's memory of the gradient")
    beta2: float = Field(
        default=0.9, ge=0, lt=1, description="Adam's memory of the gradient's square"
    )
    cooldown: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the steps, at the end, in which the rate falls to zero",
    )
    gate_smoothing: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="share of a ReLU's gate, in the gradient, that the mean of its channel's "
        "gates takes",
    )
    redirect_steps: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="first steps in which gradient passes a ReLU that is shut",
    )

    pad_px: int = Field(
        default=12, ge=0, le=64, description="border around the image that the network sees"
    )
    pad_value: float = Field(default=0.5, ge=0, le=1, description="what the border is filled with")
    jitter_px: tuple[int, ...] = Field(
        default=(8, 4),
        description="the image moves by up to so much at each step, in all their sum",
    )
    scale: tuple[float, ...] = Field(
        default=STANDARD_SCALES, description="the image is scaled by one of these"
    )
    input_sides: int = Field(
        default=3,
        ge=1,
        le=8,
        description="sides of the network's input that the steps go through, as scaling makes them",
    )
    rotate_degrees: tuple[float, ...] = Field(
        default=STANDARD_ANGLES, description="the image is turned by one of these"
    )

    ladder: tuple[Rung, ...] = Field(
        default=RUNGS, description="how a sprite that fails is tried again, in this order"
    )
    layers: dict[str, LayerSettings] = Field(
        default={}, description="what is different at single layers"
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"name": given}
        if isinstance(given, Mapping):
            return {**PRESETS.get(str(given.get("name", "fast")), {}), **given}
        return given

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "RenderRecipe":
        for layer in ("", *self.layers):
            self.at(layer)._check_transforms()
        if len(self.neuron_at) != 2 or not all(0 <= share <= 1 for share in self.neuron_at):
            raise ValueError(
                "neuron_at is a row and a column as shares between 0 and 1 of the layer's sides; "
                f"found {self.neuron_at}"
            )
        if (self.parameterisation == "maco") != bool(self.spectrum):
            raise ValueError(
                "a spectrum goes with the parameterisation 'maco' and with no other; take the "
                "recipe named maco"
            )
        whole = all(
            len(row) == len(FREQUENCIES) and min(row) >= 0 and all(map(math.isfinite, row))
            for row in self.spectrum
        )
        if not whole or len(self.spectrum) not in (0, 1, 3):
            raise ValueError(
                "a spectrum has a row for each of 3 colours, or one for all, of "
                f"{len(FREQUENCIES)} magnitudes of 0 or more"
            )
        return self

    def _check_transforms(self) -> None:
        if not self.scale or not all(0.25 <= factor <= 4 for factor in self.scale):
            raise ValueError(f"scale is one or more factors between 0.25 and 4; found {self.scale}")
        if not self.rotate_degrees or not all(-45 <= angle <= 45 for angle in self.rotate_degrees):
            raise ValueError(
                "rotate_degrees is one or more angles between -45 and 45; found "
                f"{self.rotate_degrees}"
            )
        if (
            min(self.jitter_px, default=0) < 0
            or sum(self.jitter_px) > 2 * self.pad_px + self.size_px // 2
        ):
            raise ValueError(
                f"jitter_px {self.jitter_px} would move the image out of sight; at most 2 * "
                "pad_px + size_px / 2 in all, and none below 0"
            )

    def at(self, layer: str) -> "RenderRecipe":
        """Return the recipe as it is at one layer."""
        if layer not in self.layers:
            return self
        return self.model_copy(
            update=self.layers[layer].model_dump(exclude_none=True) | {"layers": {}}
        )

    def draws_as(self, other: "RenderRecipe", name: str) -> bool:
        """Tell whether another recipe draws and scores the same sprites of a layer, or of mixes;
        the recipes' names do not matter.
        """
        return self._drawing(name) == other._drawing(name)

    def _drawing(self, name: str) -> tuple["RenderRecipe", bool]:
        # Sprites are scored before or after the activation function as the recipe has it
        # everywhere, whatever holds at the layer.
        return self.at(name).model_copy(update={"name": "", "layers": {}}), self.pre_activation

    def subjects_in(self, pictures: int) -> int:
        """Return of how many channels or mixes so many pictures have all variants, but at least
        one.
        """
        return max(pictures // self.variants, 1)

    @property
    def key(self) -> str:
        """Name the recipe and its content, as in the bucket's keys: `fast@1a2b3c4d`."""
        content = self.model_dump(mode="json", exclude={"name"})
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.name}@{digest[:8]}"

    def to_bytes(self) -> bytes:
        """Return the recipe as it is stored beside its sprites."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def input_px(self) -> int:
        """Return the side of what the network sees at scale 1: the padded image less the room it
        moves in.
        """
        return self.size_px + 2 * self.pad_px - sum(self.jitter_px)

    @property
    def scales_by_side(self) -> tuple[tuple[float, ...], ...]:
        """Return the scales in groups, from small to large: one for each side that the network's
        input has.
        """
        ordered, count = sorted(self.scale), min(self.input_sides, len(self.scale))
        ends = [round(len(ordered) * group / count) for group in range(count + 1)]
        return tuple(tuple(ordered[first:end]) for first, end in itertools.pairwise(ends))

    @property
    def input_sides_px(self) -> tuple[int, ...]:
        """Return the sides of what the network sees at the scales of each group: as in lucid, the
        input grows with the image.
        """
        return tuple(
            round(self.input_px * (sum(scales) / len(scales))) for scales in self.scales_by_side
        )
