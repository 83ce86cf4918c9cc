"""A report on where to cut as people look at it, in a real browser, from files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.tasks.cut_report.contents import CutContents
from tests.browser.conftest import Window, file_url, windows_on
from tests.tasks.cut_report.made_up_comparison import HOSTILE, write_comparison

pytestmark = pytest.mark.slow

FOLDER = "reports/scans@1a2b3c4d/comparison/cut@1a2b3c4d/"
NewWindow = Callable[..., Window]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cut-report") / "bucket"


@pytest.fixture(scope="module")
def contents(bucket: Path) -> CutContents:
    return write_comparison(bucket / FOLDER)


@pytest.fixture
def new_window(chromium: Any, bucket: Path, contents: CutContents) -> Iterator[NewWindow]:
    yield from windows_on(chromium, file_url(bucket, FOLDER + "index.html"))


def test_the_answer_comes_first_names_are_text_and_tips_say_what_helps(
    new_window: NewWindow, contents: CutContents
) -> None:
    page = new_window().open()
    assert page.locator("h1").inner_text() == contents.answer.replace(" %", "\N{NO-BREAK SPACE}%")
    assert page.locator("h1 script, .lead script, li script").count() == 0
    assert page.locator(".thumbnails bdi").first.inner_text() == HOSTILE
    assert page.locator("code").first.inner_text() == contents.command
    assert page.locator(".belief .verdict").inner_text() == "clear lead"
    assert page.locator(".leading li").count() == 0  # both channels have flags or no sprite
    assert page.locator(".seen .no-sprite").count() == 2
    page.locator(".seen .no-sprite").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert contents.repeat in page.locator(".tip").inner_text()
    page.locator(".seen .flag-badge").first.hover()
    assert "grey: the picture did not change" in page.locator(".tip").inner_text()
    page.locator(".seen a.enlarges").first.press("Enter")
    page.get_by_role("dialog", name="channel 7 of block_2").get_by_text("8 × 8 px").wait_for()


def test_a_table_is_sorted_by_the_column_that_is_pressed(
    new_window: NewWindow, contents: CutContents
) -> None:
    window = new_window()
    page = window.open()
    table = page.locator("table.wide")

    def column(place: int) -> list[float]:
        cells = table.locator(f"tbody tr > :nth-child({place})")
        return list(map(float, cells.evaluate_all("all => all.map((one) => one.dataset.value)")))

    assert column(3) == [row.probe for row in contents.rows]
    table.locator("th button", has_text="probe").click()
    assert column(3) == sorted(column(3), reverse=True)
    assert table.locator("th").nth(2).get_attribute("aria-sort") == "descending"
    window.until("location.hash === '#/?all+cuts=probe,descending'")
    rows = table.locator("tbody tr").all_inner_texts()
    window.open("#/?all+cuts=probe,descending")
    assert table.locator("tbody tr").all_inner_texts() == rows
    table.locator("th button", has_text="probe").click()
    assert column(3) == sorted(column(3))
    table.locator("th button", has_text="model").press("Enter")
    assert table.locator("th").nth(2).get_attribute("aria-sort") is None
    names = table.locator("tbody tr > :nth-child(1)").all_inner_texts()
    assert names == sorted(names, reverse=True)


def test_charts_are_drawn_and_are_files_with_their_data(
    new_window: NewWindow, contents: CutContents, bucket: Path
) -> None:
    page = new_window().open()
    assert page.locator("svg.chart").count() == 2
    for chart in page.locator("svg.chart").all():
        assert chart.locator("title").count() == len(contents.rows)
        assert chart.bounding_box()["height"] > 200
    for link in page.get_by_role("link", name="SVG").all():
        file = bucket / FOLDER / str(link.get_attribute("href"))
        assert link.get_attribute("download") and file.read_text().startswith("<svg xmlns")
    page.get_by_text("Share accuracy over depth").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Data as CSV").locator("visible=true").click()
    head, first, *_ = Path(download.value.path()).read_text("utf-8").splitlines()
    assert head.startswith("model,layer,probe,") and f",{contents.rows[0].probe}," in first


def test_nothing_is_wider_than_the_screen(new_window: NewWindow) -> None:
    window = new_window(390)
    page = window.open()
    for width, scheme in ((390, "light"), (800, "dark"), (1400, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        window.settle()
        assert window.overflow_px() == 0, (width, scheme)


def test_without_scripts_everything_is_there_but_sorting(new_window: NewWindow) -> None:
    page = new_window(java_script_enabled=False).open()
    assert page.locator("svg.chart").count() == 2
    assert page.locator("table.wide tbody tr").count() == 9
