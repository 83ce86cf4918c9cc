"""A report as people look at it, in a real browser, from files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from diamond_cutter.tasks.reporting.contents import (
    ReportContents,
    Values,
)
from tests.browser.conftest import Window, file_url
from tests.tasks.reporting.made_up_report import (
    CLASSES,
    FOLDER,
    HOSTILE,
    IMAGES,
    LAYERS,
    REFUSED,
    SHOWN,
    SHOWN_CHANNELS,
    channels_at,
    class_of,
    colour_of,
    heat_value,
    name_of,
    write_report,
)

pytestmark = pytest.mark.slow

NewWindow = Callable[..., Window]
Spot = tuple[float, float]
EVIL = quote(HOSTILE, safe="")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "bucket"


@pytest.fixture(scope="module")
def contents(folder: Path) -> ReportContents:
    return write_report(folder / FOLDER)


@pytest.fixture
def new_window(chromium: Any, folder: Path, contents: ReportContents) -> Iterator[NewWindow]:
    windows: list[Window] = []

    def open_window(width: int = 1280, height: int = 900, **options: Any) -> Window:
        windows.append(
            Window(chromium, file_url(folder, FOLDER + "index.html"), width, height, **options)
        )
        return windows[-1]

    yield open_window
    for window in windows:
        window.close()


@pytest.fixture
def window(new_window: NewWindow) -> Window:
    return new_window()


def loaded(window: Window, suffix: str = ".js") -> set[str]:
    """Return the names of the files that were asked for, but the page's own script."""
    names = {url.rpartition("/")[2] for url in window.requests}
    return {name for name in names if name.endswith(suffix) and not name.startswith("report.")}


def middle(window: Window, selector: str) -> Spot:
    """Return the middle of an element, scrolled into view."""
    node = window.page.locator(selector).first
    node.scroll_into_view_if_needed()
    window.settle()
    box = node.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def spot(window: Window, layer: int, place: int) -> Spot:
    """Return where a position lies on the image that is looked at."""
    side = list(LAYERS.values())[layer][1]
    box = window.page.locator(".stage").bounding_box()
    row, column = divmod(place, side)
    return box["x"] + (column + 0.5) * box["width"] / side, box["y"] + (row + 0.5) * box[
        "height"
    ] / side


def hover(window: Window, layer: int, place: int) -> None:
    window.page.mouse.move(*spot(window, layer, place))
    window.settle()


def channels_shown(window: Window) -> list[str]:
    return [text.split()[-1] for text in window.page.locator(".position-channel").all_inner_texts()]


def strings(channels: tuple[int, ...]) -> list[str]:
    return [str(channel) for channel in channels]


def open_image(window: Window, image: int, layer: int) -> Any:
    page = window.open(f"#/image/{image}/{quote(list(LAYERS)[layer], safe='')}")
    page.wait_for_selector(".position-sprites")
    window.settle()
    return page


def test_the_overview_says_what_ran_and_how_far_to_believe_it(window: Window) -> None:
    page = window.open()
    assert page.locator("h1").inner_text() == "pictures 0a1b2c3d seen by made-up 11111111"
    assert "each image’s top class over its runner-up" in page.locator(".lead").inner_text()
    ran = page.locator(".ran").inner_text()
    for words in (
        f"images\n{IMAGES}",
        "top-1 accuracy\n76 %",
        "top-5 accuracy\n96 %",
        f"skipped\n{REFUSED} images",
    ):
        assert words in ran
    assert page.locator(".warned").inner_text().startswith("Add it again: </script>")
    rows = page.locator("tbody tr").all_inner_texts()
    assert (
        len(rows) == len(LAYERS)
        and "30 %" in rows[0]
        and "5.00 ×" in rows[0]
        and rows[3].endswith("–")
    )
    refused = page.locator(".refused")
    assert refused.get_attribute("open") is None
    refused.locator("summary").click()
    assert refused.locator("li").count() == REFUSED and "ends too early" in refused.inner_text()
    assert page.get_by_role("link", name="report.json").get_attribute("href") == "report.json"
    assert (
        page.get_by_role("link", name="channels", exact=True).get_attribute("href")
        == "channels.parquet"
    )


@contextmanager
def headed(chromium: Any, tmp_path: Path, **changes: Any) -> Iterator[Window]:
    """Open a window on a report with changed contents."""
    write_report(tmp_path / FOLDER, **changes)
    window = Window(chromium, file_url(tmp_path, FOLDER + "index.html"), 1280, 900)
    yield window
    window.close()


def test_two_classes_by_one_score_have_a_threshold_and_wrong_images(
    chromium: Any, tmp_path: Path, contents: ReportContents
) -> None:
    spec = contents.spec.model_copy(update={"threshold": 0.8, "classes_by_label": True})
    with headed(chromium, tmp_path, head="two classes", spec=spec) as window:
        page = window.open()
        assert "top class over the other class" in page.locator(".lead").inner_text()
        ran = page.locator(".ran").inner_text()
        wrong = round(0.245 * IMAGES)
        for words in (f"threshold\n{CLASSES[1]} above 0.8", "accuracy\n76 %", f"wrong\n{wrong} "):
            assert words in ran
        assert "top-5" not in ran
        assert page.get_by_text("The model has no labels.").is_visible()
        page = open_image(window, 1, 0)
        assert f"threshold: {CLASSES[1]} above 0.8" in page.locator(".image-facts").inner_text()


def test_a_value_is_raised_and_lowered(chromium: Any, tmp_path: Path) -> None:
    values = Values(lowest=-2.5, mean=0.25, highest=31)
    with headed(chromium, tmp_path, head="values", values=values, accuracy=None) as window:
        page = window.open()
        assert page.locator(".lead").inner_text().startswith("What raises and lowers ")
        ran = page.locator(".ran").inner_text()
        assert "lowest value\n-2.50" in ran.replace("−", "-") and "highest value\n31.0" in ran
        assert "accuracy" not in ran
        page = window.open(f"#/layer/{quote(next(iter(LAYERS)), safe='')}")
        page.wait_for_selector(".sides")
        assert page.locator(".side h2").all_inner_texts() == ["Raises", "Lowers"]


def test_nothing_is_loaded_before_it_is_looked_at(new_window: NewWindow) -> None:
    window = new_window(1280, 300)
    page = window.open()
    window.settle()
    assert loaded(window) == set()
    assert "sprites.0.png" in loaded(window, ".png") and not loaded(window, ".png") & {
        "sprites.3.png",
        "00000.png",
    }
    page.locator(".layer").last.scroll_into_view_if_needed()
    window.until("[...document.querySelectorAll('.layer')].pop().querySelector('.drawn')")
    assert "sprites.3.png" in loaded(window, ".png")
    page.locator(".layer", has_text="block_0").click()
    page.wait_for_selector(".channel")
    assert loaded(window) == {"layer.1.js"}
    assert "patches.1.png" not in loaded(window, ".png")
    page.locator(".patches").first.scroll_into_view_if_needed()
    window.until("document.querySelector('.patches .drawn')")
    window.open("#/images/1")
    assert "images.js" in loaded(window) and not any(
        name.startswith("page.") for name in loaded(window)
    )
    open_image(window, 30, 1)
    assert {name for name in loaded(window) if name.startswith("page.")} == {"page.2.js"}


def test_the_flow_between_groups_is_drawn_by_sign(window: Window, contents: ReportContents) -> None:
    page = window.open()
    assert page.locator(".flow-node").count() == 3 * 4
    assert page.locator(".link.for").count() and page.locator(".link.against").count()
    page.locator(".flow-node").first.hover()
    dim, all_links = page.locator(".link.dim").count(), page.locator(".link").count()
    assert 0 < dim < all_links
    page.mouse.move(2, 2)
    assert page.locator(".link.dim").count() == 0


def test_a_layer_shows_its_strongest_channels_and_keeps_the_set_of_images(
    window: Window, contents: ReportContents
) -> None:
    page = window.open("#/layer/block_0/0")
    for side, channels in (("for", contents.layers[1].top), ("against", contents.layers[1].bottom)):
        cards = page.locator(f".side.{side} .channel")
        assert cards.count() == len(channels)
        assert [int(card.get_attribute("data-channel")) for card in cards.all()] == [
            one.channel for one in channels
        ]
    top = contents.layers[1].top[0].channel
    assert window.colour_at(*middle(window, ".side.for .channel .sprite canvas")) == colour_of(
        1, top
    )
    card = page.locator(".side.for .channel").first
    assert "derived" in card.inner_text() and "supports in 90 % of the images" in card.inner_text()
    assert card.locator("a.sprite").get_attribute("href") == (
        f"../../../../sprites/made-up%4011111111/fast%4053691d82/index.html#/layer/block_0/{top}"
    )
    page.get_by_label("set of images").select_option("3")
    window.until("location.hash === '#/layer/block_0/3'")
    assert "33 images, predicted as goldfish" in page.locator(".lead").inner_text()
    assert int(card.get_attribute("data-channel")) != top
    page.keyboard.press("Escape")
    page = window.open("#/layer/block_0/3")
    page.keyboard.press("ArrowLeft")
    window.until("location.hash === '#/layer/stem/3'")
    page.wait_for_selector("h1:has-text('stem')")
    page.locator(".rail a").last.click()
    window.until("location.hash === '#/layer/logits/3'")


def test_the_bars_of_all_channels_tell_theirs_and_open_it(
    window: Window, contents: ReportContents
) -> None:
    page = window.open("#/layer/block_0/0")
    plot = page.locator(".distribution")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 60)
    top, bottom = contents.layers[1].top[0].channel, contents.layers[1].bottom[0].channel
    assert f"channel {top}" in page.locator(".tip:visible").inner_text()
    red, _, blue = window.colour_at(box["x"] + 30, box["y"] + 55)
    assert red > blue
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + 60)
    assert page.evaluate("document.activeElement.dataset.channel") == str(bottom)
    plot.focus()
    page.keyboard.press("Home")
    for _ in range(SHOWN_CHANNELS + 1):
        page.keyboard.press("ArrowRight")
    words = plot.get_attribute("aria-valuetext")
    page.keyboard.press("Enter")
    assert page.locator(".chosen .channel h3").inner_text() == words.partition(",")[0]


def test_a_patch_leads_to_its_image(window: Window, contents: ReportContents) -> None:
    page = window.open("#/layer/stem/0")
    top = contents.layers[0].top[0].channel
    first = top * 6 % IMAGES
    patches = page.locator(".channel").first.locator(".patches li")
    links = page.locator(".patches a[href^='#/image/']")
    assert patches.count() == 6 and links.count()
    patches.first.hover()
    assert page.locator(".tip:visible").inner_text().split("\n") == [
        name_of(first),
        "activation",
        "9.50",
    ]
    patches.last.hover()
    assert "sample at the 50 % quantile" in page.locator(".tip:visible").inner_text()
    goal = links.first.get_attribute("href")
    links.first.click()
    page.wait_for_selector(".stage")
    assert page.url.endswith(goal) and page.locator(".tip:visible").count() == 0


def test_groups_have_sprites_channels_and_classes(window: Window) -> None:
    page = window.open("#/layer/block_0/0")
    groups = page.locator(".group")
    assert groups.count() == 4
    assert groups.first.locator(".members li").count() == 6 and groups.first.locator(
        ".by-class li"
    ).count() == len(CLASSES)
    values = [
        float(text.replace("−", "-"))
        for text in page.locator(".group .group-facts b").all_inner_texts()
    ]
    assert values == sorted(values, reverse=True)
    assert page.locator(".flow-node").count() == 12
    assert window.open("#/layer/logits/0").locator(".group").count() == 0


def test_hovering_a_position_shows_its_sprites(window: Window) -> None:
    page = open_image(window, 5, 1)
    for place in (14, 15, 33):
        hover(window, 1, place)
        assert (
            page.locator(".position h2").inner_text()
            == f"Row {place // 6 + 1}, column {place % 6 + 1}"
        )
        assert channels_shown(window) == strings(channels_at(1, 0, place))
        first = channels_at(1, 0, place)[0]
        assert window.colour_at(*middle(window, ".position-sprites canvas")) == colour_of(1, first)
    page.get_by_role("button", name="by activation").click()
    assert channels_shown(window) == strings(channels_at(1, 0, 33, activated=True))
    assert page.locator(".same-place a").first.get_attribute("href") == "#/image/39/block_0"
    hover(window, 1, 2)
    assert channels_shown(window) == strings(channels_at(1, 0, 2, activated=True))


def test_a_position_is_held_by_a_click_and_let_go_by_another(window: Window) -> None:
    page = open_image(window, 5, 1)
    page.mouse.click(*spot(window, 1, 8))
    hover(window, 1, 20)
    assert channels_shown(window) == strings(channels_at(1, 0, 8))
    page.keyboard.press("Escape")
    hover(window, 1, 21)
    assert channels_shown(window) == strings(channels_at(1, 0, 21))


def test_the_map_is_orange_for_and_blue_against_and_follows_the_class(window: Window) -> None:
    page = open_image(window, 5, 1)
    window.page.get_by_label("opacity of the map").fill("100")
    page.mouse.move(2, 2)
    left, right = spot(window, 1, 24), spot(window, 1, 29)
    assert heat_value(1, 5, 0, 24) > 60 and heat_value(1, 5, 0, 29) < -60

    def is_for(at: Spot) -> bool:
        red, _, blue = window.colour_at(*at)
        assert abs(red - blue) > 40
        return red > blue

    small = middle(window, ".rail li:nth-child(2) canvas")
    assert is_for(left) and not is_for(right) and is_for((small[0] - 28, small[1]))
    chosen = CLASSES[class_of(5)]
    page.get_by_role("button", name=chosen, exact=True).click()
    page.mouse.move(2, 2)
    assert not is_for(left) and is_for(right) and not is_for((small[0] - 28, small[1]))
    hover(window, 1, 9)
    assert channels_shown(window) == strings(channels_at(1, 1, 9))
    page.get_by_label("opacity of the map").fill("0")
    red, _, blue = window.colour_at(*left)
    assert abs(red - blue) < 40


def test_another_layer_is_shown_at_the_same_place_without_loading_the_image_again(
    window: Window,
) -> None:
    page = open_image(window, 5, 1)
    page.mouse.click(*spot(window, 1, 35))
    page.evaluate("document.querySelector('.stage').dataset.same = 'yes'")
    page.keyboard.press("]")
    window.until("decodeURIComponent(location.hash).endsWith('lairt')")
    window.until("document.querySelector('.position h2').textContent.startsWith('Row 4, column 4')")
    assert channels_shown(window) == strings(channels_at(2, 0, 15))
    page.locator(".rail a").last.click()
    window.until("document.querySelector('.position h2').textContent.startsWith('The whole image')")
    page.locator(".rail a").first.click()
    window.until("document.querySelector('.position h2').textContent.startsWith('Row 8, column 8')")
    assert page.evaluate("document.querySelector('.stage').dataset.same") == "yes"
    assert page.locator(".seen-from").count() == 0
    page.keyboard.press("ArrowRight")
    window.until("document.querySelector('h1').textContent === 'cats/006.jpg'")
    assert page.url.endswith("#/image/6/stem")


def test_a_position_says_where_it_comes_from(window: Window) -> None:
    page = open_image(window, 5, 1)
    page.mouse.click(*spot(window, 1, 0))
    window.settle()
    box = page.locator(".seen-from").bounding_box()
    near = window.colour_at(box["x"] + 12, box["y"] + 12)
    far = window.colour_at(box["x"] + 150, box["y"] + 12)
    assert sum(near) > 1.5 * sum(far)


def test_groups_lie_over_the_image_each_in_its_colour(window: Window) -> None:
    page = open_image(window, 5, 1)
    assert page.get_by_role("button", name="1 +1.25").count() == 1
    page.get_by_label("opacity of the map").fill("100")
    page.get_by_role("button", name="2 +0.500").click()
    page.mouse.move(2, 2)
    red, _, blue = window.colour_at(*spot(window, 1, 5))
    assert blue > 180 and red < 60
    page.get_by_role("button", name="all groups").click()
    page.mouse.move(2, 2)
    red, _, blue = window.colour_at(*spot(window, 1, 0))
    assert red > 200 and blue < 110
    page.locator(".rail a").last.click()
    window.until("document.querySelector('.position h2').textContent === 'The whole image'")
    assert page.get_by_role("button", name="all groups").count() == 0


def test_positions_are_reached_by_the_keyboard(window: Window) -> None:
    page = open_image(window, 5, 1)
    cursor = page.locator(".cursor")
    cursor.focus()
    for _ in range(6):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
    window.settle()
    assert str(cursor.get_attribute("aria-label")).startswith("Row 1, column 1: channels ")
    page.keyboard.press("ArrowRight")
    window.settle()
    assert channels_shown(window) == strings(channels_at(1, 0, 1))
    assert "Row 1, column 2" in page.locator(".stage [role=status]").inner_text()
    page.keyboard.press("Enter")
    assert cursor.get_attribute("aria-pressed") == "true"
    assert page.url.endswith("#/image/5/block_0")


def test_the_list_of_images_is_paged_filtered_and_searched(window: Window) -> None:
    page = window.open("#/images/1")
    cards = page.locator(".image-card")
    assert cards.count() == 48 and page.get_by_role("status").inner_text() == f"{SHOWN} images"
    assert "wrong" in cards.first.inner_text() and "right" in cards.nth(1).inner_text()
    page.get_by_label("next: page 2").click()
    window.until("document.querySelectorAll('.image-card').length === 12")
    page.keyboard.press("ArrowLeft")
    window.until("document.querySelectorAll('.image-card').length === 48")
    assert "wrong predictions\u2069 (15)" in page.get_by_label("set of images").inner_text()
    page.get_by_label("set of images").select_option("4")
    window.until("document.querySelectorAll('.image-card').length === 15")
    assert page.url.endswith("#/images/1/4")
    page.get_by_label("find an image").fill("04")
    assert page.locator(".image-name").all_inner_texts() == [
        name_of(number) for number in (4, 40, 44, 48) if "04" in name_of(number)
    ]
    cards.first.click()
    page.wait_for_selector(".stage")
    page.keyboard.press("Escape")
    page.wait_for_selector(".image-list")
    assert page.get_by_label("find an image").input_value() == "04"


def test_a_phone_shows_it_without_scrolling_sideways(new_window: NewWindow) -> None:
    window = new_window(360, 740, has_touch=True, is_mobile=True, device_scale_factor=2)
    tools = "input, select, button:not(.cursor), .turn, .layer, .choices button"
    layers = (f"#/layer/{EVIL}", "#/layer/block_0/2")
    for path in ("", *layers, "#/images/1", f"#/image/3/{EVIL}", "#/image/5"):
        page = window.open(path)
        window.settle()
        assert window.overflow_px() <= 0, path
        for tool in page.locator(tools).all():
            box = tool.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 360, path


def test_a_tap_looks_at_a_position(new_window: NewWindow) -> None:
    window = new_window(360, 740, has_touch=True, is_mobile=True)
    page = open_image(window, 5, 1)
    page.locator(".stage").scroll_into_view_if_needed()
    page.touchscreen.tap(*spot(window, 1, 13))
    window.settle()
    assert channels_shown(window) == strings(channels_at(1, 0, 13))


def test_no_name_means_anything(window: Window) -> None:
    page = window.open()
    names = page.locator(".layer-name").evaluate_all(
        "nodes => nodes.map((node) => node.textContent)"
    )
    assert names == list(LAYERS)
    assert window.overflow_px() <= 0
    page = window.open(f"#/layer/{EVIL}/2")
    assert page.locator("h1").evaluate("node => node.textContent") == HOSTILE
    assert window.overflow_px() <= 0
    page = open_image(window, 3, 2)
    assert page.locator("h1").evaluate("node => node.textContent") == HOSTILE
    assert HOSTILE in page.locator(".predictions").evaluate("node => node.textContent")
    assert HOSTILE in page.locator(".map-tools").evaluate("node => node.textContent")
    hover(window, 2, 6)
    assert window.overflow_px() <= 0
    page = window.open("#/images/1/2")
    assert HOSTILE in page.locator(".image-list").evaluate("node => node.textContent")
    assert window.overflow_px() <= 0


def test_what_is_not_there_is_said_to_be(window: Window) -> None:
    for path in (
        "#/layer/nothing",
        "#/image/1000",
        "#/image/x",
        "#/image/100",
        "#/else",
        "#/layer/%ff",
    ):
        page = window.open(path)
        window.until("document.querySelector('h1').textContent === 'Not found'")
        assert page.url.endswith(path)
        page.get_by_role("link", name="Back").click()
        window.until("document.querySelector('h1').textContent !== 'Not found'")


def test_numbers_that_cannot_be_loaded_are_said_to_be(window: Window, folder: Path) -> None:
    for name, path in (
        ("layer.1.js", "#/layer/block_0"),
        ("page.0.js", "#/image/5"),
        ("images.js", "#/images/1"),
    ):
        file = folder / FOLDER / name
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
    new_window: NewWindow, contents: ReportContents
) -> None:
    page = new_window(java_script_enabled=False).open()
    text = page.locator("body").inner_text()
    assert f"channel {contents.layers[0].top[0].channel} (" in text and "report.json" in text


def test_dark_where_the_system_is(new_window: NewWindow) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        window = new_window(color_scheme=scheme)
        window.open()
        shades[scheme] = sum(window.colour_at(1270, 880))
    assert shades["light"] > 600 and shades["dark"] < 150


def test_hovering_is_fluent(window: Window) -> None:
    page = open_image(window, 5, 0)
    box = page.locator(".stage").bounding_box()
    moving, still = page.evaluate(
        """async ([left, top, width]) => {
          const stage = document.querySelector(".stage");
          const frames = { moving: [], still: [] };
          for (let step = 0; step < 60; step += 1) {
            const at = (number, start) => start + (width * ((number % 8) + 0.5)) / 8;
            const options = { clientX: at(step, left), clientY: at(3 * step, top), bubbles: true };
            for (const [kind, times] of Object.entries(frames)) {
              const began = performance.now();
              if (kind === "moving") stage.dispatchEvent(new PointerEvent("pointermove", options));
              await new Promise(requestAnimationFrame);
              times.push(performance.now() - began);
            }
          }
          const median = (times) => times.sort((one, other) => one - other)[times.length / 2];
          return [median(frames.moving), median(frames.still)];
        }""",
        [box["x"], box["y"], box["width"]],
    )
    # On a busy machine a frame in which nothing happens takes longer, too.
    assert moving < 3 * still
