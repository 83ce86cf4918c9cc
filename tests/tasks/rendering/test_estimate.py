"""What a layer costs is measured by few steps of full batches, whatever the recipe asks for."""

from types import SimpleNamespace

import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.rendering import estimate
from diamond_cutter.tasks.rendering.course import Course
from diamond_cutter.tasks.rendering.estimate import measure_layer
from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.renderer import LayerRenderer
from diamond_cutter.tasks.rendering.subjects import Channels

SECOND = Channels(layer="second")
LONG = RenderRecipe(size_px=32, steps=10_000, input_sides=1)


@pytest.mark.slow
def test_few_steps_of_whole_groups_of_variants_tell(
    toy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, optimise = [], LayerRenderer.optimise

    def watched(self: LayerRenderer, course: Course, **rest: object) -> object:
        pictures.append((len(course.rates), course.parameters.shape[1]))
        return optimise(self, course, **rest)

    monkeypatch.setattr(LayerRenderer, "optimise", watched)
    cost = measure_layer(toy, SECOND, LONG.model_copy(update={"variants": 3}), Execution(), 4)
    assert 0 < cost.step_s < cost.tracing_s < 600
    assert {batch for _, batch in pictures} == {3}
    assert all(steps < 20 for steps, _ in pictures)
    # A step is measured as it is rendered on a processor: beside that of another batch.
    assert len(pictures) == 3


def test_a_step_of_a_picture_is_its_share_of_a_batch(
    toy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tracing takes 5 s here, and a batch 1.6 s."""
    passed_s = [0.0]

    class Renderer:
        def __init__(self, *_: object) -> None:
            passed_s.append(5.0)

        def optimise(self, *_: object, **__: object) -> None:
            passed_s.append(1.6)

    monkeypatch.setattr("diamond_cutter.tasks.rendering.renderer.LayerRenderer", Renderer)
    clock = SimpleNamespace(perf_counter=lambda: sum(passed_s))
    monkeypatch.setattr(estimate, "time", clock)
    cost = measure_layer(toy, SECOND, LONG, Execution(), 4)
    assert cost.tracing_s == pytest.approx(5.0)
    assert cost.step_s == pytest.approx(1.6 / (8 * 4))
