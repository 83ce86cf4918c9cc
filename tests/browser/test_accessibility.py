"""Every kind of page, checked by axe-core in light and dark, on a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import set_folder
from tests.browser.conftest import Window, browsing
from tests.browser.sample import write_sample
from tests.flows.made_up_set import RECIPE, put_mixes
from tests.tasks.compare_report import made_up_comparison as made_up_compare
from tests.tasks.cut_report import made_up_comparison as made_up_cut
from tests.tasks.gallery.made_up_gallery import MODEL, publish, put_failed_run, put_layer, scores
from tests.tasks.reporting.made_up_report import HOSTILE, put_report

pytestmark = pytest.mark.slow

CUT = "reports/scans@1a2b3c4d/comparison/cut@1a2b3c4d/"
COMPARE = "reports/scans@1a2b3c4d/comparison/compare@1a2b3c4d/"
GALLERY = set_folder(MODEL, RECIPE.key)
REPORT = f"reports/pictures@0a1b2c3d/{MODEL}/attribution@22222222/"
EVIL = quote(HOSTILE, safe="")

# A page joins by its address below the bucket.
PAGES = {
    "browse": "",
    "gallery": f"{GALLERY}index.html",
    "gallery of a layer": f"{GALLERY}index.html#/layer/stem",
    "search": f"{GALLERY}index.html#/search?words=stem",
    "failed sprites": f"{GALLERY}index.html#/search?show=failed",
    "channel without a sprite": f"{GALLERY}index.html#/layer/stem/20",
    "model": f"models/{MODEL}/",
    "sprite": f"{GALLERY}index.html#/layer/stem/2",
    "report": f"{REPORT}index.html",
    "report of a layer": f"{REPORT}index.html#/layer/{EVIL}",
    "images": f"{REPORT}index.html#/images/1/1",
    "image": f"{REPORT}index.html#/image/12/block_0",
    "semantic map": f"{REPORT}index.html#/image/12/block_0?mode=sprites&at=2,3",
    "contours": f"{REPORT}index.html#/image/12/block_0?mode=groups&group=2",
    "report of two sets": f"{REPORT}index.html#/compare/block_0?a=1&b=2",
    "cut": f"{CUT}index.html",
    "compare": f"{COMPARE}index.html",
    "not found": f"{REPORT}index.html#/nothing",
}
FAILED = "stem channels 32-39: the disk is full"
# Without the styles that axe-core would read again, which the pages' policy forbids, and without a
# rule whose faults are never serious.
OPTIONS = {
    "resultTypes": ["violations"],
    "preload": False,
    "rules": {"region": {"enabled": False}},
}
# Menus stay closed, because they would cover what is to be checked.
UNFOLD = "document.querySelectorAll('details:not(.share)').forEach((part) => { part.open = true; })"
LOOKS = ((1400, "light"), (390, "dark"))


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accessibility") / "bucket"
    bucket = LocalBucket(folder)
    flagged = [scores(channel, flags=("grey",) if channel == 2 else ()) for channel in range(9)]
    put_layer(bucket, "stem", flagged)
    put_layer(bucket, put_mixes(bucket).name, [scores(0), scores(1)])
    assert put_report(folder, MODEL, RECIPE.key) == REPORT
    failed = {"stem": range(32, 40)}
    put_failed_run(
        bucket, "01234567", selection={"stem": range(40)}, failed=failed, failures=(FAILED,)
    )
    publish(bucket)
    made_up_cut.write_comparison(folder / CUT)
    made_up_compare.write_comparison(folder / COMPARE)
    write_sample(folder / "sample")
    return folder


@pytest.fixture(scope="module")
def browsed(bucket: Path) -> Iterator[str]:
    with browsing(bucket) as url:
        yield url


def faults(page: Any) -> list[str]:
    """Return what axe-core finds wrong: the rule, and where."""
    found = page.evaluate("options => axe.run(options)", OPTIONS)["violations"]
    return [
        f"{each['id']}: {node['target']} {node['html'][:160]} {node['failureSummary'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


@pytest.mark.parametrize("name", [*PAGES, "parts"])
def test_axe_finds_no_serious_fault(chromium: Any, bucket: Path, browsed: str, name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    site = browsed if name in ("browse", "model") else bucket.as_uri() + "/"
    window = Window(chromium, site, 1400, 900)
    page = window.open(PAGES.get(name, "sample/index.html"))
    window.settle()
    page.evaluate(UNFOLD)
    page.evaluate(axe.axe_script)
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        window.settle()
        assert faults(page) == [], (width, scheme)
    window.close()
