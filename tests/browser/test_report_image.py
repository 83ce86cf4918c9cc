"""The page of an image in a report, in a real browser."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.conftest import Window
from tests.tasks.reporting.made_up_report import (
    CLASSES,
    GROUPS,
    HOSTILE,
    LAYERS,
    channels_at,
    class_of,
    colour_of,
    heat_value,
)

pytestmark = pytest.mark.slow

NewWindow = Callable[..., Window]
Spot = tuple[float, float]
HEADING = "document.querySelector('.position h2').textContent"


def middle(window: Window, selector: str) -> Spot:
    """Return the middle of an element, scrolled into view."""
    node = window.page.locator(selector).first
    node.scroll_into_view_if_needed()
    window.settle()
    box = node.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def spot(window: Window, layer: int, place: int) -> Spot:
    """Return where a position lies on the large image."""
    side = list(LAYERS.values())[layer][1]
    window.page.locator(".stage").scroll_into_view_if_needed()
    box = window.page.locator(".stage").bounding_box()
    row, column = divmod(place, side)
    return (
        box["x"] + (column + 0.5) * box["width"] / side,
        box["y"] + (row + 0.5) * box["height"] / side,
    )


def hover(window: Window, layer: int, place: int) -> None:
    window.page.mouse.move(*spot(window, layer, place))
    window.settle()


def channels_shown(window: Window) -> list[str]:
    return [text.split()[-1] for text in window.page.locator(".position-channel").all_inner_texts()]


def strings(channels: tuple[int, ...]) -> list[str]:
    return [str(channel) for channel in channels]


def open_image(window: Window, image: int, layer: int, state: str = "") -> Any:
    page = window.open(f"#/image/{image}/{quote(list(LAYERS)[layer], safe='')}{state}")
    page.wait_for_selector(".position-channels")
    show_other_images(page)
    page.evaluate("scrollTo(0, 0)")
    window.settle()
    return page


def show_other_images(page: Any) -> None:
    """Scroll to the end of the page, for which the list of all images is loaded."""
    page.evaluate("document.querySelector('.alike').scrollIntoView()")
    page.wait_for_selector(".alike .marker", state="detached")


def test_what_decides_at_this_place_in_the_picture(window: Window) -> None:
    page = open_image(window, 5, 1)
    for place in (14, 15, 33):
        hover(window, 1, place)
        assert page.locator(".position h2").inner_text() == (
            f"Row {place // 6 + 1}, column {place % 6 + 1}"
        )
        assert channels_shown(window) == strings(channels_at(1, 0, place))
        value = heat_value(1, 5, 0, place) / 127 * 0.5
        readout = page.locator(".readout").inner_text()
        assert f"{abs(value):.3f} logits {'opposes' if value < 0 else 'supports'}" in readout
        first = channels_at(1, 0, place)[0]
        sprite = middle(window, ".position-channels .position-sprite canvas")
        assert window.colour_at(*sprite) == colour_of(1, first)
    order = page.get_by_role("button", name="by activation")
    order.focus()
    page.keyboard.press("Enter")
    assert channels_shown(window) == strings(channels_at(1, 0, 33, activated=True))
    assert page.evaluate("document.activeElement.textContent") == "by activation"
    assert "activation of channel" in page.locator(".readout").inner_text()
    assert page.locator(".same-place a").first.get_attribute("href") == "#/image/39/block_0"


def test_a_click_or_a_key_pins_a_position_which_says_where_it_comes_from(window: Window) -> None:
    page = open_image(window, 5, 1)
    page.mouse.click(*spot(window, 1, 0))
    hover(window, 1, 20)
    assert channels_shown(window) == strings(channels_at(1, 0, 0))
    page.locator(".seen-from").scroll_into_view_if_needed()
    box = page.locator(".seen-from").bounding_box()
    near = window.colour_at(box["x"] + 12, box["y"] + 12)
    far = window.colour_at(box["x"] + 150, box["y"] + 12)
    assert sum(near) > 1.5 * sum(far)
    page.keyboard.press("Escape")
    hover(window, 1, 21)
    assert channels_shown(window) == strings(channels_at(1, 0, 21))
    cursor = page.locator(".cursor")
    cursor.focus()
    for _ in range(6):
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft")
    window.settle()
    assert str(cursor.get_attribute("aria-label")).startswith("Row 1, column 1: +")
    page.keyboard.press("ArrowRight")
    window.settle()
    assert channels_shown(window) == strings(channels_at(1, 0, 1))
    assert "Row 1, column 2" in page.locator(".stage [role=status]").inner_text()
    page.keyboard.press("Enter")
    assert cursor.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Copy link").click()
    assert page.url.endswith("#/image/5/block_0?at=1,2")


def test_send_me_exactly_this_view(window: Window) -> None:
    page = open_image(window, 5, 1)
    page.get_by_role("button", name=CLASSES[class_of(5)], exact=True).click()
    page.mouse.click(*spot(window, 1, 20))
    page.get_by_role("button", name="one scale").click()
    page.get_by_role("button", name="by activation").click()
    page.get_by_label("opacity of the map").fill("60")
    page.locator(".group-choice").nth(1).click()
    page.get_by_role("button", name="Copy link").click()
    page.mouse.move(2, 2)
    path, _, state = page.url.partition("?")
    assert path.endswith("#/image/5/block_0")
    assert set(state.split("&")) == {
        *("class=5", "mode=groups", "group=2", "at=4,3"),
        *("order=activation", "scale=all", "opacity=60"),
    }

    def seen() -> tuple[str, list[str], str]:
        page.wait_for_selector(".position-channels")
        show_other_images(page)
        window.settle()
        return (
            page.locator(".inspect").inner_text(),
            page.locator("[aria-pressed=true]").all_inner_texts(),
            page.locator(".stage").evaluate("node => node.outerHTML"),
        )

    sent = seen()
    assert len(sent[1]) == 6
    window.open(page.url.removeprefix(window.site))
    assert seen() == sent
    page.evaluate("history.replaceState(null, '', location.href.split('?')[0])")
    page.reload()
    page.wait_for_selector(".position-channels")
    assert page.locator(".stage .contours").count() == 0


def test_the_map_shows_signs_and_follows_the_class(window: Window) -> None:
    page = open_image(window, 5, 1)
    page.get_by_label("opacity of the map").fill("100")
    page.mouse.move(2, 2)
    left, right = spot(window, 1, 24), spot(window, 1, 29)
    assert heat_value(1, 5, 0, 24) > 60 and heat_value(1, 5, 0, 29) < -60

    def is_for(at: Spot) -> bool:
        red, _, blue = window.colour_at(*at)
        assert abs(red - blue) > 40
        return red > blue

    assert is_for(left) and not is_for(right)
    small = middle(window, ".layer-maps li:nth-child(2) canvas")
    edge = 0.35 * page.locator(".layer-maps canvas").nth(1).bounding_box()["width"]
    assert is_for((small[0] - edge, small[1])) and not is_for((small[0] + edge, small[1]))
    page.get_by_role("button", name=CLASSES[class_of(5)], exact=True).click()
    page.mouse.move(2, 2)
    window.settle()
    assert not is_for(left) and is_for(right) and not is_for((small[0] - edge, small[1]))
    hover(window, 1, 9)
    assert channels_shown(window) == strings(channels_at(1, 1, 9))
    page.get_by_role("button", name="Photo").click()
    assert page.get_by_label("opacity of the map").count() == 0


def test_another_layer_keeps_the_place_and_the_view(window: Window) -> None:
    page = open_image(window, 5, 1, "?mode=sprites&opacity=90")
    page.mouse.click(*spot(window, 1, 35))
    page.evaluate("document.querySelector('.stage').dataset.same = 'yes'")
    page.keyboard.press("]")
    window.until("decodeURIComponent(location.hash).includes('lairt?')")
    window.until(f"{HEADING}.startsWith('Row 4, column 4')")
    assert channels_shown(window) == strings(channels_at(2, 0, 15))
    page.locator(".layer-maps a").last.click()
    window.until(f"{HEADING}.startsWith('The whole image')")
    page.locator(".layer-maps a").first.click()
    window.until(f"{HEADING}.startsWith('Row 5, column 5')")
    assert page.evaluate("document.querySelector('.stage').dataset.same") == "yes"
    assert page.locator(".seen-from").count() == 0
    assert "mode=sprites" in page.url and "opacity=90" in page.url
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    window.until("document.querySelector('h1').textContent === 'cats/006.jpg'")
    assert "#/image/6/stem?mode=sprites" in page.url


def test_groups_are_contours_each_with_its_pattern(window: Window) -> None:
    page = open_image(window, 5, 1, "?mode=groups")
    lines = page.locator(".contours [data-group]")
    assert lines.count() == GROUPS
    dashes = lines.evaluate_all("all => all.map((line) => line.getAttribute('stroke-dasharray'))")
    colours = lines.evaluate_all("all => all.map((line) => line.getAttribute('stroke'))")
    assert len(set(dashes)) == len(set(colours)) == GROUPS
    page.locator(".group-choice", has_text="group 2").click()
    assert {line.get_attribute("data-group") for line in lines.all()} == {"1"}
    # The second group is active at the upper right.
    inside = """([x, y]) => [...document.querySelectorAll(".contours path[fill-opacity]")].some(
      (area) => area.isPointInFill(new DOMPoint(560 * x, 560 * y)))"""
    assert page.evaluate(inside, [11 / 12, 1 / 12]) and not page.evaluate(inside, [1 / 12, 11 / 12])
    assert page.locator(".group-choice[aria-pressed=true]").count() == 1
    page.locator(".layer-maps a").last.click()
    window.until(f"{HEADING} === 'The whole image'")
    assert page.get_by_role("button", name="Neuron groups").count() == 0


def test_the_semantic_map_shows_the_strongest_channels_sized_by_activation(
    window: Window,
) -> None:
    page = open_image(window, 5, 1)
    page.get_by_role("button", name="Semantic map").click()
    page.get_by_label("opacity of the map").fill("100")
    window.settle()
    page.mouse.click(*spot(window, 1, 12))
    page.mouse.move(2, 2)
    for place in (25, 30, 35):
        channel = channels_at(1, 0, place, activated=True)[0]
        assert window.colour_at(*spot(window, 1, place)) == colour_of(1, channel)
    # Position 2 has a twelfth of the highest activation, so its sprite is small.
    x, y = spot(window, 1, 2)
    cell = page.locator(".stage").bounding_box()["width"] / 6
    near, far = window.colour_at(x, y), window.colour_at(x + 0.35 * cell, y)
    assert near == colour_of(1, channels_at(1, 0, 2, activated=True)[0])
    assert max(far) - min(far) < 30  # the greyish photo behind
    # The channel of position 20 has no sprite; the photo stays visible there.
    assert channels_at(1, 0, 20, activated=True)[0] == 23
    seen = window.colour_at(*spot(window, 1, 20))
    assert max(seen) - min(seen) < 30
    assert "1 of 36 positions" in page.locator(".under-stage").inner_text()


def test_a_tap_selects_a_position(new_window: NewWindow) -> None:
    window = new_window(360, 740, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = open_image(window, 5, 1)
    page.touchscreen.tap(*spot(window, 1, 13))
    window.settle()
    assert channels_shown(window) == strings(channels_at(1, 0, 13))


def test_no_name_means_anything(window: Window) -> None:
    page = open_image(window, 3, 2)
    assert page.locator("h1").evaluate("node => node.textContent") == HOSTILE
    for part in (".predictions", ".question", ".layer-maps"):
        assert HOSTILE in page.locator(part).evaluate("node => node.textContent")
    hover(window, 2, 6)
    assert window.overflow_px() <= 0


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
    # On a busy machine, a frame in which nothing happens takes longer, too.
    assert moving < 3 * still
