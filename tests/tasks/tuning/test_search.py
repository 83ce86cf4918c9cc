"""The best settings by score win a layer; where nothing is better, nothing is changed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.errors import UnknownLayer
from diamond_cutter.tasks.rendering.recipe import LayerSettings, RenderRecipe
from diamond_cutter.tasks.tuning import search
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset, Trial
from diamond_cutter.tasks.tuning.search import (
    SAMPLE,
    affordable_steps,
    judge,
    sample_channels,
    tune_layer,
)
from tests.built_bundle import bundle_of, flattened
from tests.toy_network import toy_bundle, toy_weights

pytestmark = pytest.mark.slow

# One side only: what is compiled for each trial takes most of the time.
QUICK = RenderRecipe(size_px=32, steps=12, redirect_steps=3, input_sides=1, ladder=())


def changed(**fields: Any) -> RenderRecipe:
    return RenderRecipe.model_validate({**QUICK.model_dump(), **fields})


@pytest.fixture(scope="module", autouse=True)
def _fewer_candidates() -> Iterator[None]:
    """Try two changes of regularisation: each candidate is traced, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_REGULARISATION", search._REGULARISATION[:2])
        yield


@pytest.fixture(scope="module")
def tuned(toy: Bundle) -> tuple[LayerTuning, list[Trial]]:
    """Return what tuning finds for a layer, and its trials."""
    trials: list[Trial] = []
    return tune_layer(toy, "third", QUICK, None, trials.append), trials


@pytest.mark.parametrize("count", [1, 2, 7, 16, 17, 32, 100, 1280])
def test_a_sample_is_spread_evenly(count: int) -> None:
    sample = sample_channels(count)
    assert len(sample) == min(count, SAMPLE) and all(type(channel) is int for channel in sample)
    assert (sample[0], sample[-1]) == (0, count - 1)
    gaps = np.diff(sample)
    assert count == 1 or gaps.max() - gaps.min() <= 1


def test_the_winner_is_no_worse_than_the_base(
    toy: Bundle, tuned: tuple[LayerTuning, list[Trial]]
) -> None:
    found, trials = tuned
    assert (found.layer, found.channels, found.layer_sha256) == (
        "third",
        tuple(range(6)),
        toy.card.layer("third").sha256,
    )
    assert found.merit >= 1.0 and found.merit == pytest.approx(
        found.best.merit(found.base), abs=1e-4
    )
    assert found.best in trials and found.base in trials and found.trials == len(trials)


def test_candidates_have_half_of_the_steps_and_the_last_two_all_of_them(
    tuned: tuple[LayerTuning, list[Trial]],
) -> None:
    found, trials = tuned
    whole = [trial for trial in trials if trial.steps == 12]
    assert (
        {trial.steps for trial in trials} == {6, 12}
        and trials[-len(whole) :] == whole
        and len(whole) <= 2
    )
    assert (found.base.steps, found.best.steps, found.base.settings) == (
        12,
        12,
        LayerSettings(steps=12),
    )
    # Regularisation is tried on top of the best transforms.
    first = [trial.settings for trial in trials[1:3]]
    assert [settings.jitter_px for settings in first] == [(16, 8), (24, 16)] and all(
        settings.decay_power is None for settings in first
    )
    best = max(trials[:3], key=lambda trial: trial.merit(trials[0])).settings
    on_top = [trial.settings for trial in trials[3:] if trial.steps == 6]
    assert all(
        (settings.jitter_px, settings.scale, settings.pad_px)
        == (best.jitter_px, best.scale, best.pad_px)
        for settings in on_top
    )
    assert [settings.decay_power for settings in on_top][:2] == [1.2, 1.6]


def test_what_was_found_is_a_recipe_whose_score_is_found_again(
    toy: Bundle, tuned: tuple[LayerTuning, list[Trial]]
) -> None:
    found, _ = tuned
    preset = Preset(model="toy@0", start=QUICK, budget_s=None, layers=(found,))
    at = preset.recipe.at("third")
    assert (
        at.steps == 12
        and at.model_dump()
        == QUICK.model_dump()
        | found.best.settings.model_dump(exclude_none=True)
        | {"name": "tuned"}
    )
    again = judge(toy, "third", found.channels, QUICK, found.best.settings)
    assert again.model_dump(exclude={"seconds_per_sprite"}) == found.best.model_dump(
        exclude={"seconds_per_sprite"}
    )


def test_nothing_is_changed_if_nothing_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_TRANSFORMS", search._TRANSFORMS[:1])
    monkeypatch.setattr(search, "_REGULARISATION", search._REGULARISATION[:1])
    # Whatever is seen, the logits are the bias.
    weights = toy_weights()
    weights |= {
        "logits/kernel": np.zeros_like(weights["logits/kernel"]),
        "logits/bias": np.full(5, -1.0, np.float32),
    }
    trials: list[Trial] = []
    found = tune_layer(toy_bundle(weights), "logits", QUICK, None, trials.append)
    assert found.best == found.base and found.best.settings == LayerSettings(steps=12)
    assert found.base.objective == pytest.approx(-1.0) and found.base.specificity is None
    assert found.merit == 1.0
    # So there is no winner to meet the base with all of the steps.
    assert [trial.steps for trial in trials] == [6] * (found.trials - 1) + [12]


def test_what_is_pushed_down_is_judged_by_how_far_it_went(toy: Bundle) -> None:
    channels = sample_channels(6)
    down = judge(toy, "third", channels, changed(negative=True), LayerSettings())
    nothing = judge(
        toy, "third", channels, changed(negative=True, learning_rate=1e-9), LayerSettings()
    )
    assert down.objective > nothing.objective + 0.1
    assert (
        down.specificity is not None
        and nothing.specificity is not None
        and down.specificity > nothing.specificity
    )


def test_settings_that_would_move_the_image_out_of_sight_are_not_tried(
    toy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_REGULARISATION", ())
    trials: list[Trial] = []
    found = tune_layer(
        toy, "logits", changed(pad_px=0, jitter_px=(4,), steps=1), None, trials.append
    )
    assert (16, 8) not in {trial.settings.jitter_px for trial in trials}
    assert (24, 16) in {trial.settings.jitter_px for trial in trials}
    assert RenderRecipe.model_validate(
        {**QUICK.model_dump(), "layers": {"logits": found.best.settings}}
    ).layers


def test_seconds_decide_the_steps(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_TRANSFORMS", search._TRANSFORMS[:1])
    monkeypatch.setattr(search, "_REGULARISATION", ())
    few, many = (affordable_steps(toy, "third", QUICK, seconds) for seconds in (1e-9, 1e9))
    assert (few, many) == (16, 10_000)
    found = tune_layer(toy, "third", QUICK, 1e-9)
    assert (found.base.steps, found.best.steps, found.best.settings.steps) == (16, 16, 16)


def test_a_layer_that_does_not_exist_is_refused(toy: Bundle) -> None:
    with pytest.raises(UnknownLayer, match="did you mean 'third'"):
        tune_layer(toy, "thrid", QUICK, None)


def test_what_the_network_sees_is_judged_however_many_channels_it_has() -> None:
    bundle = bundle_of(flattened, channels=4)
    found = judge(bundle, "one", range(4), QUICK, LayerSettings())
    start = judge(bundle, "one", range(4), changed(learning_rate=1e-9), LayerSettings())
    assert found.objective > start.objective + 0.005
