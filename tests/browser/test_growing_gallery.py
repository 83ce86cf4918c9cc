"""A gallery that is open while a run is at work: from files, from a server of files, and from
`browse`.
"""

import functools
import http.server
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import (
    claim_key,
    gallery_data_key,
    set_folder,
    shard_record_key,
    spritemap_record_key,
)
from diamond_cutter.tasks.gallery.publishing import put_gallery
from tests.browser.conftest import Window, browsing, file_url
from tests.flows.made_up_set import RECIPE, made_up_card
from tests.tasks.gallery.made_up_gallery import (
    FAILURE,
    MODEL,
    colour_of,
    publish,
    put_failed_run,
    put_layer,
    scores,
)

pytestmark = pytest.mark.slow

SET = set_folder(MODEL, RECIPE.key)
# The time of the page is moved by more than a page waits until it looks again.
LATER_MS = 15_000
SHOW = """(state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


class Growing:
    """A bucket in which a run is at work."""

    def __init__(self, folder: Path) -> None:
        self.bucket = LocalBucket(folder)

    def put_shard(self, layer: str, channels: Sequence[int], **known: Any) -> None:
        """Render a shard, and publish the gallery."""
        put_layer(self.bucket, layer, [scores(channel, **known) for channel in channels])
        self.bucket.delete(spritemap_record_key(MODEL, RECIPE.key, layer, "all"))
        self.bucket.put(self._claim, b"{}", mode="overwrite")
        publish(self.bucket)
        put_gallery(self.bucket, made_up_card(), RECIPE.key, at_work=True)

    def finish(self, layer: str, channels: Sequence[int]) -> None:
        """Gather a layer, and end the run."""
        put_layer(self.bucket, layer, [scores(channel) for channel in channels])
        self.end()

    def end(self) -> None:
        self.bucket.delete(self._claim)
        publish(self.bucket)

    _claim = claim_key(shard_record_key(MODEL, RECIPE.key, "block_0", range(8)))


@pytest.fixture
def growing(tmp_path: Path) -> Growing:
    growing = Growing(tmp_path / "bucket")
    growing.put_shard("block_0", range(40, 72))
    return growing


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """Serve a folder as a public bucket does."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["file", "files of a server", "browse"])
def window(
    request: pytest.FixtureRequest, chromium: Any, growing: Growing, tmp_path: Path
) -> Iterator[Window]:
    """Return a window on the gallery of a bucket that grows."""
    folder = tmp_path / "bucket"
    if request.param == "file":
        yield from opened(chromium, file_url(folder, SET) + "/index.html")
        return
    with browsing(folder) if request.param == "browse" else file_server(folder) as url:
        yield from opened(chromium, f"{url}{SET}index.html")


@pytest.fixture
def from_file(chromium: Any, growing: Growing, tmp_path: Path) -> Iterator[Window]:
    """Return a window on the gallery of a folder that grows."""
    yield from opened(chromium, file_url(tmp_path / "bucket", SET) + "/index.html")


def opened(chromium: Any, url: str) -> Iterator[Window]:
    window = Window(chromium, url, 1000, 700)
    window.page.clock.install()
    yield window
    window.close()


def later(window: Window) -> None:
    """Let the time pass after which an open page looks for new sprites."""
    window.page.clock.run_for(LATER_MS)


def looks(window: Window) -> int:
    """Return how often the page has looked."""
    return sum("/index.js?at=" in url for url in window.requests)


def said(window: Window) -> str:
    return str(window.page.locator("p.unseen[role=status]").inner_text())


def test_an_open_layer_gets_new_sprites_and_stays_as_it_is(
    window: Window, growing: Growing
) -> None:
    page = window.open_layer("block_0?sort=objective&order=up&at=50")
    assert page.get_by_role("status").first.inner_text() == "in progress: 32 sprites"
    page.locator(".cursor").focus()
    page.evaluate("window.cursorBefore = document.querySelector('.cursor')")
    place = window.cursor_box()["y"]
    growing.put_shard("block_0", range(32))
    later(window)
    window.until("document.querySelector('.count').textContent === 'in progress: 64 sprites'")
    assert window.active() == "50"
    assert abs(window.cursor_box()["y"] - place) < 2
    assert page.evaluate("document.activeElement === window.cursorBefore")
    assert said(window) == "32 new sprites in block_0."
    assert page.get_by_label("sort by").input_value() == "objective"
    window.settle()
    assert window.active_colour() == colour_of(scores(50))
    assert window.sprites_shown()[:3] == ["0", "1", "2"]
    assert page.locator("option[value=all]").inner_text() == "all (64)"
    growing.finish("block_0", range(80))
    later(window)
    window.until("document.querySelector('.count').textContent === '80 sprites'")
    assert said(window) == "16 new sprites in block_0. The run is over."
    window.settle()
    for channel in (5, 79):
        page.get_by_label("find a channel").fill(str(channel))
        assert window.active_colour() == colour_of(scores(channel))
    seen = looks(window)
    later(window)
    later(window)
    assert looks(window) == seen == 2


def test_the_first_page_gets_new_layers_without_moving(from_file: Window, growing: Growing) -> None:
    window = from_file
    page = window.open()
    assert page.get_by_text("new sprites appear here by themselves").count() == 1
    card = page.locator(".layer", has_text="block_0")
    card.focus()
    page.evaluate("window.scrollTo(0, 300)")
    place = card.bounding_box()["y"]
    growing.put_shard("stem", range(8), flags=("grey",))
    later(window)
    window.until("document.querySelectorAll('.layer').length === 2")
    assert page.locator(".layer-name").all_inner_texts() == ["stem", "block_0"]
    assert abs(card.bounding_box()["y"] - place) < 1
    assert page.evaluate("document.activeElement.textContent.includes('block_0')")
    assert "40 sprites of 2 of its 2 layers" in page.locator(".lead").inner_text()
    assert "8 of 40 sprites failed" in page.locator(".masthead").inner_text()
    page.get_by_label("search all layers").fill("half a wo")
    growing.finish("block_0", range(80))
    growing.finish("stem", range(32))
    later(window)
    window.until("!document.querySelector('.at-work')")
    assert "all 32 channels rendered" in page.locator(".layer").first.inner_text()
    assert page.get_by_label("search all layers").input_value() == "half a wo"


def test_an_open_dialog_and_a_search_stay(from_file: Window, growing: Growing) -> None:
    window = from_file
    page = window.open("#/layer/block_0/40")
    window.settle()
    assert page.get_by_label("next: channel 41").count() == 1
    page.get_by_role("button", name="Enlarge").click()
    growing.put_shard("block_0", range(38, 40))
    later(window)
    page.get_by_label("previous: channel 39").wait_for(state="attached")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    page.goto(f"{window.site}#/search?words=block_0")
    page.wait_for_selector(".tiles a")
    page.locator(".tiles a").nth(2).focus()
    growing.put_shard("stem", range(4))
    growing.put_shard("block_0", range(4))
    later(window)
    window.until("document.querySelectorAll('.tiles a').length === 38")
    assert page.evaluate("document.activeElement.hash") == "#/layer/block_0/40"
    page.goto(f"{window.site}#/layer/stem/7")
    page.wait_for_selector(".no-sprite")
    growing.put_shard("stem", range(4, 8))
    later(window)
    page.wait_for_selector(".large")


def test_only_a_visible_page_looks_and_it_gives_up_after_failures(
    from_file: Window, growing: Growing
) -> None:
    window = from_file
    page = window.open()
    page.evaluate(SHOW, "hidden")
    for _ in range(3):
        later(window)
    assert looks(window) == 0
    page.evaluate(SHOW, "visible")
    window.until("document.querySelector('.at-work')")
    assert looks(window) == 1
    growing.bucket.delete(gallery_data_key(MODEL, RECIPE.key))
    for _ in range(6):
        later(window)
        page.wait_for_timeout(50)
    window.until("document.querySelector('.at-work button')")
    assert "no longer looks for new sprites" in page.locator(".at-work").inner_text()
    assert looks(window) == 6 and len(window.complaints) == 5
    window.complaints.clear()
    growing.finish("block_0", range(80))
    page.get_by_role("button", name="Look again").click()
    window.until("!document.querySelector('.at-work')")


def test_what_failed_is_told_with_the_command_that_tries_again(
    from_file: Window, growing: Growing
) -> None:
    window = from_file
    page = window.open_layer("block_0")
    put_failed_run(growing.bucket, "01234567")
    growing.end()
    later(window)
    page.locator("summary", has_text="8 sprites could not be rendered").click()
    notice = page.locator(".failure-notice").inner_text()
    command = "sprites made-up --layers block_0 --channels 0:40 --retry-failed --recipe fast"
    assert FAILURE in notice and f"diamond-cutter {command}" in notice
    assert page.get_by_role("status").first.inner_text() == "32 sprites"
    assert said(window) == "block_0: 8 sprites could not be rendered. The run is over."
    page.keyboard.press("Escape")
    page.wait_for_selector(".layer")
    assert "in progress" not in page.locator(".layer").inner_text()
    page.locator("summary", has_text="8 sprites could not be rendered").click()
    assert FAILURE in page.locator(".failed-work").inner_text()


def test_a_layer_of_which_nothing_could_be_rendered_is_told(
    from_file: Window, growing: Growing
) -> None:
    selection: dict[str, Any] = {"selection": {"stem": range(32)}, "failed": {"stem": range(32)}}
    put_failed_run(growing.bucket, "01234567", failures=("stem channels 0-31: no",), **selection)
    growing.end()
    page = from_file.open()
    page.locator("summary", has_text="32 sprites could not").click()
    assert "--layers stem --retry-failed" in page.locator(".failed-work").inner_text()
    page = from_file.open("#/layer/stem")
    assert "stem channels 0-31: no" in page.locator(".failed-work").inner_text()
