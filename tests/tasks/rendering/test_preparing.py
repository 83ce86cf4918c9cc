"""A layer that is prepared is ready, and its sprites are the same."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.rendering.course import course_of, focus_of
from diamond_cutter.tasks.rendering.loop import OptimisationLoop
from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.renderer import LayerRenderer
from diamond_cutter.tasks.rendering.sprites import (
    layer_renderer,
    prepare_renderers,
    render_sprites,
)
from diamond_cutter.tasks.rendering.subjects import Channels, Member
from diamond_cutter.tasks.rendering.trace_key import TraceKey

BATCH, FLOAT32 = 4, Execution()
QUICK = RenderRecipe(size_px=32, steps=9, redirect_steps=3, ladder=(), input_sides=2)
SECOND = Channels(layer="second")
SETTINGS: Any = {"batch_size": BATCH, "execution": FLOAT32}


@pytest.mark.slow
def test_a_prepared_layer_is_compiled_once_and_draws_the_same(
    toy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer_renderer.cache_clear()
    plain = render_sprites(toy, SECOND, [0, 1, 2], QUICK, **SETTINGS)
    layer_renderer.cache_clear()
    with_steps: list[int] = []
    run_loop = LayerRenderer._run_loop
    monkeypatch.setattr(
        LayerRenderer,
        "_run_loop",
        lambda self, course, *inputs: (
            with_steps.append(int(course.steps)) or run_loop(self, course, *inputs)
        ),
    )
    for _ in range(2):  # the second time there is nothing left to do
        prepare_renderers(toy, SECOND, [0, 1, 2], QUICK, **SETTINGS)
    assert with_steps == [0, len(QUICK.input_sides_px)]
    misses = layer_renderer.cache_info().misses
    prepared = render_sprites(toy, SECOND, [0, 1, 2], QUICK, **SETTINGS)
    assert layer_renderer.cache_info().misses == misses
    assert [sprite.picture.tobytes() for sprite in prepared] == [
        sprite.picture.tobytes() for sprite in plain
    ]
    assert [sprite.scores for sprite in prepared] == [sprite.scores for sprite in plain]


def test_a_loop_is_compiled_by_one_thread_at_a_time(toy: Bundle) -> None:
    renderer = LayerRenderer(toy, ("second",), TraceKey.of(QUICK, BATCH, FLOAT32))
    members = [Member(number, 0) for number in range(BATCH)]
    course = course_of("second", members, QUICK)
    targets, running, seen = SECOND.targets(range(BATCH)), [], []
    run_loop = renderer._run_loop

    def watched(*inputs: object) -> np.ndarray:
        running.append(None)
        seen.append((len(running), int(inputs[0].steps)))  # type: ignore[attr-defined]
        try:
            return run_loop(*inputs)  # type: ignore[arg-type]
        finally:
            running.pop()

    renderer._run_loop = watched  # type: ignore[method-assign, assignment]
    assert not renderer.is_in_use
    threads = [
        threading.Thread(target=renderer.optimise, args=(course, targets, focus_of(QUICK)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] == (1, 0) and [steps for _, steps in seen] == [0, QUICK.steps, QUICK.steps]
    assert renderer.is_in_use


@pytest.mark.parametrize("steps", [0, 4, 99])
def test_a_loop_takes_as_many_steps_as_it_is_told(toy: Bundle, steps: int) -> None:
    renderer = layer_renderer(toy, ("second",), TraceKey.of(QUICK, BATCH, FLOAT32))
    members, focus = [Member(number, 0) for number in range(BATCH)], focus_of(QUICK)
    course = course_of("second", members, QUICK)
    targets, taken = SECOND.targets(range(BATCH)), min(steps, QUICK.steps)
    cut = course._replace(rates=course.rates * (np.arange(QUICK.steps) < taken).astype(np.float32))
    told = renderer.optimise(course._replace(steps=np.int32(steps)), targets, focus)
    np.testing.assert_array_equal(told, renderer.optimise(cut, targets, focus))


@pytest.mark.slow
def test_two_layers_are_never_traced_at_once(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    traced, most = list[None](), list[int]()
    trace = OptimisationLoop.trace

    def watched(self: OptimisationLoop, *inputs: Any) -> Any:
        traced.append(None)
        most.append(len(traced))
        time.sleep(0.2)
        found = trace(self, *inputs)
        traced.pop()
        return found

    monkeypatch.setattr(OptimisationLoop, "trace", watched)
    layer_renderer.cache_clear()
    threads = [
        threading.Thread(
            target=lambda layer=layer: render_sprites(
                toy, Channels(layer=layer), [0], QUICK, **SETTINGS
            )
        )
        for layer in ("first", "second")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1]
    for layer in ("first", "second"):
        renderer = layer_renderer(toy, (layer,), TraceKey.of(QUICK, BATCH, FLOAT32))
        assert renderer.trace_count == 1
