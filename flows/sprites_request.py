"""The requests of `sprites` and `tune`: parameters of the command, the flow and its deployments."""

from typing import Annotated, Self

from cyclopts import Parameter
from pydantic import Field, model_validator

from diamond_cutter.flows.request_fields import (
    AUTO,
    LOCAL,
    BucketPlace,
    Budget,
    Devices,
    FlowRequest,
    Grace,
    Recipe,
    Runner,
)
from diamond_cutter.flows.stops import GRACE_S
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Mixes
from diamond_cutter.tasks.sheets import ImageFormat

_MAIN = ("main",)


class SpritesRequest(FlowRequest):
    """Which sprites to render, how, and in which bucket."""

    model: str = Field(
        description="the name of a model, as `diamond-cutter models` lists it; a glob selects "
        "models of the bucket"
    )
    also: tuple[str, ...] = Field(
        default=(), description="the names of further models, for the same layers"
    )
    layers: tuple[str, ...] = Field(
        default=_MAIN,
        min_length=1,
        description="layer names, globs ('block_1?' is block_10 to block_15), 'main' or 'all'",
    )
    channels: str | None = Field(
        default=None,
        description="channels of each layer: 0:32, 7 or 1,5,9; for logits also class names: "
        "'goldfish; tabby'; if omitted, all channels",
    )
    bucket: BucketPlace = "./bucket"
    recipe: Recipe = Field(
        default=RenderRecipe(name=AUTO),
        json_schema_extra={"default": AUTO},
        description="how to render: a recipe or its name; auto: the preset that `tune` stored for "
        "the model, otherwise tiny for images of up to 32 pixels, and fast for larger ones",
    )
    # The command line has its own options for mixes, in flows/mix_expressions.py.
    mixes: Annotated[Mixes | None, Parameter(parse=False)] = Field(
        default=None, description="weighted sums of channels, instead of layers"
    )
    # The missing sprites of a report. Not on the command line.
    selection: Annotated[dict[str, tuple[int, ...]] | None, Parameter(parse=False)] = Field(
        default=None, description="channels by layer, instead of layers and channels"
    )
    photos: str | None = Field(
        default=None,
        description="your own images to compare sprites with: a folder, or gs://bucket/folder",
    )
    spritemap_format: ImageFormat = Field(
        default="webp", description="file format of spritemaps; shards are lossless WebP"
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="sprites to optimise at once; if omitted, the fastest number",
    )
    devices: Devices = None
    shard_timeout_s: float = Field(
        default=3600, gt=0, description="time limit for a shard, which is then retried"
    )
    runner: Runner = LOCAL
    grace_s: Grace = GRACE_S
    budget_minutes: Budget = None
    retry_failed: bool = Field(
        default=False,
        description="render only what failed in the last run of this selection",
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        _refuse_changes_of_auto(self.recipe)
        if self.mixes and (self.layers != _MAIN or self.channels is not None):
            raise ValueError(
                "mixes name their own layers and channels. Omit layers and channels, or the mixes."
            )
        if self.selection is not None and (
            self.mixes or self.layers != _MAIN or self.channels is not None
        ):
            raise ValueError(
                "a selection names its own layers and channels. Omit layers, channels and mixes, "
                "or the selection."
            )
        if self.photos is not None and (self.mixes or self.recipe.negative):
            what = "mixes" if self.mixes else "negative sprites"
            raise ValueError(f"photos cannot be compared with {what}. Omit the photos.")
        return self

    @property
    def models(self) -> tuple[str, ...]:
        """Return the names and globs of all models."""
        return self.model, *self.also

    def of_model(self, model: str) -> "SpritesRequest":
        """Return the request for one of the models."""
        return self.model_copy(update={"model": model, "also": ()})


class TuneRequest(FlowRequest):
    """Which layers of a model to tune, from which recipe, and within which time."""

    model: str = Field(description="the name of a model, as `diamond-cutter models` lists it")
    layers: tuple[str, ...] = Field(
        default=("main",),
        min_length=1,
        description="layer names, globs ('block_1?' is block_10 to block_15), 'main' or 'all'",
    )
    bucket: BucketPlace = "./bucket"
    recipe: Recipe = Field(
        default=RenderRecipe(name=AUTO),
        json_schema_extra={"default": AUTO},
        description="the recipe to start from, or its name; auto: tiny for images of up to 32 "
        "pixels, and fast for larger ones",
    )
    budget_s: float | None = Field(
        default=None,
        gt=0,
        description="seconds per sprite; if omitted, the steps of the recipe",
    )
    devices: Devices = None
    again: bool = Field(default=False, description="tune layers again that are already tuned")
    layer_timeout_s: float = Field(default=7200, gt=0, description="time limit for a layer")
    runner: Runner = LOCAL
    grace_s: Grace = GRACE_S

    @model_validator(mode="after")
    def _recipe_is_known(self) -> Self:
        _refuse_changes_of_auto(self.recipe)
        return self


def _refuse_changes_of_auto(recipe: RenderRecipe) -> None:
    if recipe.name == AUTO and recipe != RenderRecipe(name=AUTO):
        raise ValueError(
            f"the recipe {AUTO} cannot be changed. Change fields of another recipe, such as "
            f"{', '.join(PRESETS)}."
        )
