"""A gallery's files say what the records say, and nothing in a name means anything in them."""

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diamond_cutter.model_inventory.card import ClassLabel, ModelCard, ModelSource
from diamond_cutter.storage import Corrupt, LocalBucket
from diamond_cutter.tasks.browsing.crops import Crop
from diamond_cutter.tasks.browsing.report_cards import ReportCard
from diamond_cutter.tasks.browsing.set_cards import SetCard
from diamond_cutter.tasks.gallery.about import recipe_options
from diamond_cutter.tasks.gallery.pages import GALLERY, bucket_page, message_page, model_page
from diamond_cutter.tasks.gallery.pictures import thumbnails
from diamond_cutter.tasks.gallery.site import (
    data_script,
    index_page,
    is_data_script,
    layer_files,
    layer_keys,
    shown_set,
)
from diamond_cutter.tasks.gallery.sources import SetSource, read_set, read_source
from diamond_cutter.tasks.pages.frontend import assets
from diamond_cutter.tasks.pages.scripts import read_script
from diamond_cutter.tasks.rendering.recipe import LayerSettings, RenderRecipe
from tests.flows.made_up_set import RECIPE, made_up_card, put_mixes
from tests.tasks.gallery.made_up_gallery import MODEL, colour_of, put_layer, put_picture, scores
from tests.tasks.page_as_read import Page

CARD = made_up_card()
EVIL = b'diamondCutter.take(...["sprites",{"layers":[],"reports":[],"x":1}]);\n'
HOSTILE = "</script><script>alert(1)</script>\"'&\n\u2028\u202e#?%2F"
CARD_OF_SET = SetCard(
    HOSTILE, HOSTILE, HOSTILE, HOSTILE, previews=(Crop(HOSTILE, 0, 0, 0, 64),), problem=HOSTILE
)
CARD_OF_REPORT = ReportCard(
    kind=HOSTILE,
    folder=HOSTILE,
    page=HOSTILE,
    title=HOSTILE,
    dataset=HOSTILE,
    models=(HOSTILE,),
    updated=datetime.now(UTC),
    chart=HOSTILE,
)


def hostile_card() -> ModelCard:
    """Return a model's card with hostile words wherever it may have words."""
    source = ModelSource(origin=HOSTILE, weights_sha256=HOSTILE, importer=HOSTILE)
    layers = tuple(layer.model_copy(update={"name": HOSTILE}) for layer in CARD.layers[:1])
    labels = (ClassLabel(name=HOSTILE),)
    return CARD.model_copy(update={"source": source, "layers": layers, "labels": labels})


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def numbers_of(bucket: LocalBucket, layer: str) -> tuple[str, dict[str, Any]]:
    """Return what a layer's script hands over."""
    source = read_source(bucket, MODEL, RECIPE.key, layer, CARD)
    script = layer_files(bucket, MODEL, RECIPE.key, source)[
        layer_keys(MODEL, RECIPE.key, source)[0]
    ].decode()
    handed = re.fullmatch(r"diamondCutter\.take\(\.\.\.(\[.*\])\);\n", script)
    assert handed and script.isascii() and "<" not in script
    name, numbers = json.loads(handed[1])
    return name, numbers


def page_of(bucket: LocalBucket, recipe: RenderRecipe = RECIPE) -> Page:
    source = replace(read_set(bucket, MODEL, recipe.key, CARD), settings=recipe)
    return Page(index_page(shown_set(source)))


def test_the_page_lists_layers_with_their_files_and_flags(bucket: LocalBucket) -> None:
    put_layer(
        bucket,
        "block_0",
        [scores(0), scores(1, flags=("grey",)), scores(2, flags=("grey", "saturated"))],
    )
    put_layer(bucket, "stem", [scores(5)])
    site = page_of(bucket).site
    assert [layer["name"] for layer in site["layers"]] == ["stem", "block_0"]
    block = site["layers"][1]
    assert (block["sprites"], block["flagged"], block["flags"]) == (
        3,
        2,
        {"grey": 2, "saturated": 1},
    )
    assert (block["channels"], block["height"], block["kind"], block["mixes"]) == (
        80,
        4,
        "block",
        False,
    )
    for file in (
        block["numbers"],
        block["preview"],
        *(sheet["file"] for sheet in block["spritemaps"]),
    ):
        assert re.fullmatch(r"block_0/(gallery|spritemap\.all)\.[0-9a-f]{16}\.(js|webp|png)", file)
    assert site["settings"]["size_px"] == 32 and "spectrum" not in site["settings"]


def test_a_tuned_layer_says_what_is_different_there(bucket: LocalBucket) -> None:
    tuned = RECIPE.model_copy(update={"layers": {"stem": LayerSettings(steps=7)}})
    put_layer(bucket, "stem", [scores(5)], recipe=tuned)
    assert page_of(bucket, tuned).site["layers"][0]["settings"] == {"steps": 7}


def test_a_recipe_is_told_by_its_options_or_by_its_file() -> None:
    assert recipe_options(RenderRecipe()) == ("--recipe", "fast")
    changed = RenderRecipe(name="lucid", steps=7, negative=True)
    assert recipe_options(changed) == (
        *("--recipe", "lucid"),
        "--recipe.negative",
        *("--recipe.steps", "7"),
    )
    tuned = RECIPE.model_copy(update={"layers": {"stem": LayerSettings(steps=7)}})
    assert recipe_options(tuned) == ("--recipe", "recipe.json")


def test_numbers_are_those_of_the_records(bucket: LocalBucket) -> None:
    known = {"specificity": 1.23456, "photo_ratio": 0.5, "flags": ("dead",), "rung": "none"}
    put_layer(bucket, "stem", [scores(4, objective=None), scores(1, **known), scores(1, variant=1)])
    name, numbers = numbers_of(bucket, "stem")
    assert name == "stem"
    assert (numbers["channels"], numbers["variants"]) == ([1, 1, 4], [0, 1, 0])
    assert numbers["scores"]["objective"] == [1.0, 1.0, None]
    assert numbers["scores"]["specificity"] == [1.235, None, None]
    assert numbers["scores"]["photo_ratio"] == [0.5, None, None]
    assert (numbers["flags"], numbers["rungs"]) == ([["dead"], [], []], ["none", "first", "first"])
    assert (numbers["cells"], numbers["spritemaps"], numbers["shard_cells"]) == (
        [1, 2, 0],
        [0, 0, 0],
        [1, 2, 0],
    )
    assert numbers["shard_of"] == [0, 0, 0] and numbers["shards"][0]["columns"] == 3
    assert [len(row) for row in numbers["neighbours"]] == [2, 2, 2]
    assert numbers["labels"] == []


def test_mixes_have_their_labels(bucket: LocalBucket) -> None:
    mixes = put_mixes(bucket).name
    put_layer(bucket, mixes, [scores(0), scores(1)])
    assert numbers_of(bucket, mixes)[1]["labels"] == ["stem and block", "[red]層\x1b[31m"]
    (layer,) = page_of(bucket).site["layers"]
    assert (layer["mixes"], layer["channels"]) == (True, 2)


def test_the_same_records_make_the_same_files(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(channel) for channel in range(9)])
    source = read_source(bucket, MODEL, RECIPE.key, "stem", CARD)
    assert layer_files(bucket, MODEL, RECIPE.key, source) == layer_files(
        bucket, MODEL, RECIPE.key, source
    )


@pytest.mark.parametrize("parts", [1, 2])
def test_thumbnails_are_the_sprites_in_order(bucket: LocalBucket, parts: int) -> None:
    sprites = [scores(channel) for channel in range(11)]
    if parts == 1:
        put_layer(bucket, "stem", sprites)
    else:
        put_layer(bucket, "stem", sprites[4:], part="00004-00010")
        put_layer(bucket, "stem", sprites[:4], part="00000-00003")
    small = thumbnails(bucket, read_source(bucket, MODEL, RECIPE.key, "stem", CARD), 8)
    assert small is not None and small.shape == (11, 8, 8, 3)
    for sprite, picture in zip(sprites, small, strict=True):
        assert (picture == colour_of(sprite)).all()


def test_the_preview_begins_with_the_highest_objective_without_flags(bucket: LocalBucket) -> None:
    sprites = [scores(channel, flags=() if channel % 2 else ("grey",)) for channel in range(7)]
    sprites.append(scores(7, objective=None))
    put_layer(bucket, "stem", sprites)
    source = read_source(bucket, MODEL, RECIPE.key, "stem", CARD)
    data = layer_files(bucket, MODEL, RECIPE.key, source)[layer_keys(MODEL, RECIPE.key, source)[1]]
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (4 * 64, 64)
        colours = np.asarray(picture.convert("RGB"))[32, 32::64].astype(int)
    assert np.abs(colours - [colour_of(sprites[best]) for best in (5, 3, 1, 7)]).max() < 12


def test_a_picture_that_is_not_what_its_record_says_is_refused(bucket: LocalBucket) -> None:
    record = put_layer(bucket, "stem", [scores(0), scores(1)])
    source = read_source(bucket, MODEL, RECIPE.key, "stem", CARD)
    other = put_picture(
        bucket, record.file.key.replace(".png", ".json"), np.zeros((8, 8, 3), np.uint8)
    )
    wrong = record.model_copy(update={"file": other})
    with pytest.raises(Corrupt, match="8 x 8 px"):
        thumbnails(bucket, type(source)("stem", None, (), (wrong,), source.sprites), 8)


def test_one_too_large_to_be_opened_has_no_thumbnails(bucket: LocalBucket) -> None:
    record = put_layer(bucket, "stem", [scores(0), scores(1)])
    source = read_source(bucket, MODEL, RECIPE.key, "stem", CARD)
    huge = record.model_copy(update={"cell_px": 20_000})
    assert thumbnails(bucket, type(source)("stem", None, (), (huge,), source.sprites), 8) is None


def test_the_data_for_open_pages_is_a_script_of_what_grows(bucket: LocalBucket) -> None:
    put_layer(bucket, HOSTILE, [scores(0)])
    shown = shown_set(read_set(bucket, MODEL, RECIPE.key, CARD))
    script = data_script(shown)
    assert is_data_script(script) and script.isascii() and b"<" not in script
    name, data = read_script(script)
    assert (name, data["layers"][0]["name"], data["in_progress"]) == ("sprites", HOSTILE, False)
    site = Page(index_page(shown)).site
    assert data == {field: site[field] for field in data} and "network" not in data
    for other in (b"", script + script, script.replace(b'"sprites"', b'"spr"', 1), EVIL):
        assert not is_data_script(other)


def test_no_name_means_anything_in_a_page(bucket: LocalBucket) -> None:
    put_layer(bucket, HOSTILE, [scores(0)])
    page = page_of(bucket)
    assert page.site["layers"][0]["name"] == HOSTILE
    assert numbers_of(bucket, HOSTILE)[0] == HOSTILE
    others = [
        bucket_page(HOSTILE, [CARD_OF_SET], [CARD_OF_REPORT]),
        model_page(HOSTILE, None, [CARD_OF_SET], [CARD_OF_REPORT]),
        model_page(HOSTILE, hostile_card()),
        message_page(HOSTILE, HOSTILE),
        index_page(shown_set(SetSource(HOSTILE, HOSTILE, None, None, ()))),
    ]
    for tags in (page.tags, *(Page(other).tags for other in others)):
        scripts = [attributes for tag, attributes in tags if tag == "script"]
        assert all("src" in attributes or attributes.get("id") == "site" for attributes in scripts)
        assert len(scripts) in (0, 2)


def test_pages_hold_no_inline_code_and_nothing_from_elsewhere(bucket: LocalBucket) -> None:
    put_layer(bucket, "stem", [scores(0)])
    for page in (
        page_of(bucket),
        Page(bucket_page("gs://x", [CARD_OF_SET], [CARD_OF_REPORT])),
        Page(message_page("a", "b")),
    ):
        for tag, attributes in page.tags:
            assert tag != "style" and not any(
                name == "style" or name.startswith("on") for name in attributes
            )
            assert not any("://" in (attributes.get(name) or "") for name in ("src", "href"))
    for data in assets(GALLERY).values():
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", data)
        assert b"eval(" not in data and b"innerHTML" not in data and b"@import" not in data
