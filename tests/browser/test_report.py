"""The first page of a report, its layers, its comparisons and its list, in a real browser."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from diamond_cutter.tasks.reporting.contents import ReportContents, Values
from diamond_cutter.tasks.reporting.pages import report_page
from tests.browser.conftest import Window
from tests.tasks.reporting.made_up_report import (
    CLASSES,
    FINDING,
    FLAGGED,
    FOLDER,
    HOSTILE,
    IMAGES,
    LAYERS,
    MISSING,
    REFUSED,
    SHOWN,
    SHOWN_CHANNELS,
    VERDICTS,
    colour_of,
    means_of,
    name_of,
)

pytestmark = pytest.mark.slow

NewWindow = Callable[..., Window]
EVIL = quote(HOSTILE, safe="")


def loaded(window: Window, suffix: str = ".js") -> set[str]:
    """Return the names of the requested files, without the page's own script."""
    names = {url.rpartition("/")[2] for url in window.requests}
    return {name for name in names if name.endswith(suffix) and not name.startswith("report.")}


def middle(window: Window, selector: str) -> tuple[float, float]:
    """Return the middle of an element, scrolled into view."""
    node = window.page.locator(selector).first
    node.scroll_into_view_if_needed()
    window.settle()
    box = node.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_first_page_begins_with_the_answer(window: Window) -> None:
    page = window.open()
    assert page.locator("h1").inner_text() == FINDING
    head = page.locator(".masthead").inner_text()
    assert "pictures seen by made-up" in head and "top-1 accuracy\n76 %" in head
    assert f"images\n{IMAGES}" in head and f"skipped\n{REFUSED} images" in head
    assert "each image’s top class over its runner-up" in head
    for hashed in ("0a1b2c3d", "11111111", "53691d82", "22222222"):
        assert hashed not in head and hashed in page.locator(".about-list").inner_text()
    about = page.locator(".about-report").inner_text()
    assert "diamond-cutter attribute made-up pictures" in about and "tensorflow 2.19" in about
    assert "@misc{pictures-made-up-22222222" in about and "year = {2026}" in about
    figures = page.locator(".annotated")
    assert "sprite not rendered" in figures.nth(1).inner_text()
    assert figures.nth(0).get_by_role("img", name="flags: saturated").count() == 1
    figures.first.locator("a").click()
    page.wait_for_selector(".stage")
    assert page.locator(".position h2").inner_text().startswith("Row 3, column 3")
    assert page.locator("h1").inner_text() == name_of(5)


def test_is_this_reliable(window: Window) -> None:
    page = window.open()
    page.get_by_role("link", name="Is this reliable?").click()
    window.until("location.hash === '#/?part=reliability'")
    page = window.open("#/?part=reliability")
    window.until("document.activeElement.textContent.startsWith('How reliable are')")
    rows = page.locator("#reliability tbody tr").all_inner_texts()
    for row, verdict, name in zip(rows, VERDICTS, LAYERS, strict=True):
        assert verdict in row and (name == HOSTILE or f"The reason of {name}." in row)
    assert "30 %" in rows[0] and "5.00 ×" in rows[0] and rows[3].endswith("–")
    assert "Use --method integrated." in rows[1] and "Use --method" not in rows[2]
    assert "1 of 80 sprites failed" in page.locator(".note").last.inner_text()
    page.locator("#reliability").get_by_role("link", name="block_0").click()
    page.wait_for_selector(".channel")
    assert page.locator(".layer-facts .verdict").inner_text().startswith("order only")


@contextmanager
def headed(chromium: Any, report_bucket: Path, contents: ReportContents) -> Iterator[Window]:
    """Open a window on a page beside the report's own, with other contents."""
    changed = report_bucket / FOLDER / "changed.html"
    changed.write_bytes(report_page(contents))
    window = Window(chromium, changed.as_uri(), 1280, 900)
    yield window
    window.close()


def test_two_classes_by_one_score_have_a_threshold_and_wrong_images(
    chromium: Any, report_bucket: Path, report_contents: ReportContents
) -> None:
    spec = report_contents.spec.model_copy(update={"threshold": 0.8, "classes_by_label": True})
    changed = report_contents.model_copy(update={"head": "two classes", "spec": spec})
    with headed(chromium, report_bucket, changed) as window:
        page = window.open()
        assert "top class over the other class" in page.locator(".lead").inner_text()
        ran = page.locator(".ran").inner_text()
        wrong = round(0.245 * IMAGES)
        for words in (f"threshold\n{CLASSES[1]} above 0.8", "accuracy\n76 %", f"wrong\n{wrong} "):
            assert words in ran
        assert "top-5" not in ran
        assert page.get_by_text("The model has no labels.").is_visible()
        window.go("#/image/1")
        page.wait_for_selector(".decision")
        assert f"threshold: {CLASSES[1]} above 0.8" in page.locator(".decision").inner_text()


def test_a_report_of_values_from_an_earlier_version(
    chromium: Any, report_bucket: Path, report_contents: ReportContents
) -> None:
    values = Values(lowest=-2.5, mean=0.25, highest=31)
    earlier = {"finding": "", "annotated": (), "failed_sprites": None, "versions": None}
    changed = report_contents.model_copy(
        update={"head": "values", "values": values, "accuracy": None, **earlier}
    )
    with headed(chromium, report_bucket, changed) as window:
        page = window.open()
        assert page.locator("h1").inner_text() == "pictures seen by made-up"
        assert page.locator(".lead").inner_text().startswith("What raises and lowers ")
        ran = page.locator(".ran").inner_text()
        assert "lowest value\n-2.50" in ran.replace("−", "-") and "highest value\n31.0" in ran
        assert "accuracy" not in ran and page.locator(".annotated").count() == 0
        window.go("#/layer/stem")
        page.wait_for_selector(".sides")
        assert page.locator(".side h2").all_inner_texts() == ["+ Raises", "− Lowers"]


def test_nothing_is_loaded_before_it_is_in_view(new_window: NewWindow) -> None:
    window = new_window(1280, 300)
    page = window.open()
    window.settle()
    assert loaded(window) <= {"page.0.js"}
    assert not loaded(window, ".png") & {"sprites.3.png", "00000.png"}
    page.locator(".layer-card").last.scroll_into_view_if_needed()
    window.until("[...document.querySelectorAll('.layer-card')].pop().querySelector('.drawn')")
    assert "sprites.3.png" in loaded(window, ".png")
    page.get_by_role("link", name="block_0", exact=True).first.click()
    page.wait_for_selector(".channel")
    # The first page shows the strongest channels of each set of images in one layer.
    assert "layer.1.js" in loaded(window) and not loaded(window) & {"layer.0.js", "layer.2.js"}
    assert "patches.1.png" not in loaded(window, ".png")
    page.locator(".patches").first.scroll_into_view_if_needed()
    window.until("document.querySelector('.patches .drawn')")
    window.open("#/images/1")
    window.until("document.querySelector('.image-card')")
    assert "images.js" in loaded(window) and "page.2.js" not in loaded(window)


def test_the_flow_between_groups_has_names_values_and_signs(window: Window) -> None:
    page = window.open()
    nodes, links = page.locator(".flow-node"), page.locator(".flow-picture .link")
    assert nodes.count() == 3 * 4
    assert page.locator(".flow-picture .link.for").count() and page.locator(".link.against").count()
    assert any(name in nodes.first.inner_text() for name in CLASSES)
    nodes.first.scroll_into_view_if_needed()
    window.settle()
    nodes.first.locator(".flow-sprite").hover()
    assert 0 < page.locator(".link.dim").count() < links.count()
    page.mouse.move(2, 2)
    assert page.locator(".link.dim").count() == 0
    dash = "getComputedStyle(document.querySelector('.flow-picture .link.against')).strokeDasharray"
    assert page.evaluate(dash) != "none"
    page.locator(".flow-picture .link").first.dispatch_event("pointerenter")
    assert "logits" in page.locator(".tip:visible").inner_text()
    nodes.first.locator(".flow-sprite").click()
    page.wait_for_selector(".group")
    assert page.evaluate("document.activeElement.className") == "group"


def test_a_layer_asks_one_question_at_a_time(
    window: Window, report_contents: ReportContents
) -> None:
    page = window.open("#/layer/block_0")
    page.wait_for_selector(".side")
    assert page.locator(".tab").all_inner_texts() == [
        "Classes",
        "Labels",
        "Right and wrong",
        "All images (mixes questions)",
    ]
    assert page.locator(".note").count() == 0
    assert "33 images, predicted as goldfish" in page.locator(".lead").inner_text()
    page.get_by_role("link", name="All images (mixes questions)").click()
    window.until("location.hash === '#/layer/block_0/0'")
    assert "This mean mixes questions" in page.locator(".note").inner_text()
    layer = report_contents.layers[1]
    for side, channels in (("for", layer.top), ("against", layer.bottom)):
        cards = page.locator(f".side.{side} .channel")
        assert [int(card.get_attribute("data-channel")) for card in cards.all()] == [
            one.channel for one in channels
        ]
    third = layer.top[2].channel
    canvas = f"[data-channel='{third}'] .channel-sprite canvas"
    assert window.colour_at(*middle(window, canvas)) == colour_of(1, third)
    card = page.locator(f"[data-channel='{third}']")
    text = card.inner_text()
    assert f"supports {CLASSES[third % 6]} derived" in text and "no class in particular" not in text
    for words in ("strongest", "at 90 %", "at 50 %", "logits", "of the images"):
        assert words in text
    page.keyboard.press("ArrowLeft")
    window.until("location.hash === '#/layer/stem/0'")
    page.locator(".rail a").last.click()
    window.until("location.hash === '#/layer/logits/0'")


def test_no_photo_stands_for_a_sprite_and_groups_have_channels_and_classes(window: Window) -> None:
    page = window.open("#/layer/block_0/0")
    missing = page.locator(f"[data-channel='{MISSING[1]}']").first
    frame = missing.locator(".channel-sprite .no-sprite")
    assert "example image, sprite not rendered" in frame.inner_text()
    assert f"--layers block_0 --channels {MISSING[1]}" in missing.inner_text()
    inset = frame.locator("canvas").bounding_box()
    assert inset["width"] < 0.6 * frame.bounding_box()["width"]
    flagged = page.locator(f"[data-channel='{FLAGGED[1]}']").first
    assert "saturated" in str(flagged.locator("button.sprite").get_attribute("aria-label"))
    flagged.locator("button.sprite").click()
    dialog = page.get_by_role("dialog")
    assert "saturated" in dialog.inner_text()
    assert dialog.get_by_role("link", name="Open in the gallery").get_attribute("href") == (
        "../../../../sprites/made-up%4011111111/fast%4053691d82/index.html"
        f"#/layer/block_0/{FLAGGED[1]}"
    )
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0 and page.url.endswith("#/layer/block_0/0")
    groups = page.locator(".group")
    assert groups.count() == 4 and groups.first.locator(".members li").count() == 6
    assert groups.first.locator(".by-class li").count() == len(CLASSES)
    texts = page.locator(".group .group-facts b").all_inner_texts()
    values = [float(text.replace("−", "-")) for text in texts]
    assert values == sorted(values, reverse=True)
    assert page.locator(".flow-node").count() == 12
    window.go("#/layer/logits/0")
    window.until("document.querySelector('h1').textContent === 'logits'")
    assert page.locator(".group").count() == 0


def test_the_bars_of_all_channels_have_axes_and_open_a_channel(
    window: Window, report_contents: ReportContents
) -> None:
    page = window.open("#/layer/block_0/0")
    plot = page.locator(".distribution")
    assert {"0", "logits"} <= set(plot.locator("text").all_text_contents())
    plot.focus()
    page.keyboard.press("End")
    bottom = report_contents.layers[1].bottom[0].channel
    assert f"channel {bottom}" in page.locator(".tip:visible").inner_text()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.channel") == str(bottom)
    plot.focus()
    page.keyboard.press("Home")
    for _ in range(SHOWN_CHANNELS + 1):
        page.keyboard.press("ArrowRight")
    words = plot.get_attribute("aria-valuetext")
    page.keyboard.press("Enter")
    assert page.locator(".chosen .channel h3").inner_text() == words.partition(",")[0]
    page = window.open(f"#/layer/block_0/0?channel={bottom}")
    window.until(f"document.activeElement.dataset.channel === '{bottom}'")


def test_a_patch_leads_to_its_image(window: Window, report_contents: ReportContents) -> None:
    page = window.open("#/layer/stem/0")
    first = report_contents.layers[0].top[0].channel * 6 % IMAGES
    patches = page.locator(".channel").first.locator(".patches li")
    links = page.locator(".patches a[href^='#/image/']")
    assert patches.count() == 6 and links.count()
    patches.first.hover()
    tip = page.locator(".tip:visible").inner_text()
    assert tip.split("\n") == [name_of(first), "activation", "9.50"]
    patches.last.hover()
    assert "sample at the 50 % quantile" in page.locator(".tip:visible").inner_text()
    goal = links.first.get_attribute("href")
    links.first.click()
    page.wait_for_selector(".stage")
    assert page.url.endswith(goal) and page.locator(".tip:visible").count() == 0


def test_what_separates_two_sets(window: Window) -> None:
    page = window.open()
    page.locator(".compare-chips").get_by_role("link", name="right predictions and wrong").click()
    page.wait_for_selector(".pair")
    page.get_by_label("first set").select_option("1")
    page.get_by_label("second set").select_option("2")
    page.keyboard.press("Escape")
    page = window.open("#/compare/block_0?a=1&b=2")
    page.wait_for_selector(".channel")
    one, other = means_of(1, 1, LAYERS["block_0"][0]), means_of(1, 2, LAYERS["block_0"][0])
    best = int((one - other).argmax())
    card = page.locator(".side").first.locator(".channel").first
    assert card.get_attribute("data-channel") == str(best)
    shown = [float(text.replace("−", "-")) for text in card.locator("b").all_inner_texts()]
    assert shown == pytest.approx([one[best], other[best]], rel=0.01)
    assert page.locator(".compared-images a").count() == 12
    assert "More for cats" in page.locator(".side h2").first.inner_text()
    page.get_by_role("button", name="Swap").click()
    window.until("location.hash.endsWith('a=2&b=1')")
    last = page.locator(".side").last.locator(".channel").first
    assert last.get_attribute("data-channel") == str(best)
    page.keyboard.press("]")
    window.until("decodeURIComponent(location.hash).includes('lairt?a=2&b=1')")


def test_the_list_of_images_is_paged_filtered_and_searched(window: Window) -> None:
    page = window.open("#/images/1")
    cards = page.locator(".image-card")
    assert cards.count() == 48 and page.get_by_role("status").inner_text() == f"{SHOWN} images"
    assert "✗ wrong" in cards.first.inner_text() and "✓ right" in cards.nth(1).inner_text()
    page.get_by_label("next: page 2").click()
    window.until("document.querySelectorAll('.image-card').length === 12")
    page.keyboard.press("ArrowLeft")
    window.until("document.querySelectorAll('.image-card').length === 48")
    page.get_by_role("link", name="Right and wrong").click()
    page.get_by_role("link", name="wrong predictions 15").click()
    window.until("document.querySelectorAll('.image-card').length === 15")
    assert page.url.endswith("#/images/1/4")
    page.get_by_label("find an image").fill("04")
    wanted = [name_of(number) for number in (4, 40, 44, 48) if "04" in name_of(number)]
    assert page.locator(".image-name").all_inner_texts() == wanted
    page.get_by_label("order of images").select_option("predicted")
    assert page.url.endswith("#/images/1/4?q=04&sort=predicted")
    cards.first.click()
    page.wait_for_selector(".stage")
    page.keyboard.press("Escape")
    page.wait_for_selector(".image-list")
    assert page.get_by_label("find an image").input_value() == "04"


def test_a_phone_shows_it_without_scrolling_sideways(new_window: NewWindow) -> None:
    window = new_window(360, 740, has_touch=True, is_mobile=True, device_scale_factor=2)
    tools = "input, select, button:not(.cursor, .flow *), .turn, .layer-card, .tab, .chip"
    layers = (f"#/layer/{EVIL}", "#/layer/block_0/2", f"#/compare/{EVIL}?a=1&b=2")
    page = window.open()
    for path in ("#/", *layers, "#/images/1", f"#/image/3/{EVIL}", "#/image/5"):
        if path != "#/":
            window.go(path)
        window.settle()
        assert window.overflow_px() <= 0, path
        edges = page.locator(tools).evaluate_all(
            "nodes => nodes.map((node) => node.getBoundingClientRect())"
            ".filter((box) => box.width).flatMap((box) => [box.left, box.right])"
        )
        assert min(edges) >= 0 and max(edges) <= 360, path


def test_paper_holds_all_of_a_page_and_no_controls(new_window: NewWindow) -> None:
    window = new_window(702, 900)  # the width of A4 within its margins
    window.page.emulate_media(media="print")
    for path in ("", "#/layer/block_0/3", "#/compare/block_0?a=1&b=3", "#/image/5/block_0"):
        page = window.open(path)
        window.settle()
        page.evaluate("void window.dispatchEvent(new Event('beforeprint'))")
        window.until("!document.querySelector('canvas[data-waiting], [aria-busy=true]')")
        # An attribution flow that is too wide is printed smaller.
        assert window.overflow_px() <= 0, path
        shown = page.locator("button.copy-link, .share, .rail, .pair, .map-tools, .on-screen")
        assert not any(one.is_visible() for one in shown.all()), path


def test_no_name_means_anything(window: Window) -> None:
    page = window.open()
    names = page.locator(".layer-head h3").evaluate_all("all => all.map((one) => one.textContent)")
    assert names == list(LAYERS)
    assert window.overflow_px() <= 0
    for path, selector in (
        (f"#/layer/{EVIL}/2", "h1"),
        (f"#/compare/{EVIL}?a=1&b=2", ".side:last-child h2"),
        ("#/images/1/2", ".image-list"),
    ):
        window.go(path)
        window.until(
            f"document.querySelector('{selector}')?.textContent.includes({json.dumps(HOSTILE)})"
        )
        assert window.overflow_px() <= 0


def test_unknown_pages_are_named(window: Window) -> None:
    page = window.open("#/layer/nothing")
    for path in ("#/image/1000", "#/image/x", "#/else", "#/layer/%ff"):
        window.until("document.querySelector('h1').textContent === 'Not found'")
        page.get_by_role("link", name="Back").click()
        window.until("document.querySelector('h1').textContent !== 'Not found'")
        window.go(path)
        assert page.url.endswith(path)
    window.until("document.querySelector('h1').textContent === 'Not found'")


def test_numbers_that_cannot_be_loaded_are_named(window: Window, report_bucket: Path) -> None:
    for name, path in (
        ("layer.1.js", "#/layer/block_0"),
        ("page.0.js", "#/image/5"),
        ("images.js", "#/images/1"),
    ):
        file = report_bucket / FOLDER / name
        hidden = file.rename(file.with_suffix(".gone"))
        try:
            window.open(path).get_by_text("could not be loaded").wait_for()
        finally:
            hidden.rename(file)
    assert len(window.complaints) == 3 and all(
        "ERR_FILE_NOT_FOUND" in complaint for complaint in window.complaints
    )
    window.complaints.clear()


def test_without_javascript_there_are_numbers(
    new_window: NewWindow, report_contents: ReportContents
) -> None:
    text = new_window(java_script_enabled=False).open().locator("body").inner_text()
    assert f"channel {report_contents.layers[0].top[0].channel} (" in text
    assert "report.json" in text and FINDING in text


def test_dark_where_the_system_is(window: Window) -> None:
    page = window.open()
    shades = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        window.settle()
        shades[scheme] = sum(window.colour_at(1270, 880))
    assert shades["light"] > 600 and shades["dark"] < 150
