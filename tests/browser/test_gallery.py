"""The gallery as people use it, in a real browser, from files and from `browse`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import set_folder, spritemap_record_key
from tests.browser.conftest import Window, browsing, file_url
from tests.flows.made_up_set import RECIPE, put_mixes
from tests.tasks.gallery.made_up_gallery import MODEL, colour_of, publish, put_layer, scores
from tests.tasks.reporting.made_up_report import put_report

pytestmark = pytest.mark.slow

MANY = 2048
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "a/b#c?d%2F&amp;",
    "new\nline",
    "\u202egnp.lairt",
    "__proto__",
    "..",
    "層 🦊",
]
STEM = [
    scores(0, specificity=2.0),
    scores(1, objective=30.0, specificity=1.5, photo_ratio=0.5),
    scores(2, flags=("grey",), rung="none"),
    scores(3, objective=None, flags=("dead", "not_finite"), rung="none"),
    scores(4, objective=12.5, specificity=-3.25),
    scores(5),
    scores(7, flags=("grey",)),
    scores(8, contrast=0.5),
]
NewWindow = Callable[..., Window]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bucket's folder: a small layer, a large one, variants, mixes, and layers of evil
    names.
    """
    folder = tmp_path_factory.mktemp("gallery") / "bucket"
    bucket = LocalBucket(folder)
    put_layer(bucket, "stem", STEM)
    put_layer(
        bucket,
        "block_0",
        [scores(channel, flags=("grey",) if channel % 9 == 5 else ()) for channel in range(MANY)],
    )
    put_layer(
        bucket,
        "variants",
        [scores(channel, variant=variant) for channel in (3, 9) for variant in (0, 1)],
    )
    put_layer(bucket, put_mixes(bucket).name, [scores(0), scores(1)])
    for name in HOSTILE:
        put_layer(bucket, name, [scores(channel) for channel in range(4)])
    put_report(folder, MODEL, RECIPE.key)
    publish(bucket)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    with browsing(folder) as url:
        yield f"{url}{set_folder(MODEL, RECIPE.key)}"


@pytest.fixture
def new_window(chromium: Any, folder: Path) -> Iterator[NewWindow]:
    windows: list[Window] = []
    site = file_url(folder, set_folder(MODEL, RECIPE.key) + "index.html")

    def open_window(
        width: int = 1200, height: int = 800, site: str = site, **options: Any
    ) -> Window:
        windows.append(Window(chromium, site, width, height, **options))
        return windows[-1]

    yield open_window
    for window in windows:
        window.close()


@pytest.fixture
def window(new_window: NewWindow) -> Window:
    return new_window()


def colour_of_large(window: Window) -> tuple[int, ...]:
    """Return the colour of the large sprite."""
    window.settle()
    box = window.page.locator(".large").bounding_box()
    return window.colour_at(box["x"] + 100, box["y"] + 100)


@pytest.fixture(params=["file", "browse"])
def either(request: pytest.FixtureRequest, new_window: NewWindow, served: str) -> Window:
    """Return a window on the gallery's files, or on what `browse` serves."""
    return new_window() if request.param == "file" else new_window(site=served)


def test_from_the_model_over_a_layer_to_a_unit_and_back(either: Window) -> None:
    page = either.open()
    assert page.locator("h1").inner_text() == "What made-up looks for"
    names = page.locator(".layer-name").all_inner_texts()
    assert names[:2] == ["stem", "block_0"] and len(names) == 4 + len(HOSTILE)
    assert "1 dead" in page.locator(".layer").first.inner_text()
    page.locator(".layer").first.click()
    page.wait_for_selector(".cursor")
    assert page.url == either.site + "#/layer/stem"
    either.settle()
    assert either.active_colour() == colour_of(STEM[0])
    box = either.cursor_box()
    page.mouse.click(box["x"] + 1.5 * box["width"] + 6, box["y"] + 20)
    page.wait_for_selector(".large")
    assert page.url == either.site + "#/layer/stem/1"
    assert page.locator("h1").inner_text() == "channel 1"
    assert colour_of_large(either) == colour_of(STEM[1])
    assert any(url.endswith(".webp") for url in either.requests)
    page.go_back()
    page.wait_for_selector(".cursor")
    assert either.active() == "1"
    page.keyboard.press("Escape")
    page.wait_for_selector(".layer")
    assert page.url == either.site + "#/"


def test_a_cell_is_drawn_from_its_place_and_hovering_shows_its_scores(window: Window) -> None:
    page = window.open_layer("stem")
    box = window.cursor_box()
    tip = page.locator(".tip")
    assert tip.is_hidden()
    page.mouse.move(box["x"] + 1.5 * box["width"] + 6, box["y"] + 20)
    assert tip.inner_text().split("\n") == [
        "channel 1",
        "objective",
        "30.0",
        "specificity",
        "1.50",
        "photo ratio",
        "0.500",
        "no flags",
    ]
    page.mouse.move(box["x"] + 3.5 * box["width"] + 18, box["y"] + 20)
    assert tip.inner_text().split("\n") == ["channel 3", "dead, not finite"]
    page.mouse.move(600, 700)
    assert tip.is_hidden()
    for sprite in STEM:
        page.get_by_label("find a channel").fill(str(sprite.channel))
        assert window.active_colour() == colour_of(sprite)
    page.get_by_label("find a channel").fill("6")
    assert page.get_by_role("status").inner_text() == "no match for 6"
    assert window.active() == "8"


def test_the_large_sprite_comes_from_the_shard_or_else_from_the_spritemap(
    window: Window, folder: Path
) -> None:
    page = window.open("#/layer/stem/4")
    assert colour_of_large(window) == colour_of(STEM[4])
    assert any(url.endswith(".webp") and "00000-00008" in url for url in window.requests)
    page.get_by_role("button", name="Enlarge").click()
    page.get_by_text("32 × 32 px").wait_for()
    page.keyboard.press("Escape")
    window.until("!document.querySelector('dialog')")
    assert page.url.endswith("#/layer/stem/4")
    (shard,) = [path for path in folder.rglob("stem/00000-00008.*.webp")]
    hidden = shard.rename(shard.with_suffix(".gone"))
    try:
        page.reload()
        assert colour_of_large(window) == colour_of(STEM[4])
    finally:
        hidden.rename(shard)
    assert len(window.complaints) == 1 and "ERR_FILE_NOT_FOUND" in window.complaints.pop()


def test_sorting_puts_what_has_no_score_last_and_filtering_keeps_the_view(window: Window) -> None:
    page = window.open_layer("stem")
    assert window.sprites_shown() == ["0", "1", "2", "3", "4", "5", "7", "8"]
    page.get_by_label("find a channel").fill("5")
    page.get_by_label("sort by").select_option("objective")
    assert window.active() == "1"
    assert window.sprites_shown() == ["1", "4", "8", "7", "5", "2", "0", "3"]
    page.get_by_label("switch to ascending").click()
    assert window.sprites_shown() == ["0", "2", "5", "7", "8", "4", "1", "3"]
    show = page.get_by_label("show", exact=True)
    show.select_option("grey")
    assert window.sprites_shown() == ["2", "7"]
    assert page.get_by_role("status").inner_text() == "2 of 8 sprites"
    assert show.locator("option[value=saturated]").is_disabled()
    page.get_by_label("sort by").select_option("specificity")
    show.select_option("sound")
    assert window.sprites_shown() == ["0", "1", "4", "5", "8"]
    page.get_by_label("sort by").select_option("contrast")
    show.select_option("flagged")
    assert window.sprites_shown() == ["2", "3", "7"]
    page.keyboard.press("Enter")
    page.wait_for_selector(".large")
    page.keyboard.press("Escape")
    page.wait_for_selector(".cursor")
    assert window.active() == "7"
    assert window.sprites_shown() == ["2", "3", "7"]


def test_everything_works_with_the_keyboard(window: Window) -> None:
    page = window.open_layer("block_0")
    page.keyboard.press("ArrowRight")
    assert window.active() == "1"
    assert page.locator(".tip").inner_text().startswith("channel 1\n")
    page.keyboard.press("ArrowDown")
    columns = int(window.active()) - 1
    assert columns > 1
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert window.active() == "0"
    page.keyboard.press("+")
    page.keyboard.press("ArrowDown")
    assert int(window.active()) < columns
    page.keyboard.press("End")
    assert window.active() == str(MANY - 1)
    assert window.active_colour() == colour_of(scores(MANY - 1))
    page.keyboard.press("/")
    page.keyboard.type("1234")
    assert window.active() == "1234"
    page.keyboard.press("Enter")
    page.wait_for_selector(".large")
    assert page.url.endswith("#/layer/block_0/1234")
    page.keyboard.press("ArrowRight")
    window.until("document.querySelector('h1').textContent === 'channel 1235'")
    page.keyboard.press("Escape")
    page.wait_for_selector(".cursor")
    assert window.active() == "1235"
    assert "channel 1235, objective 1235" in str(
        page.evaluate("document.activeElement.getAttribute('aria-label')")
    )
    page.keyboard.press("Escape")
    page.wait_for_selector(".layers")


def test_2048_channels_take_one_image_and_few_elements_in_any_size(window: Window) -> None:
    page = window.open_layer("block_0")
    page.get_by_label("find a channel").fill("1000")
    side = window.cursor_box()["width"]
    page.get_by_label("larger").click()
    larger = window.cursor_box()
    assert larger["width"] > side and 0 < larger["y"] < 800
    page.mouse.move(600, 400)
    page.keyboard.down("Control")
    page.mouse.wheel(0, 300)
    page.keyboard.up("Control")
    window.until(f"document.querySelector('.cursor').offsetWidth < {side}")
    assert page.evaluate("window.devicePixelRatio") == 1
    for _ in range(12):
        page.get_by_label("smaller").click()
    assert window.cursor_box()["width"] >= 20
    page.evaluate("document.querySelector('.grid').scrollTop = 1e6")
    window.settle()
    page.get_by_label("sort by").select_option("objective")
    page.get_by_label("show", exact=True).select_option("grey")
    for _ in range(12):
        page.get_by_label("larger").click()
    window.settle()
    assert page.evaluate("document.querySelectorAll('*').length") < 120
    assert len([url for url in window.requests if url.endswith((".png", ".webp"))]) == 1
    assert window.active_colour() == colour_of(scores(int(window.active())))


def test_a_phone_shows_it_without_scrolling_sideways_and_a_tap_opens_a_unit(
    new_window: NewWindow,
) -> None:
    window = new_window(360, 740, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = window.open()
    evil = "#/layer/" + quote("層 🦊", safe="")
    for path in ("#/", "#/layer/block_0", "#/layer/stem/3", evil, "#/layer/stem"):
        if path != "#/":
            window.go(path)
        window.settle()
        assert window.overflow_px() <= 0, path
        edges = page.locator("input, select, button, .turn, .layer").evaluate_all(
            "nodes => nodes.map((node) => node.getBoundingClientRect())"
            ".flatMap((box) => [box.left, box.right])"
        )
        assert min(edges) >= 0 and max(edges) <= 360, path
    box = window.cursor_box()
    page.touchscreen.tap(box["x"] + 2.5 * box["width"] + 12, box["y"] + 20)
    page.wait_for_selector(".large")
    assert page.url.endswith("#/layer/stem/2")
    flag = page.locator(".flags").inner_text()
    assert flag.startswith("grey: the picture did not change from its start")
    assert "diamond-cutter tune" in flag


def test_a_unit_says_what_is_known_of_it(window: Window) -> None:
    page = window.open("#/layer/stem/1")
    page.get_by_text("More measurements").click()
    facts = page.locator(".facts").inner_text()
    for words in (
        "objective\n30.0",
        "specificity\n1.50",
        "photo ratio\n0.500",
        "contrast\n0.250",
        "attempt\nfirst",
    ):
        assert words in facts
    page.locator("summary", has_text="Recipe").click()
    assert "size px\n32" in page.locator(".settings").inner_text()
    links = page.locator(".alike a")
    assert links.count() == 4 and "-" not in page.locator(".alike").inner_text()
    goal = links.first.get_attribute("href")
    links.first.click()
    window.until("document.querySelector('h1').textContent !== 'channel 1'")
    assert page.url.endswith(goal)
    page.get_by_label("previous:").or_(page.get_by_label("next:")).first.click()
    page.wait_for_selector(".large")


def test_what_is_not_there_is_said_to_be(window: Window) -> None:
    page = window.open("#/layer/nothing")
    for path in ("#/layer/stem/32", "#/layer/stem/1.1", "#/else", "#/layer/%ff", "#/layer/stem/x"):
        window.until("document.querySelector('h1').textContent === 'Not found'")
        page.get_by_role("link", name="Back").click()
        window.until("document.querySelector('h1').textContent !== 'Not found'")
        window.go(path)
        assert page.url.endswith(path)
    window.until("document.querySelector('h1').textContent === 'Not found'")


def test_no_name_means_anything(window: Window) -> None:
    page = window.open()
    shown = page.locator(".layer-name").evaluate_all(
        "nodes => nodes.map((node) => node.textContent)"
    )
    for name in HOSTILE:
        assert name in shown
        window.go(f"#/layer/{quote(name, safe='')}")
        page.wait_for_selector(".cursor")
        assert page.locator("h1").evaluate("node => node.textContent") == name
        page.locator(".cursor").press("End")
        page.keyboard.press("Enter")
        page.wait_for_selector(".large")
        assert page.locator(".crumbs a").last.evaluate("node => node.textContent") == name
        assert colour_of_large(window) == colour_of(scores(3)), name
        assert window.complaints == [], name
    window.open_layer(quote(HOSTILE[2], safe=""))
    assert page.locator("h1").inner_text() == HOSTILE[2]


def test_a_layer_that_cannot_be_loaded_is_said_to_be(new_window: NewWindow, folder: Path) -> None:
    (numbers,) = folder.rglob("variants/gallery.*.js")
    (spritemap,) = folder.rglob("variants/spritemap.*.png")
    window = new_window()
    for file, words in (
        (numbers, "The layer's data could not be loaded."),
        (spritemap, "The layer's spritemap could not be loaded."),
    ):
        hidden = file.rename(file.with_suffix(".gone"))
        try:
            page = window.open("#/layer/variants")
            page.get_by_text(words).wait_for()
        finally:
            hidden.rename(file)
    assert all("ERR_FILE_NOT_FOUND" in complaint for complaint in window.complaints)
    window.complaints.clear()


def test_the_policy_holds_whatever_would_get_into_the_page(either: Window) -> None:
    page = either.open()
    blocked = page.evaluate(
        """async () => {
          const blocked = [];
          const note = (event) => blocked.push(event.effectiveDirective);
          document.addEventListener("securitypolicyviolation", note);
          const script = document.createElement("script");
          script.textContent = "window.evil = true";
          document.head.append(script);
          const image = document.createElement("img");
          image.src = "https://elsewhere.invalid/x.png";
          document.body.append(image);
          document.body.setAttribute("style", "color: red");
          try { await fetch("index.html"); } catch {}
          await new Promise((resolve) => setTimeout(resolve, 300));
          return [...new Set(blocked)].sort().concat(window.evil ? ["evil"] : []);
        }"""
    )
    assert blocked == ["connect-src", "img-src", "script-src-elem", "style-src-attr"]
    assert all(
        "Content Security Policy" in text or "Fetch API cannot load" in text
        for text in either.complaints
    )
    either.complaints.clear()
    either.requests.remove("https://elsewhere.invalid/x.png")  # which never left


def test_dark_where_the_system_is(window: Window) -> None:
    window.open_layer("stem")
    shades = {}
    for scheme in ("light", "dark"):
        window.page.emulate_media(color_scheme=scheme)
        window.settle()
        shades[scheme] = sum(window.colour_at(1195, 790))
    assert shades["light"] > 600 and shades["dark"] < 150


def test_which_channels_respond_to_a_class(either: Window) -> None:
    page = either.open()
    page.get_by_label("search all layers").fill("goldfish")
    page.get_by_role("button", name="Search all layers").click()
    page.wait_for_selector(".tiles a")
    assert page.url.endswith("#/search?words=goldfish")
    found = page.locator(".tiles a").all_inner_texts()
    assert found and all("goldfish: +2.50 SD" in text for text in found)
    page.locator(".tiles a").first.click()
    page.wait_for_selector(".reported[aria-busy=false]")
    section = page.locator(".reported")
    text = section.inner_text()
    assert "goldfish (+2.50 SD)" in text and "mean attribution" in text
    assert "pictures" in section.locator("h2").inner_text()
    assert section.locator(".derived").count() == 1
    patches = section.locator(".patches canvas")
    labels = patches.evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
    assert labels and all(labels)
    section.get_by_role("link").first.click()
    page.wait_for_selector("h1")
    assert "/reports/pictures" in page.url.replace("%40", "@") and page.url.endswith(
        "#/layer/stem/0"
    )


def test_the_search_finds_labels_numbers_and_layers_everywhere(window: Window) -> None:
    page = window.open("#/search?words=stem+4")
    page.wait_for_selector(".tiles a")
    assert page.locator(".tiles a").first.get_attribute("href") == "#/layer/stem/4"
    window.settle()
    canvas = page.locator(".tiles canvas").first.bounding_box()
    assert window.colour_at(canvas["x"] + 50, canvas["y"] + 50) == colour_of(STEM[4])
    page.get_by_label("search all layers").fill("unheard-of")
    page.get_by_text("No sprite matches.").wait_for()
    page.get_by_label("search all layers").fill("9.1")
    page.locator(".tiles a[href='#/layer/variants/9.1']").click()
    page.wait_for_selector(".large")
    assert page.locator("h1").inner_text() == "channel 9, variant 1"
    assert colour_of_large(window) == colour_of(scores(9, variant=1))
    window.go("#/search?words=stem+and")
    page.wait_for_selector(".tiles a")
    assert [tile.split("\n") for tile in page.locator(".tiles a").all_inner_texts()] == [
        ["mix 0", "stem and block"]
    ]
    window.go("#/")
    page.locator(".layer", has_text="Mixes").click()
    page.wait_for_selector(".cursor")
    page.get_by_label("find a channel").fill("block")
    page.keyboard.press("Enter")
    page.wait_for_selector(".large")
    assert page.locator("h1").inner_text() == "mix 0"
    assert page.locator(".label").inner_text() == "stem and block"


def test_which_sprites_failed_and_what_helps(window: Window) -> None:
    page = window.open()
    page.get_by_role("link", name="sprites failed").click()
    page.wait_for_selector(".tiles a")
    assert "tune made-up --layers stem block_0" in page.locator(".failed-help").inner_text()
    stem = page.locator(".result", has=page.locator("a[href='#/layer/stem']"))
    assert [link.get_attribute("href") for link in stem.locator(".tiles a").all()] == [
        f"#/layer/stem/{channel}" for channel in (2, 3, 7)
    ]
    window.go("#/layer/stem/6")  # which nobody rendered
    page.wait_for_selector(".no-sprite")
    command = "diamond-cutter sprites made-up --layers stem --channels 6 --recipe fast"
    assert command in page.locator(".facts").inner_text()
    assert page.locator(".no-sprite").count() == 1 and page.locator(".large").count() == 0


def test_where_in_the_network_a_layer_is_and_how_the_set_is_cited(window: Window) -> None:
    page = window.open()
    page.locator("summary", has_text="Cite").click()
    assert page.locator(".citation").inner_text().split("\n") == [
        f"@misc{{sprites-made-up-{RECIPE.key.replace('@', '-')},",
        "  title = {Sprites of made-up},",
        "  howpublished = {Rendered with Diamond Cutter 0},",
        f"  note = {{sprites {MODEL} by {RECIPE.key}}}",
        "}",
    ]
    block = page.locator(".network a").nth(1)
    block.hover()
    assert page.locator(".tip").inner_text().startswith("block_0\nblock · 4 × 4 positions")
    block.click()
    page.wait_for_selector(".cursor")
    assert page.url.endswith("#/layer/block_0")
    assert "layer 2 of 2" in page.locator(".where").inner_text()
    assert page.locator(".network .current").get_attribute("href") == "#/layer/block_0"


def test_a_copied_address_shows_the_same_view(window: Window) -> None:
    page = window.open_layer("block_0")
    page.get_by_label("sort by").select_option("objective")
    page.get_by_label("show", exact=True).select_option("grey")
    page.get_by_label("larger").click()
    page.get_by_label("find a channel").fill("1004")
    window.until("location.hash.includes('find=1004') && location.hash.includes('zoom=')")
    side = window.cursor_box()["width"]
    window.open(page.url.removeprefix(window.site))
    page.wait_for_selector(".cursor")
    window.settle()
    assert window.active() == "1004"
    assert page.get_by_label("sort by").input_value() == "objective"
    assert page.get_by_label("find a channel").input_value() == "1004"
    assert page.get_by_role("status").first.inner_text() == "227 of 2,048 sprites"
    assert abs(window.cursor_box()["width"] - side) < 1


def test_a_layer_in_progress_is_shown_from_its_shards(
    tmp_path: Path, new_window: NewWindow
) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    record = put_layer(bucket, "stem", STEM)
    bucket.delete(record.file.key)
    bucket.delete(spritemap_record_key(MODEL, RECIPE.key, "stem", "all"))
    publish(bucket)
    window = new_window(
        site=file_url(tmp_path / "bucket", set_folder(MODEL, RECIPE.key) + "index.html")
    )
    page = window.open()
    assert "in progress: 8 of 32 channels rendered" in page.locator(".layer").inner_text()
    page = window.open_layer("stem")
    assert page.get_by_role("status").first.inner_text() == "in progress: 8 sprites"
    for sprite in (STEM[2], STEM[7]):
        page.get_by_label("find a channel").fill(str(sprite.channel))
        assert window.active_colour() == colour_of(sprite)


def test_the_buckets_first_page_leads_to_the_gallery(new_window: NewWindow, served: str) -> None:
    window = new_window(site=served.partition("sprites/")[0])
    page = window.open()
    page.get_by_role("link", name=RECIPE.name).click()
    page.wait_for_selector(".layers")
    assert unquote(page.url) == served
    page.go_back()
    page.get_by_role("link", name="made-up").first.click()
    page.get_by_text("All models").wait_for()
    assert "has 2 layers" in page.locator(".lead").inner_text()
    window.settle()
    page.get_by_role("link", name="All models").click()
    page.get_by_text("Sprite sets").wait_for()
