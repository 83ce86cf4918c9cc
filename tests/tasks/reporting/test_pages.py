"""A report's page holds what its contents say, and nothing in a name means anything in it."""

import re
from pathlib import Path

import pytest

from diamond_cutter.tasks.pages.frontend import asset_files, assets
from diamond_cutter.tasks.reporting.contents import ReportContents
from diamond_cutter.tasks.reporting.pages import REPORT, report_page
from tests.tasks.page_as_read import Page
from tests.tasks.reporting.made_up_report import (
    FOLDER,
    HOSTILE,
    LAYERS,
    SHOWN,
    name_of,
    write_report,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / FOLDER


@pytest.fixture(scope="module")
def contents(folder: Path) -> ReportContents:
    return write_report(folder)


def test_the_page_holds_the_contents_and_no_image(contents: ReportContents, folder: Path) -> None:
    page = (folder / "index.html").read_bytes()
    assert ReportContents.model_validate(Page(page).site) == contents
    assert not any(name_of(image).encode() in page for image in range(SHOWN) if image != 3)


def test_without_a_script_there_are_the_strongest_channels_as_numbers(
    contents: ReportContents,
) -> None:
    text = Page(report_page(contents)).text
    for layer in contents.layers:
        assert layer.name in text
        for one in (*layer.top, *layer.bottom):
            assert f"channel {one.channel} ({one.attribution:+.4g})" in text
    assert "report.json" in text


def test_all_that_is_named_lies_beside_it(contents: ReportContents, folder: Path) -> None:
    names = [
        contents.shown,
        *(page.file for page in contents.pages),
        *(layer.numbers for layer in contents.layers),
    ]
    names += [
        value
        for _, tag in Page(report_page(contents)).tags
        for name, value in tag.items()
        if name == "src" and value
    ]
    assert all((folder / name).is_file() for name in (*names, *asset_files(REPORT, "")))
    assert all(
        re.fullmatch(r"report\.[0-9a-f]{16}\.(js|css|svg)", key) for key in asset_files(REPORT, "")
    )


def test_no_name_means_anything_in_it(contents: ReportContents) -> None:
    hostile = contents.model_copy(update={"dataset": HOSTILE, "model": HOSTILE})
    page = Page(report_page(hostile))
    assert page.site["dataset"] == HOSTILE and HOSTILE in LAYERS
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert len(scripts) == 2 and all(
        "src" in attributes or attributes.get("id") == "site" for attributes in scripts
    )


def test_it_holds_no_inline_code_and_nothing_from_elsewhere(contents: ReportContents) -> None:
    for tag, attributes in Page(report_page(contents)).tags:
        assert tag != "style" and not any(
            name == "style" or name.startswith("on") for name in attributes
        )
        assert not any("://" in (attributes.get(name) or "") for name in ("src", "href"))
    for data in assets(REPORT).values():
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", data)
        assert b"eval(" not in data and b"innerHTML" not in data and b"@import" not in data
