"""Take screenshots of pages at 1400, 800 and 390 pixels, in light and dark.

    uv run python tools/page_screenshots.py screenshots/before bucket

opens a bucket with the site of `browse`, and saves a picture of each kind of page that the bucket
has: the first page, a set, its first layer and sprite, and each kind of report. Give the names of
pages to save only these, or other addresses as name=address:

    uv run python tools/page_screenshots.py after bucket cut image "layer=/sprites/.../#/layer/head"

Take pictures before and after a change, and look at each pair.
"""

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cyclopts import App
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from diamond_cutter.flows.cli.browse import listen, site_server
from diamond_cutter.storage import LocalBucket

WIDTHS, SCHEMES = (1400, 800, 390), ("light", "dark")
HEIGHT, MOST_HEIGHT, SETTLED_MS = 900, 3000, 600
KINDS = ("cut", "compare", "attribution")

app = App()


@app.default
def main(out: Path, bucket: Path, *pages: str) -> None:
    """Save the screenshots of the pages of a bucket.

    Args:
        out: folder of the screenshots.
        bucket: a local bucket.
        pages: names of pages, or name=address; if omitted, all known pages.
    """
    known = pages_of(bucket)
    chosen = {
        name: address or known[name]
        for name, _, address in (page.partition("=") for page in pages or known)
    }
    out.mkdir(parents=True, exist_ok=True)
    with serving(bucket) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme in SCHEMES:
            for width in WIDTHS:
                for name, address in chosen.items():
                    picture = screenshot(browser, site + address, width, scheme)
                    (out / f"{name}-{width}-{scheme}.png").write_bytes(picture)
        browser.close()
    print(f"{len(chosen) * len(WIDTHS) * len(SCHEMES)} screenshots in {out}")


def pages_of(bucket: Path) -> dict[str, str]:
    """Return the addresses of one page of each kind that the bucket has, by name."""
    found = {"browse": "/"}
    for page in sorted(bucket.glob("sprites/*/*/index.html"))[:1]:
        address = f"/{quote(page.relative_to(bucket).as_posix())}"
        found["gallery"] = address
        for layer in sorted(each.name for each in page.parent.iterdir() if each.is_dir()):
            if layer not in ("gallery", "runs") and not layer.startswith("mixes."):
                found["gallery-layer"] = f"{address}#/layer/{quote(layer, safe='')}"
                found["gallery-sprite"] = f"{found['gallery-layer']}/0"
                break
    for kind in KINDS:
        for record in sorted(bucket.glob(f"reports/*/*/{kind}@*/report.json"))[:1]:
            page = record.parent.relative_to(bucket) / "index.html"
            found |= report_pages(kind, f"/{quote(page.as_posix())}", record)
    return found


def report_pages(kind: str, address: str, record: Path) -> dict[str, str]:
    """Return the addresses of the pages of a report."""
    if kind != "attribution":
        return {kind: address}
    contents = json.loads(record.read_text("utf-8"))["contents"]
    layer = quote(contents["layers"][-1]["name"], safe="")
    image = contents["pages"][0]["images"][0]
    return {
        "report": address,
        "report-layer": f"{address}#/layer/{layer}",
        "report-compare": f"{address}#/compare/{layer}",
        "images": f"{address}#/images/1/0",
        "image": f"{address}#/image/{image}/{layer}",
    }


@contextmanager
def serving(bucket: Path) -> Iterator[str]:
    """Serve a bucket as `browse` does, and yield the address."""
    server, listener = site_server(LocalBucket(bucket)), listen(0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def screenshot(browser: Any, url: str, width: int, scheme: str) -> bytes:
    """Return a page as PNG, from its top to its end or the largest height."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("h1")
    height = min(MOST_HEIGHT, page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": max(HEIGHT, height)})
    page.wait_for_timeout(SETTLED_MS)
    page.wait_for_selector("[aria-busy=true]", state="detached")
    picture: bytes = page.screenshot()
    context.close()
    return picture


if __name__ == "__main__":
    app()
