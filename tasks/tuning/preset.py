"""A model's preset: the recipe that tuning has built layer by layer, with its measurements."""

from collections.abc import Callable
from typing import Self

from pydantic import Field, ValidationError, model_validator

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, Corrupt, NotFound
from diamond_cutter.storage.retries import write_until_settled
from diamond_cutter.storage.sets.layout import preset_key
from diamond_cutter.storage.sets.records import Record
from diamond_cutter.tasks.rendering.recipe import LayerSettings, RenderRecipe

# A failed attempt means that another writer has finished a layer. Each device tunes one at a time.
_ATTEMPTS = 50
# Smaller values count as this one, so that two trials that achieve nothing are equally good.
_LEAST = 1e-6


class Trial(FrozenModel):
    """The scores of some settings on a layer's sample."""

    settings: LayerSettings
    steps: int
    objective: float = Field(description="mean over channels and wide transforms")
    specificity: float | None = Field(description="mean over channels, under wide transforms")
    saturation: float = Field(
        description="mean share of a picture's values that are almost black or almost white"
    )
    seconds_per_sprite: float

    def merit(self, base: "Trial") -> float:
        """Return how good the settings are, the base being 1.

        It is the geometric mean of the gains in objective and specificity, times the gain in
        unsaturated values.
        """
        gain = _ratio(self.objective, base.objective)
        if self.specificity is not None and base.specificity is not None:
            gain = (gain * _ratio(self.specificity, base.specificity)) ** 0.5
        return gain * _ratio(1.0 - self.saturation, 1.0 - base.saturation)


class LayerTuning(FrozenModel):
    """The result of tuning one layer."""

    layer: str
    layer_sha256: str
    channels: tuple[int, ...] = Field(description="the sample")
    base: Trial = Field(description="the unchanged recipe, in the same time")
    best: Trial
    merit: float = Field(description="of the best, the base being 1")
    trials: int


class Preset(Record):
    """The results of tuning a model so far."""

    model: str
    start: RenderRecipe
    budget_s: float | None
    layers: tuple[LayerTuning, ...] = ()

    @model_validator(mode="after")
    def _settings_fit_the_start(self) -> Self:
        try:
            RenderRecipe.model_validate(self.recipe.model_dump())
        except ValidationError as error:
            raise ValueError(error.errors(include_url=False)[0]["msg"]) from error
        return self

    @property
    def recipe(self) -> RenderRecipe:
        """Return the recipe that tuning started from, with each layer's best settings."""
        settings = {layer.layer: layer.best.settings for layer in self.layers}
        return self.start.model_copy(
            update={"name": "tuned", "layers": {**self.start.layers, **settings}}
        )


class BadPreset(Corrupt):
    """A model's preset cannot be used; `problem` says why, without the remedy."""

    def __init__(self, model: str, problem: str) -> None:
        self.problem = f"preset {preset_key(model)} {problem}"
        remedy = (
            f"Run `diamond-cutter tune {model}` to create it again, or name a recipe, such "
            "as `--recipe fast`."
        )
        super().__init__(f"{self.problem}. {remedy}")


def read_preset(bucket: Bucket, model: str) -> Preset | None:
    """Return the preset of a model, or None if it has none.

    Args:
        bucket: where.
        model: the model's name and hash.

    Raises:
        BadPreset: it is unreadable, of another version, or of another model.
    """
    try:
        preset = Preset.model_validate_json(bucket.get(preset_key(model)))
    except NotFound:
        return None
    except ValidationError as error:
        raise BadPreset(
            model, f"cannot be read ({error.errors(include_url=False)[0]['msg']})"
        ) from error
    if preset.model != model:
        raise BadPreset(model, f"cannot be used (it is the preset of {preset.model})")
    return preset


def preset_to_continue(
    bucket: Bucket,
    model: str,
    start: RenderRecipe,
    budget_s: float | None,
    on_restart: Callable[[str], object] = lambda why: None,
) -> Preset | None:
    """Return the preset that tuning adds layers to, or None if it starts from scratch.

    Args:
        bucket: where.
        model: the model's name and hash.
        start: the recipe that tuning starts from.
        budget_s: seconds per sprite, if limited.
        on_restart: called with a sentence if there is a preset that is not continued.
    """
    try:
        stored = read_preset(bucket, model)
    except BadPreset as error:
        on_restart(f"{error.problem}. Tuning starts from scratch.")
        return None
    if stored is None or (stored.start, stored.budget_s) == (start, budget_s):
        return stored
    budget = "no budget" if stored.budget_s is None else f"{stored.budget_s:g} s a sprite"
    on_restart(
        f"preset {preset_key(model)} was tuned from {stored.start.key} with {budget}. Tuning "
        "starts from scratch."
    )
    return None


def add_layer(
    bucket: Bucket, model: str, start: RenderRecipe, budget_s: float | None, found: LayerTuning
) -> Preset:
    """Put a layer's tuning into the model's preset.

    A damaged preset is replaced, and so is one with another start recipe or budget.

    Raises:
        Unavailable: other writers keep replacing the preset.
    """
    key = preset_key(model)

    def add() -> Preset:
        present, stored = bucket.stat(key), preset_to_continue(bucket, model, start, budget_s)
        stored = stored or Preset(model=model, start=start, budget_s=budget_s)
        others = tuple(layer for layer in stored.layers if layer.layer != found.layer)
        preset = stored.model_copy(
            update={"layers": tuple(sorted((*others, found), key=lambda layer: layer.layer))}
        )
        bucket.put(key, preset.to_bytes(), mode=present.token if present else "create")
        return preset

    return write_until_settled(key, add, _ATTEMPTS)


def _ratio(value: float, base: float) -> float:
    return max(value, _LEAST) / max(base, _LEAST)
