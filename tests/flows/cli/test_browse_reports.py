"""What is served of a bucket's reports: pages and scripts made here from what they say, and nothing
that somebody else has written.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.attach_keys import attached_key
from diamond_cutter.storage.sets.compare_keys import compare_folder
from diamond_cutter.storage.sets.cut_keys import comparison_folder
from diamond_cutter.storage.sets.records import FileRef
from diamond_cutter.storage.sets.report_keys import report_folder
from diamond_cutter.tasks.attaching.chart import history_chart
from diamond_cutter.tasks.attaching.checkpoints import AttachedRecord, Epoch
from diamond_cutter.tasks.compare_report.contents import CompareReportRecord
from diamond_cutter.tasks.compare_report.pages import compare_charts, compare_page
from diamond_cutter.tasks.cut_report.contents import CutReportRecord
from diamond_cutter.tasks.cut_report.pages import charts, cut_page
from tests.flows.cli.test_browse import EVIL, SET, Served
from tests.flows.made_up_set import RECIPE
from tests.storage.shard_records import VERSIONS
from tests.tasks.compare_report.made_up_comparison import made_up_contents as compared_contents
from tests.tasks.cut_report.made_up_comparison import made_up_contents
from tests.tasks.gallery.made_up_gallery import MODEL, publish, put_layer, scores
from tests.tasks.reporting.made_up_report import put_report


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    bucket = LocalBucket(tmp_path / "bucket")
    put_layer(bucket, "stem", [scores(channel) for channel in range(9)])
    publish(bucket)
    put_report(tmp_path / "bucket", MODEL, RECIPE.key)
    return bucket


@pytest.fixture
def served(bucket: LocalBucket) -> Iterator[Served]:
    served = Served(bucket)
    yield served
    served.close()


def report_of(served: Served) -> str:
    """Return the path of the report that the first page names."""
    (link,) = re.findall(rb'<a class="card-head" href="(/reports/[^"]+)"', served.ask("/")[2])
    return str(link.decode())


def test_the_first_page_leads_to_each_report(served: Served) -> None:
    path = report_of(served)
    status, headers, page = served.ask(path)
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (
        200,
        "text/html; charset=utf-8",
        "no-cache",
    )
    assert page == served.ask(f"{path}index.html")[2]
    status, headers, _ = served.ask(path.removesuffix("/"))
    assert (status, headers["Location"]) == (301, path)


def test_a_report_and_all_that_it_loads_is_served_as_it_was_written(
    served: Served, bucket: LocalBucket
) -> None:
    path = report_of(served)
    page = served.ask(path)[2].decode()
    own = re.findall(r'(?:src|href)="(report\.[^"]+)"', page)
    assert {name.rpartition(".")[2] for name in own} == {"js", "css", "svg", "json"}
    for name in (*own, "layer.0.js", "page.0.js", "images.js", "images/00003.png", "report.json"):
        status, headers, body = served.ask(path + name)
        assert (status, body) == (
            200,
            bucket.get(path.strip("/").replace("%40", "@") + "/" + name),
        ), name
        assert "script-src 'self'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "written",
    [EVIL, b"alert(1);", b'diamondCutter.take(...["page:0",{"images":[]}]);\nalert(1);\n', b""],
)
def test_no_script_is_served_that_says_more_than_numbers(
    served: Served, bucket: LocalBucket, written: bytes
) -> None:
    path = report_of(served)
    key = path.strip("/").replace("%40", "@") + "/"
    bucket.put(f"{key}page.0.js", written, mode="overwrite")
    bucket.put(f"{key}index.html", EVIL, mode="overwrite")
    status, headers, body = served.ask(f"{path}page.0.js")
    assert (
        status == 500
        and headers["Content-Type"].startswith("text/html")
        and b"alert(1)" not in body
    )
    assert EVIL not in served.ask(path)[2]
    (own,) = re.findall(r'src="(report\.[^"]+\.js)"', served.ask(path)[2].decode())
    bucket.put(key + own, EVIL, mode="overwrite")
    assert EVIL not in served.ask(path + own)[2]
    bucket.put(f"{key}evil.js", b"alert(1);")
    assert served.ask(f"{path}evil.js")[0] == 500
    bucket.put(f"{key}evil.svg", EVIL)
    assert served.ask(f"{path}evil.svg")[0] == 404


def test_a_report_that_cannot_be_read_is_said_to_be(served: Served, bucket: LocalBucket) -> None:
    path = report_of(served)
    bucket.put(path.strip("/").replace("%40", "@") + "/report.json", b"{}", mode="overwrite")
    assert served.ask(path)[0] == 500
    assert b"/reports/" not in served.ask("/")[2]


def test_the_gallery_names_the_report_of_its_sprites(served: Served, bucket: LocalBucket) -> None:
    assert b"pictures@0a1b2c3d" in served.ask(f"/{SET}")[2]
    publish(bucket)
    assert served.ask(f"/{SET}")[2] == bucket.get(f"{SET}index.html")


def test_a_report_on_where_to_cut_is_served_with_charts_drawn_from_its_numbers(
    served: Served, bucket: LocalBucket
) -> None:
    contents = made_up_contents()
    folder = comparison_folder(contents.dataset, contents.report)
    record = CutReportRecord(contents=contents, records=(), files=())
    bucket.put(f"{folder}report.json", record.to_bytes())
    for name in ("index.html", "depth.svg", "evil.svg"):
        bucket.put(folder + name, EVIL)
    assert b"where to cut" in served.ask("/")[2]
    path = "/" + folder.replace("@", "%40")
    assert served.ask(path)[2] == cut_page(contents)
    drawn = served.ask(f"{path}depth.svg")
    assert drawn[0] == 200 and drawn[2] == charts(contents)["depth.svg"]
    assert served.ask(f"{path}evil.svg")[0] == 404
    for name in re.findall(r'(?:src|href)="(report\.[^"]+)"', cut_page(contents).decode()):
        assert served.ask(path + name)[0] == 200, name


def test_a_comparison_of_two_models_is_served_with_a_heat_map_drawn_from_its_numbers(
    served: Served, bucket: LocalBucket
) -> None:
    contents = compared_contents()
    folder = compare_folder(
        contents.dataset, ("before@1a2b3c4d", "after@1a2b3c4d"), contents.report
    )
    record = CompareReportRecord(contents=contents, records=(), files=())
    bucket.put(f"{folder}report.json", record.to_bytes())
    for name in ("index.html", "similarity.svg", "evil.svg"):
        bucket.put(folder + name, EVIL)
    first = served.ask("/")[2].decode()
    assert contents.answer in html.unescape(first)
    assert all(f'href="/models/{name}%401a2b3c4d/"' in first for name in ("before", "after"))
    path = "/" + folder.replace("@", "%40").replace("+", "%2B")
    assert served.ask(path)[2] == compare_page(contents)
    drawn = served.ask(f"{path}similarity.svg")
    assert drawn[0] == 200 and drawn[2] == compare_charts(contents)["similarity.svg"]
    assert served.ask(f"{path}evil.svg")[0] == 404
    for name in re.findall(r'(?:src|href)="(report\.[^"]+)"', compare_page(contents).decode()):
        assert served.ask(path + name)[0] == 200, name


def test_a_training_of_new_layers_is_listed_with_a_chart_drawn_from_its_record(
    served: Served, bucket: LocalBucket
) -> None:
    folder = report_folder("scans@1a2b3c4d", MODEL, "attach@1a2b3c4d")
    epochs = tuple(
        Epoch(
            phase=0,
            epoch=number,
            rate=0.1,
            loss=1.0,
            accuracy=0.5,
            validation_loss=1.0,
            validation_accuracy=0.5,
        )
        for number in (1, 2)
    )
    record = AttachedRecord(
        model=MODEL,
        dataset="scans@1a2b3c4d",
        division="1a2b3c4d",
        classes=("a", "b"),
        batch=4,
        history=epochs,
        best=0,
        images=(8, 4, 4),
        test_images=(),
        test_accuracy=0.75,
        test_low=0.3,
        test_high=0.95,
        seconds=1.0,
        weights=FileRef(key=f"{folder}attached.0123456789abcdef.npz", size=1, crc32c=0),
        chart=FileRef(key=f"{folder}attached.0123456789abcdef.svg", size=1, crc32c=0),
        versions=VERSIONS,
    )
    bucket.put(attached_key(folder), record.to_bytes())
    bucket.put(record.chart.key, EVIL)
    page = served.ask("/")[2].decode()
    assert "75 % of the test images right" in page
    (chart,) = re.findall(r'href="(/reports/[^"]+attached[^"]+)"', page)
    status, headers, drawn = served.ask(chart)
    assert (status, headers["Content-Type"]) == (200, "image/svg+xml")
    assert drawn == history_chart(record.history, record.best).encode()
