"""What the renderer does to gradients never reaches attribution, whatever was rendered before in
the same process.
"""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.bundle import Bundle, parse_graph
from diamond_cutter.model_inventory.graph.graph_def import run_inside
from diamond_cutter.tasks.attribution.attribution import attribution_function
from diamond_cutter.tasks.attribution.checks import check_function
from diamond_cutter.tasks.attribution.details import details_function
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec, Method
from diamond_cutter.tasks.rendering.course import course_of, focus_of
from diamond_cutter.tasks.rendering.precision import Execution
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.relu_gradients import with_redirected_relus
from diamond_cutter.tasks.rendering.renderer import LayerRenderer
from diamond_cutter.tasks.rendering.subjects import Channels, Member
from diamond_cutter.tasks.rendering.trace_key import TraceKey
from tests.small_networks import images
from tests.toy_network import CHANNELS, IMAGE_SIZE, LAYERS, toy_bundle, toy_weights

QUICK = RenderRecipe(size_px=32, steps=2, redirect_steps=2, input_sides=1)
SPEC = AttributionSpec(layers=LAYERS, negative="none", sprites="none")
PIXELS = images(2, IMAGE_SIZE)


def render(bundle: Bundle) -> None:
    """Render all channels of a layer with redirected gradients."""
    subjects, members = Channels(layer="third"), [Member(channel, 0) for channel in range(6)]
    renderer = LayerRenderer(bundle, subjects.layers, TraceKey.of(QUICK, 6, Execution()))
    renderer.optimise(
        course_of("third", members, QUICK), subjects.targets(range(6)), focus_of(QUICK)
    )


def redirected(function: Callable[..., object], *arguments: object) -> list[str]:
    """Return the operations in a compiled function, and in the functions and loops in it, that have
    another gradient than their own.
    """
    concrete = function.get_concrete_function(*arguments)  # type: ignore[attr-defined]
    definition = concrete.graph.as_graph_def()
    nodes = [
        *definition.node,
        *(node for inner in definition.library.function for node in inner.node_def),
    ]
    assert {"Relu6", "Conv2D"} <= {node.op for node in nodes}  # it is the network
    return [node.name for node in nodes if "_gradient_op_type" in node.attr]


def shut_toy() -> Bundle:
    """Return a toy no ReLU of whose second layer ever opens: what is before it gets no gradient,
    unless it is redirected.
    """
    weights = toy_weights()
    weights["second/beta"] = np.full(CHANNELS["second"], -100, np.float32)
    return toy_bundle(weights)


def test_a_graph_with_the_renderers_gradients_is_told_from_one_without(toy: Bundle) -> None:
    def function(graph: tf.compat.v1.GraphDef) -> Callable[..., object]:
        return tf.function(lambda x: run_inside(graph, "input:0", x, ["third:0"]), autograph=False)

    assert (
        len(redirected(function(with_redirected_relus(parse_graph(toy))), tf.constant(PIXELS))) == 3
    )
    assert redirected(function(parse_graph(toy)), tf.constant(PIXELS)) == []


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gradient", "integrated"])
def test_no_gradient_is_redirected_even_after_sprites_have_been_rendered(
    toy: Bundle, method: Method
) -> None:
    render(toy)
    spec = SPEC.model_copy(update={"method": method, "steps": 2, "layers": ("first",)})
    network = network_of(toy, ["first"])
    assert not any("_gradient_op_type" in node.attr for node in network.graph.node)
    for function in (attribution_function, check_function, details_function):
        assert redirected(function(network, spec)) == []


@pytest.mark.parametrize("shut", [False, True])
def test_numbers_are_the_same_after_sprites_have_been_rendered(shut: bool) -> None:
    bundle = shut_toy() if shut else toy_bundle()
    before = attribution_function(network_of(bundle, LAYERS), SPEC)(PIXELS)
    render(bundle)
    after = attribution_function(network_of(bundle, LAYERS), SPEC)(PIXELS)
    for one, other in zip(before.layers, after.layers, strict=True):
        np.testing.assert_array_equal(one.channels, other.channels)
    assert np.all(before.layers[0].highest.numpy().max(axis=1) > 1)
    assert bool(np.any(before.layers[0].channels)) is not shut


def test_the_layer_of_the_logits_is_found(toy: Bundle) -> None:
    assert toy.card.check_logits().name == "logits"
    assert network_of(toy, ["second"]).classes == CHANNELS["logits"]
    assert network_of(toy, ["logits"]).tensors == (network_of(toy, ["first"]).logits,)
