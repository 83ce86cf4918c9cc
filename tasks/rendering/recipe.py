"""How a sprite is rendered: everything that decides its pixels, beside the model, the layer and the channel."""

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class RenderRecipe(BaseModel):
    """The parameters of one activation maximisation; equal recipes have equal ids. The defaults are the recipe `fast`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="fast", pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="for people; not part of the id")
    engine: Literal[1] = Field(default=1, description="the renderer's version: another one may draw other pixels")
    size_px: int = Field(default=128, ge=32, le=512, multiple_of=4, description="side of a sprite")
    steps: int = Field(default=288, ge=1, le=10_000, description="optimisation steps")
    learning_rate: float = Field(default=0.07, gt=0, le=10, description="Adam's, in the Fourier coefficients")
    beta1: float = Field(default=0.5, ge=0, lt=1, description="Adam's memory of the gradient")
    beta2: float = Field(default=0.9, ge=0, lt=1, description="Adam's memory of the gradient's square")
    cooldown: float = Field(default=0.3, ge=0, le=1, description="share of the steps, at the end, in which the rate falls to zero")
    decay_power: float = Field(default=1.1, ge=0, le=3, description="a coefficient is scaled by frequency ** -decay_power")
    initial_sd: float = Field(default=0.01, gt=0, le=1, description="standard deviation of the first spectrum")
    pad_px: int = Field(default=12, ge=0, le=64, description="grey border around the image that the network sees")
    jitter_px: int = Field(default=12, ge=0, le=64, description="how far the image moves at each step, in all")
    scale: tuple[float, float] = Field(default=(0.9, 1.1), description="the image is scaled by a factor in between")
    rotate_degrees: float = Field(default=12.0, ge=0, le=45, description="the image is turned by up to so much either way")
    redirect_steps: int = Field(default=16, ge=0, le=10_000, description="first steps in which gradient passes a ReLU that is shut")
    seed: int = Field(default=0, ge=0, lt=2**63, description="another seed draws another picture of the same channel")

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "RenderRecipe":
        low, high = self.scale
        if not 0.25 <= low <= high <= 4:
            raise ValueError(f"scale must be two factors between 0.25 and 4, the smaller first; found {low} and {high}")
        if self.jitter_px > 2 * self.pad_px + self.size_px // 2:
            raise ValueError(f"jitter_px {self.jitter_px} would move the image out of sight; at most 2 * pad_px + size_px / 2")
        return self

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
        """Return the side of what the network sees: the padded image less the room it moves in."""
        return self.size_px + 2 * self.pad_px - self.jitter_px
