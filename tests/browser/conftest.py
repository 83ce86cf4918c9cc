"""A real browser, where there is one: Debian's Chromium, driven by Playwright."""

import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diamond_cutter.flows.cli.browse import listen, site_server
from diamond_cutter.storage import LocalBucket
from diamond_cutter.tasks.reporting.contents import ReportContents
from tests.tasks.reporting.made_up_report import FOLDER, write_report
from tests.waiting import AT_MOST_S

# Without a sandbox, which containers do not allow, and without anything that Chromium would do on
# its own.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Chromium:
    """A Chromium that keeps the pages of closed windows, because a new page takes a process."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._spare: dict[str, list[Any]] = {}

    def page(self, **options: Any) -> Any:
        """Return an empty page with these options of Playwright's `new_context`."""
        spare = self._spare.get(str(options))
        return spare.pop() if spare else self._browser.new_context(**options).new_page()

    def keep(self, page: Any, **options: Any) -> None:
        """Keep an empty page for the next window with the same options."""
        self._spare.setdefault(str(options), []).append(page)


# Not for the whole session: while it runs, no other test could start an event loop.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Chromium]:
    """Return a Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no Chromium to look at the gallery with (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path, args=list(ARGUMENTS), timeout=1000 * AT_MOST_S
        )
        yield Chromium(browser)
        browser.close()


@contextmanager
def browsing(folder: Path) -> Iterator[str]:
    """Serve a bucket in the block as `browse` does, and return the site's address."""
    server, listener = site_server(LocalBucket(folder)), listen(0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


class Window:
    """A window on a gallery; it keeps what the page asks for and what goes wrong in it."""

    def __init__(
        self, chromium: Chromium, site: str, width: int, height: int, **options: Any
    ) -> None:
        self.site = site
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._chromium, self._options = chromium, options
        self.page = chromium.page(**options)
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(
            media="screen", color_scheme="light", reduced_motion="no-preference"
        )
        self.page.set_default_timeout(1000 * AT_MOST_S)
        self._hears = {
            "request": lambda request: self.requests.append(request.url),
            "console": lambda message: self.complaints.append(f"{message.type}: {message.text}"),
            "pageerror": lambda error: self.complaints.append(f"error: {error}"),
            "dialog": self._refuse,
        }
        for event, hear in self._hears.items():
            self.page.on(event, hear)

    def _refuse(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open(self, path: str = "") -> Any:
        """Open a page of the gallery by what is behind the #, as by a link from elsewhere."""
        if self.page.url != "about:blank":  # a new # alone would not load the page again
            self.page.goto("about:blank")
        self.page.goto(self.site + path)
        self.page.wait_for_selector("h1")
        return self.page

    def go(self, path: str) -> Any:
        """Go to another page by what is behind the #, as by a link, and wait until it is shown."""
        self.page.evaluate(
            "path => { window.left = document.querySelector('h1'); location.hash = path; }", path
        )
        self.until("!left.isConnected && document.querySelector('h1')")
        return self.page

    def open_layer(self, name: str) -> Any:
        """Open a layer's page, and wait until its cells are drawn."""
        page = self.open(f"#/layer/{name}")
        page.wait_for_selector(".cursor")
        self.settle()
        return page

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.until("!document.querySelector('[aria-busy=true]')")
        self.page.evaluate(
            "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
        )

    def until(self, condition: str) -> None:
        """Wait until a condition holds; Playwright's own way of waiting is what the page's policy
        forbids scripts.
        """
        deadline = time.monotonic() + AT_MOST_S
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, condition
            self.page.wait_for_timeout(50)

    def colour_at(self, x: float, y: float) -> tuple[int, ...]:
        """Return the colour that can be seen there."""
        shot = self.page.screenshot(clip={"x": x - 1, "y": y - 1, "width": 3, "height": 3})
        with Image.open(io.BytesIO(shot)) as picture:
            colour = picture.convert("RGB").getpixel((1, 1))
        assert isinstance(colour, tuple)
        return colour

    def cursor_box(self) -> dict[str, float]:
        """Return where the active cell is, once the grid is drawn; it is redrawn before a frame."""
        self.settle()
        box = self.page.locator(".cursor").bounding_box()
        assert isinstance(box, dict)
        return box

    def active(self) -> str:
        """Return which sprite is active: what is behind the last slash of its link."""
        return str(self.page.locator(".cursor").get_attribute("href")).rpartition("/")[2]

    def active_colour(self) -> tuple[int, ...]:
        """Return the colour of the active cell."""
        self.page.mouse.move(0, 0)
        box = self.cursor_box()
        return self.colour_at(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def sprites_shown(self) -> list[str]:
        """Return the sprites of a small layer in the order in which they are shown."""
        self.page.locator(".cursor").focus()
        self.page.keyboard.press("Home")
        shown = [self.active()]
        while True:
            self.page.keyboard.press("ArrowRight")
            if self.active() == shown[-1]:
                return shown
            shown.append(self.active())

    def overflow_px(self) -> int:
        """Return by how much the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def close(self) -> None:
        """Close it; nothing has gone wrong, and nothing was asked for elsewhere."""
        self.page.goto("about:blank")
        self.page.mouse.move(0, 0)
        for event, hear in self._hears.items():
            self.page.remove_listener(event, hear)
        self._chromium.keep(self.page, **self._options)
        assert self.complaints == []
        # Its own folder, and the reports beside it in the bucket.
        folder = self.site.rpartition("/")[0] + "/"
        places = (folder, folder.partition("/sprites/")[0] + "/reports/", "about:blank")
        assert [url for url in self.requests if not url.startswith(places)] == []


def windows_on(chromium: Chromium, url: str) -> "Iterator[Callable[..., Window]]":
    """Yield what opens windows on a page, and close them."""
    windows: list[Window] = []

    def open_window(width: int = 1280, height: int = 900, **options: Any) -> Window:
        windows.append(Window(chromium, url, width, height, **options))
        return windows[-1]

    yield open_window
    for window in windows:
        window.close()


def file_url(bucket: Path, key: str) -> str:
    """Return the URL of a file of a local bucket."""
    return (bucket / key).as_uri()


@pytest.fixture(scope="session")
def report_bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bucket with a made-up report."""
    return tmp_path_factory.mktemp("report") / "bucket"


@pytest.fixture(scope="session")
def report_contents(report_bucket: Path) -> ReportContents:
    """Write the made-up report, and return its contents."""
    return write_report(report_bucket / FOLDER)


@pytest.fixture
def new_window(
    chromium: Chromium, report_bucket: Path, report_contents: ReportContents
) -> Iterator[Callable[..., Window]]:
    """Return what opens windows on the made-up report."""
    yield from windows_on(chromium, file_url(report_bucket, FOLDER + "index.html"))


@pytest.fixture
def window(new_window: Callable[..., Window]) -> Window:
    """Return a window on the made-up report."""
    return new_window()
