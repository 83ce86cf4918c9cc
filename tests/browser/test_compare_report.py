"""A comparison of two models as people look at it, in a real browser, from files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.tasks.compare_report.contents import CompareContents
from tests.browser.conftest import Window, file_url, windows_on
from tests.tasks.compare_report.made_up_comparison import HOSTILE, write_comparison

pytestmark = pytest.mark.slow

FOLDER = "reports/scans@1a2b3c4d/before@1a2b3c4d+after@1a2b3c4d/compare@1a2b3c4d/"
NewWindow = Callable[..., Window]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare-report") / "bucket"


@pytest.fixture(scope="module")
def contents(bucket: Path) -> CompareContents:
    return write_comparison(bucket / FOLDER)


@pytest.fixture
def new_window(chromium: Any, bucket: Path, contents: CompareContents) -> Iterator[NewWindow]:
    yield from windows_on(chromium, file_url(bucket, FOLDER + "index.html"))


def test_the_answer_comes_first_and_names_are_text(
    new_window: NewWindow, contents: CompareContents
) -> None:
    page = new_window().open()
    assert page.locator("h1").inner_text() == contents.answer.replace(" %", "\N{NO-BREAK SPACE}%")
    assert page.locator("h1 script, .lead script, li script, td script").count() == 0
    assert page.locator(".thumbnails bdi").first.inner_text() == HOSTILE
    assert page.locator("code").first.inner_text() == contents.repeat


def test_the_heat_map_is_a_picture_a_file_and_a_table_and_tables_are_sorted(
    new_window: NewWindow, contents: CompareContents, bucket: Path
) -> None:
    page = new_window().open()
    assert page.locator("svg.chart title").count() == 9
    assert page.locator("svg.chart").bounding_box()["height"] > 150
    link = page.get_by_role("link", name="SVG")
    file = bucket / FOLDER / str(link.get_attribute("href"))
    assert link.get_attribute("download") and file.read_text().startswith("<svg xmlns")
    page.locator("summary", has_text="as a table").click()
    cells = page.locator("details table td").all_inner_texts()
    assert cells[:3] == ["1.00", "0.50", "–"] and len(cells) == 9
    table = page.locator("table.sortable").last
    table.locator("th button", has_text="similarity").click()
    similarities = table.locator("tbody tr > :nth-child(4)").all_inner_texts()
    assert similarities == ["1.00", "0.90", "–"]


def test_channels_stand_side_by_side_and_nothing_is_wider_than_the_screen(
    new_window: NewWindow,
) -> None:
    window = new_window(390)
    page = window.open()
    pair = page.locator(".channel-pairs > li").first
    first, second = (side.bounding_box() for side in pair.locator(".sides > div").all())
    assert first["y"] == second["y"] and first["x"] + first["width"] <= second["x"]
    assert pair.locator(".no-sprite").count() == 1
    assert page.locator(".contributors .no-sprite").count() == 1
    assert page.locator(".channel-pairs .flagged").first.inner_text() == "grey"
    for width, scheme in ((390, "light"), (800, "dark"), (1400, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        window.settle()
        assert window.overflow_px() == 0, (width, scheme)


def test_without_scripts_everything_is_there_but_sorting(new_window: NewWindow) -> None:
    page = new_window(java_script_enabled=False).open()
    assert page.locator("svg.chart").count() == 1
    assert page.locator("table.sortable").count() == 2
