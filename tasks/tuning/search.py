"""Searches for a layer's best settings: renders candidates on a sample of its channels.

Pictures of deep layers are vague if they excite the channel at one size and angle only. So
candidates are judged under wider transforms than the defaults are optimised under.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.rendering.course import focus_of, views_of
from diamond_cutter.tasks.rendering.estimate import measure_layer
from diamond_cutter.tasks.rendering.precision import execution_here
from diamond_cutter.tasks.rendering.presets import WIDER
from diamond_cutter.tasks.rendering.recipe import LayerSettings, RenderRecipe
from diamond_cutter.tasks.rendering.scores import specificities
from diamond_cutter.tasks.rendering.sprites import Sprite, layer_renderer, render_sprites
from diamond_cutter.tasks.rendering.subjects import Channels, Member
from diamond_cutter.tasks.rendering.trace_key import TraceKey
from diamond_cutter.tasks.tuning.preset import LayerTuning, Trial

SAMPLE = 16
_JUDGING_DRAWS = 16

_TRANSFORMS = (
    LayerSettings(),
    LayerSettings(
        jitter_px=(16, 8),
        scale=tuple(round(0.8 + 0.04 * i, 2) for i in range(11)),
        rotate_degrees=tuple(range(-20, 21, 2)),
    ),
    LayerSettings(**WIDER),
)
_REGULARISATION = (
    LayerSettings(decay_power=1.2),
    LayerSettings(decay_power=1.6),
    LayerSettings(blur=0.3),
    LayerSettings(pre_activation=True),
    LayerSettings(gate_smoothing=0.0),
    LayerSettings(gate_smoothing=0.4),
    LayerSettings(learning_rate=0.07),
    LayerSettings(learning_rate=0.035),
)


def sample_channels(count: int) -> tuple[int, ...]:
    """Return up to 16 channels, spread evenly over a layer's."""
    return tuple(int(channel) for channel in np.unique(np.linspace(0, count - 1, SAMPLE).round()))


def tune_layer(
    bundle: Bundle,
    layer: str,
    recipe: RenderRecipe,
    budget_s: float | None,
    on_trial: Callable[[Trial], object] = lambda trial: None,
) -> LayerTuning:
    """Find the best settings for a layer, judged on a sample of its channels.

    The trials of the search have half of the steps. Its winner is then compared with the unchanged
    recipe, both with all steps.

    Args:
        bundle: the model.
        layer: one of its layers.
        recipe: the recipe to start from.
        budget_s: seconds per sprite, which decide the number of steps. None: the recipe's steps.
        on_trial: called with each trial.

    Raises:
        UnknownLayer: names the nearest layers.
    """
    card = bundle.card.layer(layer)
    channels = sample_channels(card.channels)
    steps = recipe.steps if budget_s is None else affordable_steps(bundle, layer, recipe, budget_s)
    trials = _Trials(bundle, layer, channels, recipe, on_trial)
    suited = [each for each in _TRANSFORMS[1:] if _suits(recipe, layer, each)]
    found = _search(lambda settings: trials.run(settings, max(steps // 2, 1)), suited)
    base = best = trials.run(_TRANSFORMS[0], steps)
    if found.settings.model_copy(update={"steps": steps}) != base.settings:
        best = _best([base, trials.run(found.settings, steps)], base)
    return LayerTuning(
        layer=layer,
        layer_sha256=card.sha256,
        channels=channels,
        base=base,
        best=best,
        merit=round(best.merit(base), 4),
        trials=trials.count,
    )


@dataclass
class _Trials:
    """Judges settings on a sample of a layer's channels, and counts the trials."""

    bundle: Bundle
    layer: str
    channels: Sequence[int]
    recipe: RenderRecipe
    on_trial: Callable[[Trial], object]
    count: int = 0

    def run(self, settings: LayerSettings, steps: int) -> Trial:
        """Judge some settings with a number of steps."""
        changed = settings.model_copy(update={"steps": steps})
        trial = judge(self.bundle, self.layer, self.channels, self.recipe, changed)
        self.count += 1
        self.on_trial(trial)
        return trial


def _search(trial: Callable[[LayerSettings], Trial], transforms: Sequence[LayerSettings]) -> Trial:
    """Return the best trial: of the transforms, then with other settings on top of the best.

    The other settings are regularisation and learning rate.
    """
    base = trial(_TRANSFORMS[0])
    best = _best([base, *map(trial, transforms)], base)
    joined = [_joined(best.settings, settings) for settings in _REGULARISATION]
    return _best([best, *map(trial, joined)], base)


def affordable_steps(bundle: Bundle, layer: str, recipe: RenderRecipe, budget_s: float) -> int:
    """Measure how many steps of a sprite in a full batch fit into `budget_s` seconds here."""
    size = len(sample_channels(bundle.card.layer(layer).channels))
    step_s = measure_layer(bundle, Channels(layer=layer), recipe, execution_here(), size).step_s
    return int(np.clip(budget_s / step_s, 16, 10_000))


def judge(
    bundle: Bundle,
    layer: str,
    channels: Sequence[int],
    recipe: RenderRecipe,
    settings: LayerSettings,
) -> Trial:
    """Render a sample by the recipe with some settings, and score it under wide transforms."""
    changed = recipe.model_copy(update={"layers": {layer: settings}, "ladder": ()})
    started = time.perf_counter()
    sprites = render_sprites(
        bundle, Channels(layer=layer), channels, changed, batch_size=len(channels)
    )
    seconds = time.perf_counter() - started
    return _judged(bundle, layer, sprites, recipe, settings, seconds / len(channels))


def _judged(
    bundle: Bundle,
    layer: str,
    sprites: list[Sprite],
    recipe: RenderRecipe,
    settings: LayerSettings,
    seconds: float,
) -> Trial:
    # Before the activation function, where nothing is cut off. A ReLU6 that is 6 everywhere hides
    # further gains.
    wide = recipe.model_copy(update={**WIDER, "pre_activation": True, "layers": {}})
    members = [Member(sprite.scores.channel, sprite.scores.variant) for sprite in sprites]
    (sought,) = Channels(layer=layer).targets([member.number for member in members])
    targets = (sought._replace(weights=-sought.weights) if recipe.negative else sought,)
    key = TraceKey.of_scores(wide, len(members), execution_here())
    renderer = layer_renderer(bundle, (layer,), key)
    images = np.stack([sprite.image for sprite in sprites]).astype(np.float32) / np.float32(255)
    views = views_of(layer, members, wide, "judging", _JUDGING_DRAWS)
    scored = renderer.score(images, views, targets, focus_of(wide))
    known = [
        value
        for value in specificities(scored.means, targets)
        if value is not None and np.isfinite(value)
    ]
    finite = np.nan_to_num(scored.objective, nan=0.0, posinf=0.0, neginf=0.0)
    return Trial(
        settings=settings,
        steps=settings.steps or recipe.steps,
        objective=round(float(finite.mean()), 5),
        specificity=round(float(np.mean(known)), 4) if known else None,
        saturation=round(float(np.mean([sprite.scores.saturation for sprite in sprites])), 4),
        seconds_per_sprite=round(seconds, 4),
    )


def _suits(recipe: RenderRecipe, layer: str, settings: LayerSettings) -> bool:
    """Tell whether a recipe can have the settings; wide jitter needs a large image or border."""
    try:
        RenderRecipe.model_validate({**dict(recipe), "layers": {layer: settings}})
    except ValidationError:
        return False
    return True


def _joined(settings: LayerSettings, more: LayerSettings) -> LayerSettings:
    return settings.model_copy(update=more.model_dump(exclude_none=True))


def _best(trials: Sequence[Trial], base: Trial) -> Trial:
    """Return the trial of the highest merit; of equals the first, which changes least."""
    return max(trials, key=lambda trial: trial.merit(base))
