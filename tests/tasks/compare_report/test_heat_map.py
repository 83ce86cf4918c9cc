"""A heat map is valid SVG whatever the names are, and its cells say what the numbers are."""

from xml.etree import ElementTree

import pytest

from diamond_cutter.tasks.compare_report.heat_map import (
    MOST_LAYERS,
    drawn_layers,
    heat_map,
    shade,
)
from tests.tasks.compare_report.made_up_comparison import HOSTILE, LAYERS

SVG = "{http://www.w3.org/2000/svg}"
CKA = [[1.0, 0.5, None], [0.4, 0.9, -0.02]]


def drawn(first: int = 2, second: int = 3) -> ElementTree.Element:
    layers = (LAYERS[:first], LAYERS[:second])
    return ElementTree.fromstring(heat_map(("before", HOSTILE), layers, CKA))


def test_each_pair_of_layers_is_a_cell_with_its_value() -> None:
    root = drawn()
    titles = [node.text or "" for node in root.iter(f"{SVG}title")]
    assert len(titles) == 6
    assert "stem and head: unknown" in titles and "stem and stem: 1.000" in titles
    assert sum(title.endswith(": -0.020") for title in titles) == 1
    written = [node.text for node in root.iter(f"{SVG}text")]
    assert {"1.00", "0.50", "-0.02"} <= set(written)


def test_the_first_layers_are_at_the_bottom_left() -> None:
    cells = {
        str(group.find(f"{SVG}title").text): group.find(f"{SVG}rect")  # type: ignore[union-attr]
        for group in drawn().iter(f"{SVG}g")
    }
    place = {title: (float(cell.get("x")), float(cell.get("y"))) for title, cell in cells.items()}  # type: ignore
    lowest = place["stem and stem: 1.000"]
    assert lowest[0] == min(x for x, _ in place.values())
    assert lowest[1] == max(y for _, y in place.values())
    assert cells["stem and head: unknown"].get("fill") == shade(None)  # type: ignore[union-attr]


def test_the_titles_of_one_cell_do_not_overlap() -> None:
    root = ElementTree.fromstring(heat_map(("efficientnet-lite0", "after"), (["a"], ["a"]), [[1]]))
    texts = {node.text: node for node in root.iter(f"{SVG}text")}
    title, scale = texts["layers of efficientnet-lite0"], texts["similarity"]
    assert float(scale.get("x", 0)) > float(title.get("x", 0)) + 6 * len(title.text or "")


def test_names_are_text_and_nothing_else() -> None:
    text = heat_map(("before", HOSTILE), (LAYERS[:2], LAYERS), CKA)
    assert "<script" not in text
    tags = {node.tag.removeprefix(SVG) for node in ElementTree.fromstring(text).iter()}
    assert tags <= {"svg", "rect", "text", "title", "g"}


def test_of_very_many_layers_evenly_spaced_ones_are_drawn() -> None:
    names = tuple(f"a_layer_with_a_very_long_name_{place}" for place in range(200))
    root = ElementTree.fromstring(heat_map(("a", "b"), (names, names), [[0.5] * 200] * 200))
    assert len([*root.iter(f"{SVG}title")]) == MOST_LAYERS**2
    places = drawn_layers(200)
    assert len(places) == MOST_LAYERS and places[0] == 0 and places == sorted(set(places))
    width, height = map(float, root.get("viewBox", "").split()[2:])
    for node in root.iter(f"{SVG}rect"):
        if node.get("x"):
            assert float(node.get("x", 0)) + float(node.get("width", 0)) <= width
            assert float(node.get("y", 0)) + float(node.get("height", 0)) <= height


@pytest.mark.parametrize(("value", "same"), [(-0.5, 0.0), (1.2, 1.0)])
def test_values_outside_have_the_colours_of_the_ends(value: float, same: float) -> None:
    assert shade(value) == shade(same)


def test_higher_values_are_lighter() -> None:
    def light(value: float) -> float:
        red, green, blue = (int(shade(value)[place : place + 2], 16) for place in (1, 3, 5))
        return 0.3 * red + 0.59 * green + 0.11 * blue

    shades = [light(step / 20) for step in range(21)]
    assert shades == sorted(shades)
