"""Measures how fast the pages of the largest report open and scroll in Chromium.

    uv run python benchmarks/large_report.py

The report is made up: 10,000 images, 12 layers of 2,048 channels. The pages are opened from files.
Columns: the time until the first content is drawn, until the page is complete and idle, and the
longest task that blocks it, in milliseconds; the processor time of the page's main thread until
then; the size of all loaded files, in MB; and, while the page scrolls to its end, the processor
time of a frame in the main thread, in milliseconds, and the share of frames above 50 ms. Processor
times hardly depend on other work of the machine; the other times do.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

from cyclopts import App
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.made_up_large_report import write_large_report

PAGES = {
    "overview": "",
    "layer": "#/layer/block_5",
    "image": "#/image/5/block_3",
    "list of images": "#/images/1/0",
}
OBSERVED = """
window.longest = 0;
const note = ({ duration }) => (window.longest = Math.max(window.longest, duration));
const observer = new PerformanceObserver((list) => list.getEntries().forEach(note));
observer.observe({ type: "longtask", buffered: true });
"""
SCROLLED = """
new Promise((resolve) => {
  const [frames, steps] = [[], 120];
  const most = Math.min(document.documentElement.scrollHeight - innerHeight, 12000);
  let before = performance.now(), step = 0;
  const next = (now) => {
    frames.push(now - before);
    before = now;
    step += 1;
    scrollTo(0, (most * step) / steps);
    if (step < steps) requestAnimationFrame(next); else resolve(frames.slice(1));
  };
  requestAnimationFrame(next);
})
"""
HEADS = "page             first ms  idle ms  longest task ms  main ms  loaded MB  frame ms  > 50 ms"
IDLE_MS, AT_MOST_S = 300, 60

app = App()


class Opened(NamedTuple):
    """What was measured of a page."""

    first_ms: float
    idle_ms: float
    longest_ms: float
    main_ms: float
    loaded_mb: float
    frame_ms: float
    janky: float


@app.default
def main(folder: Path | None = None, width: int = 1280) -> None:
    """Make the report, open its pages, and print what was measured.

    Args:
        folder: the folder of a report to open instead; it must have the addresses above.
        width: of the window, in pixels.
    """
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        if folder is None:
            folder = Path(made) / "report"
            begun = time.monotonic()
            write_large_report(folder)
            print(f"the report was written in {time.monotonic() - begun:.0f} s")
        path = shutil.which("chromium")
        print(HEADS)
        for name, address in PAGES.items():
            # A browser of its own for each page, so that no page finds decoded pictures.
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            )
            found = opened(browser, folder.as_uri() + "/index.html" + address, width)
            browser.close()
            print(
                f"{name:16} {found.first_ms:8.0f} {found.idle_ms:8.0f} {found.longest_ms:16.0f} "
                f"{found.main_ms:8.0f} {found.loaded_mb:10.1f} {found.frame_ms:9.1f} "
                f"{found.janky:8.0%}"
            )


def opened(browser: Any, url: str, width: int) -> Opened:
    """Open a page, wait until nothing is loaded or drawn any more, scroll to its end."""
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    page.add_init_script(OBSERVED)
    protocol = page.context.new_cdp_session(page)
    protocol.send("Performance.enable", {"timeDomain": "threadTicks"})
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.add(request.url))
    page.goto(url)
    idle = wait_until_idle(page)
    first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    longest = page.evaluate("window.longest")
    main_ms = main_thread_ms(protocol)
    bytes_loaded = sum(Path(unquote(urlparse(each).path)).stat().st_size for each in loaded)
    before = main_thread_ms(protocol)
    frames = page.evaluate(SCROLLED)
    frame_ms = (main_thread_ms(protocol) - before) / len(frames)
    janky = sum(frame > 50 for frame in frames) / len(frames)
    return Opened(first, idle, longest, main_ms, bytes_loaded / 1e6, frame_ms, janky)


def main_thread_ms(protocol: Any) -> float:
    """Return the processor time of the main thread since the page began, in milliseconds."""
    metrics = protocol.send("Performance.getMetrics")["metrics"]
    return 1000 * float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def wait_until_idle(page: Any) -> float:
    """Return when the page was complete, in milliseconds after its start."""
    deadline = time.monotonic() + AT_MOST_S
    since = 0.0
    while time.monotonic() < deadline:
        busy, now = page.evaluate(
            "[!document.querySelector('h1') || !!document.querySelector('[aria-busy=true]') || "
            "[...document.images].some((image) => !image.complete && image.loading !== 'lazy'), "
            "performance.now()]"
        )
        if busy:
            since = 0.0
        elif not since:
            since = now
        elif now - since > IDLE_MS:
            return since
        page.wait_for_timeout(20)
    raise TimeoutError("The page is still busy.")


if __name__ == "__main__":
    app()
