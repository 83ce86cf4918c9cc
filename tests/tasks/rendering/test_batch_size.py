"""A processor gets its batch size without a probe, a GPU the largest with which a picture takes
clearly less time.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.rendering import batch_size
from diamond_cutter.tasks.rendering.batch_size import batch_size_for, probe_batch_size
from diamond_cutter.tasks.rendering.estimate import LayerCost
from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels, Mix, Mixes, Term

pytestmark = pytest.mark.slow

QUICK = RenderRecipe(size_px=32, steps=500, input_sides=1)
SECOND = Channels(layer="second")
ON_A_GPU = Execution(xla=True)


@pytest.fixture(autouse=True)
def nothing_probed_before() -> Iterator[None]:
    probe_batch_size.cache_clear()
    yield
    probe_batch_size.cache_clear()


class Stopwatch:
    """Takes the place of `measure_layer`: what a step takes in batches of each size, or None where
    memory does not suffice.
    """

    def __init__(self, **seconds: float | None) -> None:
        self.seconds = {int(size.removeprefix("of_")): each for size, each in seconds.items()}
        self.probed: list[int] = []
        self.recipes: list[RenderRecipe] = []

    def __call__(
        self, bundle: Bundle, subjects: Any, recipe: RenderRecipe, execution: Execution, size: int
    ) -> LayerCost:
        self.probed.append(size)
        self.recipes.append(recipe)
        if (found := self.seconds[size]) is None:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return LayerCost(0.0, found)


@pytest.fixture
def stopwatch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    found = Stopwatch(**getattr(request, "param", {"of_8": 1.0, "of_16": 0.8, "of_32": 0.9}))
    monkeypatch.setattr(batch_size, "measure_layer", found)
    return found


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_processor_gets_16_without_a_probe(
    toy: Bundle, stopwatch: Stopwatch, precision: Any
) -> None:
    assert batch_size_for(toy, SECOND, QUICK, Execution(precision=precision)) == 16
    assert stopwatch.probed == []


@pytest.mark.parametrize(
    ("stopwatch", "best", "probed"),
    [
        ({"of_8": 1.0, "of_16": 0.8, "of_32": 0.6}, 32, [8, 16, 32]),
        ({"of_8": 1.0, "of_16": 0.8, "of_32": 0.9}, 16, [8, 16, 32]),
        # A saving of less than a twentieth is none, whatever would come after it.
        ({"of_8": 1.0, "of_16": 0.8, "of_32": 0.77}, 16, [8, 16, 32]),
        ({"of_8": 1.0, "of_16": 0.94, "of_32": 0.88}, 32, [8, 16, 32]),
        ({"of_8": 1.0, "of_16": 0.96, "of_32": 0.5}, 8, [8, 16]),
        ({"of_8": 1.0, "of_16": 0.8, "of_32": None}, 16, [8, 16, 32]),
        ({"of_8": 1.0, "of_16": None, "of_32": 0.1}, 8, [8, 16]),
        # Rendering will say that not even this fits.
        ({"of_8": None}, 8, [8]),
    ],
    indirect=["stopwatch"],
    ids=str,
)
def test_a_gpu_gets_the_largest_that_pays_and_fits(
    toy: Bundle, stopwatch: Stopwatch, best: int, probed: list[int]
) -> None:
    assert batch_size_for(toy, SECOND, QUICK, ON_A_GPU) == best
    assert stopwatch.probed == probed


def test_any_other_error_is_not_taken_for_a_lack_of_memory(
    toy: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> LayerCost:
        raise tf.errors.InternalError(None, None, "the device is gone")

    monkeypatch.setattr(batch_size, "measure_layer", broken)
    with pytest.raises(tf.errors.InternalError, match="the device is gone"):
        batch_size_for(toy, SECOND, QUICK, ON_A_GPU)


def test_a_layer_is_probed_once_with_its_own_recipe(toy: Bundle, stopwatch: Stopwatch) -> None:
    recipe = RenderRecipe.model_validate(
        {**QUICK.model_dump(), "layers": {"second": {"pad_px": 20}}}
    )
    assert {batch_size_for(toy, SECOND, recipe, ON_A_GPU) for _ in range(3)} == {16}
    assert stopwatch.probed == [8, 16, 32]
    assert {each.pad_px for each in stopwatch.recipes} == {20}
    batch_size_for(toy, Channels(layer="third"), recipe, ON_A_GPU)
    assert stopwatch.probed == [8, 16, 32] * 2 and stopwatch.recipes[-1].pad_px == QUICK.pad_px


def test_the_probe_times_real_renderings(toy: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of mixes; tests of `measure_layer` render channels."""
    monkeypatch.setattr(batch_size, "_PROBED", (2, 4))
    both = Mix(label="both", terms=(Term(layer="second", channels=(0, 1), weights=(1.0, 1.0)),))
    size = probe_batch_size(toy, Mixes(mixes=(both,)), QUICK.model_dump_json(), Execution())
    assert size in (2, 4)
