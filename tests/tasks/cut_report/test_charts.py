"""Charts are valid SVG whatever the names are, and their points are where the numbers say."""

from xml.etree import ElementTree

import pytest

from diamond_cutter.tasks.cut_report.charts import cost_chart, depth_chart
from diamond_cutter.tasks.cut_report.contents import ComparedModelCard, CutName, CutRow
from tests.tasks.cut_report.made_up_comparison import HOSTILE, compared_models, rows_of

SVG = "{http://www.w3.org/2000/svg}"


def draw(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(chart)


MODELS: tuple[ComparedModelCard, ...] = compared_models()
ROWS: tuple[CutRow, ...] = rows_of(MODELS)
BEST = CutName(model=ROWS[1].model, layer=ROWS[1].layer)


@pytest.mark.parametrize("chart", [depth_chart, cost_chart])
def test_each_cut_is_a_point_with_its_numbers(chart) -> None:
    root = draw(chart(MODELS, ROWS, BEST))
    titles = [node.text or "" for node in root.iter(f"{SVG}title")]
    assert len(titles) == len(ROWS)
    for row in ROWS:
        assert any(f"{100 * row.probe:.1f} %" in title for title in titles)
    assert BEST.layer[:26] in [node.text for node in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("chart", [depth_chart, cost_chart])
def test_names_are_text_and_nothing_else(chart) -> None:
    text = chart(MODELS, ROWS, BEST)
    assert "<script" not in text and HOSTILE.split("<")[0] in text
    assert {node.tag.removeprefix(SVG) for node in draw(text).iter()} <= {
        "svg",
        "rect",
        "line",
        "text",
        "title",
        "circle",
        "polygon",
        "polyline",
    }


def test_higher_accuracies_are_drawn_higher() -> None:
    root = draw(depth_chart(MODELS[:1], ROWS[:3], BEST))
    heights = {
        node.find(f"{SVG}title").text.rpartition(":")[2].split()[0]: float(node.get("cy"))  # type: ignore
        for node in root.iter(f"{SVG}circle")
    }
    assert len(heights) == 3
    by_accuracy = sorted(ROWS[:3], key=lambda row: row.probe)
    drawn = [heights[f"{100 * row.probe:.1f}"] for row in by_accuracy]
    assert drawn == sorted(drawn, reverse=True)


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_equal_accuracies_can_be_drawn(accuracy: float) -> None:
    same = {"probe": accuracy, "probe_low": accuracy, "probe_high": accuracy}
    rows = [row.model_copy(update=same) for row in ROWS]
    for chart in (depth_chart, cost_chart):
        assert "nan" not in chart(MODELS, rows, BEST)


def test_the_legend_of_many_models_fits() -> None:
    many = [MODELS[0].model_copy(update={"name": f"network-{place}"}) for place in range(20)]
    root = draw(depth_chart(many, ROWS, BEST))
    height = float(root.get("viewBox", "").split()[3])
    assert max(float(node.get("y", 0)) for node in root.iter(f"{SVG}text")) < height


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_cut_and_a_single_cost_can_be_drawn(count: int) -> None:
    for chart in (depth_chart, cost_chart):
        root = draw(chart(MODELS[:1], ROWS[:count], BEST))
        numbers = [value for node in root.iter() for value in node.attrib.values()]
        assert not any("nan" in value or "inf" in value for value in numbers)
