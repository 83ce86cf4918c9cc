"""The parts that all pages share, in a real browser, from files and from a server."""

import contextlib
import functools
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.browser.conftest import Window
from tests.browser.sample import write_sample

pytestmark = pytest.mark.slow


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback interface, and yield its URL."""
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts") / "sample"
    write_sample(folder)
    return folder


@pytest.fixture
def window(chromium: Any, folder: Path) -> Iterator[Window]:
    window = Window(chromium, (folder / "index.html").as_uri(), 900, 900)
    yield window
    window.close()


@pytest.fixture
def served_window(chromium: Any, folder: Path) -> Iterator[Window]:
    with served(folder) as url:
        window = Window(chromium, url + "index.html", 900, 900)
        yield window
        window.close()


def saved(window: Window, menu: str, entry: str) -> tuple[str, bytes]:
    """Return the name and content of a file that an entry of a menu saves."""
    page = window.page
    page.get_by_text(f"Share {menu}").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=entry).locator("visible=true").click()
    page.mouse.click(1, 1)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_the_address_holds_the_state_and_the_page_follows_it(window: Window) -> None:
    page = window.open("#/?class=3&name=a%2Cb%20c")
    assert page.locator("#words").inner_text() == '[["class","3"],["name","a,b c"]]'
    page.locator("#sort").click()
    window.until("location.hash === '#/?class=3&name=a,b+c&sort=mean&at=8,6'")
    assert page.locator("#words").inner_text().startswith('[["class"'), "the page was shown again"
    page.get_by_role("link", name="group 2").click()
    window.until("document.querySelector('#words').textContent === '[[\"group\",\"2\"]]'")
    page.go_back()
    window.until("document.querySelector('#words').textContent.includes('8,6')")


def test_a_figure_is_saved_as_png_svg_and_csv(window: Window) -> None:
    window.open()
    name, png = saved(window, "Plot of parts", "Save as PNG")
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    assert name == "Plot-of-parts.png" and picture.width == 2 * 240
    colours = {colour for _, colour in picture.getcolors(1 << 20)}
    assert {(255, 0, 0), (0, 255, 0)} <= colours
    name, svg = saved(window, "Plot of parts", "Save as SVG")
    drawing = ElementTree.fromstring(svg)
    texts = [node.text for node in drawing.iter() if node.tag.endswith("}text")]
    assert texts == ["A figure <of> two parts", "six"] and b"data:image/png;base64," in svg
    name, csv = saved(window, "Plot of parts", "Data as CSV")
    assert csv == b'name,value\r\n\'=1+1,-2\r\n"say ""a, b""",\r\n'


def test_pictures_from_files_are_saved_by_hand(window: Window) -> None:
    page = window.open()
    page.get_by_text("Share photo").click()
    page.get_by_role("button", name="Save as PNG").locator("visible=true").click()
    dialog = page.get_by_role("dialog")
    assert "Save image as" in dialog.inner_text()
    assert dialog.locator("canvas").bounding_box()["width"] > 100


def test_pictures_from_a_server_are_saved_at_once(served_window: Window) -> None:
    served_window.open()
    name, png = saved(served_window, "photo", "Save as PNG")
    assert name == "photo.png" and Image.open(io.BytesIO(png)).getpixel((5, 5))[:3] == (0, 128, 128)


def test_a_picture_opens_alone_and_the_focus_returns(window: Window) -> None:
    page = window.open()
    page.locator("#enlarge").press("Enter")
    dialog = page.get_by_role("dialog", name="channel 3")
    dialog.get_by_text("300 × 150 px").wait_for()
    assert "A sprite." in dialog.inner_text()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download PNG").click()
    assert download.value.suggested_filename == "channel-3.png"
    page.keyboard.press("Escape")
    window.until("!document.querySelector('dialog') && document.activeElement.id === 'enlarge'")
    assert "Escape" not in page.locator("#words").inner_text()


def test_terms_flags_and_missing_sprites_explain_themselves(window: Window) -> None:
    page = window.open()
    # A cell of a large sheet is in one of its files.
    assert page.locator("#part").inner_text() == '[{"file":"b.webp","columns":2,"cell_px":8},1]'
    tip = page.locator(".tip")
    page.locator(".term").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert "before the softmax" in tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden() and "Escape" not in page.locator("#words").inner_text()
    frames = page.locator(".no-sprite")
    assert frames.nth(0).inner_text() == "sprite not rendered"
    assert frames.nth(1).inner_text() == "example image, sprite not rendered"
    frames.nth(1).hover()
    command = """diamond-cutter sprites 'cat'"'"'s net' --layers head --channels 3"""
    assert command in tip.inner_text() and page.locator(".command code").inner_text() == command
    assert page.get_by_role("img", name="flags: grey, not finite").count() == 1
    chips = [each.inner_text().partition("\n")[0] for each in page.locator(".verdict").all()]
    assert chips == ["reliable", "order only", "not reliable"]


def test_what_is_out_of_view_is_drawn_before_printing(window: Window) -> None:
    page = window.open()
    assert page.locator("#far.drawn").count() == 0
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    window.until("document.querySelector('#far.drawn')")


def test_the_menu_of_a_page_from_a_file_says_how_to_save_pictures(
    window: Window, served_window: Window
) -> None:
    page = window.open()
    page.get_by_text("Share photo").click()
    window.settle()
    status = page.locator(".share[open] [role=status]")
    assert "diamond-cutter browse" in status.inner_text()
    page.get_by_role("button", name="Save as SVG").locator("visible=true").click()
    assert "diamond-cutter browse" in status.inner_text()
    page = served_window.open()
    page.get_by_text("Share photo").click()
    served_window.settle()
    assert page.locator(".share[open] [role=status]").inner_text() == ""
