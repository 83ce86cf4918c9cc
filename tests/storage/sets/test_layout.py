"""Every key has its place, every name of a layer fits into one, and no two names share it."""

import random

import pytest

from diamond_cutter.storage import BadKey, check_key
from diamond_cutter.storage.sets.layout import (
    cache_control_of,
    card_key,
    channel_span,
    claim_key,
    escape,
    fingerprinted,
    gallery_asset_key,
    gallery_key,
    gallery_layer_key,
    graph_key,
    index_key,
    is_fingerprinted,
    is_gallery_file,
    is_mixes,
    is_run_execution,
    is_run_record,
    is_shard_record,
    is_spritemap_record,
    is_view,
    layer_folder,
    mixes_key,
    model_folder,
    photo_activations_key,
    photos_folder,
    recipe_key,
    record_beside,
    report_of,
    run_execution_key,
    run_record_key,
    set_folder,
    set_of,
    shard_record_key,
    spritemap_record_key,
    unescape,
)
from diamond_cutter.storage.sets.report_keys import (
    details_key,
    images_record_key,
    report_asset_key,
    report_folder,
    report_image_key,
    report_key,
    report_layer_key,
    report_page_key,
    report_table_key,
)

MODEL, RECIPE = "toy@01234567", "fast@89abcdef"
SET = "sprites/toy@01234567/fast@89abcdef/"
HOSTILE = [
    "runs",
    "recipe.json",
    "index.parquet",
    "index.html",
    "index.html.json",
    "mixes.1a2b3c4d",
    "mixes.json",
    "gallery.0123456789abcdef.js",
    "gallery",
    ".",
    "..",
    "...",
    ".hidden",
    "end.",
    "a..b",
    "a/b",
    "/",
    "//",
    "../../etc/passwd",
    "a\\b",
    "=",
    "=2F",
    "a=b",
    "=72uns",
    "%2F",
    " ",
    "a b",
    "a\nb",
    "\x00",
    "naïve",
    "層",
    "🦊.expand",
    "e\u0301",
    "mixed4a_3x3+relu",
    "block_3/add:0",
    "C:",
    "~",
    "*?[a]",
    "00000-00031.json",
    "spritemap.all.json",
    "x" * 200,
]


def keys_of(layer: str) -> list[str]:
    """Return one key of each kind that lies in a layer's folder."""
    shard = shard_record_key(MODEL, RECIPE, layer, range(32))
    return [
        shard,
        fingerprinted(shard, b"", "webp"),
        spritemap_record_key(MODEL, RECIPE, layer, "all"),
    ]


def test_keys_lie_where_the_design_says() -> None:
    assert model_folder(MODEL) == "models/toy@01234567/"
    assert graph_key(MODEL) == "models/toy@01234567/graph.pb"
    assert card_key(MODEL) == "models/toy@01234567/card.json"
    assert set_folder(MODEL, RECIPE) == SET
    assert recipe_key(MODEL, RECIPE) == SET + "recipe.json"
    assert gallery_key(MODEL, RECIPE) == SET + "index.html"
    assert gallery_asset_key(SET, b"", "css") == SET + "gallery.e3b0c44298fc1c14.css"
    assert (
        gallery_layer_key(MODEL, RECIPE, "a/b", b"", "js")
        == SET + "a=2Fb/gallery.e3b0c44298fc1c14.js"
    )
    assert (
        report_asset_key("reports/a@1/b@2/c@3/", b"", "js")
        == "reports/a@1/b@2/c@3/report.e3b0c44298fc1c14.js"
    )
    assert (
        record_beside(report_asset_key("reports/a@1/b@2/c@3/", b"", "js"))
        == "reports/a@1/b@2/c@3/report.json"
    )
    assert index_key(MODEL, RECIPE) == SET + "index.parquet"
    assert layer_folder(MODEL, RECIPE, "block_3.expand") == SET + "block_3.expand/"
    assert shard_record_key(MODEL, RECIPE, "stem", range(32)) == SET + "stem/00000-00031.json"
    assert spritemap_record_key(MODEL, RECIPE, "stem", "all") == SET + "stem/spritemap.all.json"
    assert mixes_key(MODEL, RECIPE, "mixes.1a2b3c4d") == SET + "mixes.1a2b3c4d/mixes.json"
    assert (
        shard_record_key(MODEL, RECIPE, "mixes.1a2b3c4d", range(32))
        == SET + "mixes.1a2b3c4d/00000-00031.json"
    )
    assert (
        photo_activations_key(MODEL, "p@1", "stem", pre_activation=False)
        == photos_folder(MODEL) + "p@1/stem.json"
    )
    assert (
        photo_activations_key(MODEL, "p@1", "stem", pre_activation=True)
        == "models/toy@01234567/photos/p@1/pre-activation/stem.json"
    )
    run = run_record_key(MODEL, RECIPE, "deadbeef")
    execution = run_execution_key(MODEL, RECIPE, "deadbeef", "20260102T030405Z-89abcdef")
    assert run == SET + "runs/deadbeef.json"
    assert execution == SET + "runs/deadbeef.20260102T030405Z-89abcdef.json"
    assert [is_run_record(key) for key in (run, execution)] == [True, False]
    assert [is_run_execution(key) for key in (run, execution)] == [False, True]
    assert record_beside(execution) is None and not is_fingerprinted(execution)


def test_a_file_is_named_by_its_content() -> None:
    # The first 16 digits of the sha256 of nothing are e3b0c44298fc1c14.
    assert fingerprinted("a/00000-00031.json", b"", "webp") == "a/00000-00031.e3b0c44298fc1c14.webp"
    assert fingerprinted("a/spritemap.all.json", b"x", "png") != fingerprinted(
        "a/spritemap.all.json", b"y", "png"
    )


def test_the_record_beside_a_file_is_found_by_its_name() -> None:
    for layer in ["stem", *HOSTILE]:
        for record in (
            shard_record_key(MODEL, RECIPE, layer, [0, 7]),
            spritemap_record_key(MODEL, RECIPE, layer, "all"),
        ):
            assert record_beside(fingerprinted(record, b"", "webp")) == record
            assert record_beside(fingerprinted(record, b"", "jpg")) == record
            assert record_beside(record) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "stem.0123456789abcdef.webp/",
        ".0123456789abcdef.webp",
        "a.0123456789ABCDEF.webp",
        "a.webp",
        "a.b.json",
    ],
)
def test_a_name_without_a_fingerprint_has_no_record_beside_it(key: str) -> None:
    assert record_beside(key) is None


def test_the_mixes_of_a_recipe_are_known_by_their_name() -> None:
    assert is_mixes("mixes.1a2b3c4d")
    assert not any(
        map(
            is_mixes,
            [
                "mixes",
                "mixes.",
                "mixes.1a2b3c4",
                "mixes.1a2b3c4d5",
                "mixes.1A2B3C4D",
                "Mixes.1a2b3c4d",
                "mixes_1a2b3c4d",
            ],
        )
    )
    assert not any(is_mixes(escape(layer)) for layer in HOSTILE if not is_mixes(layer))


@pytest.mark.parametrize(
    ("channels", "span"),
    [
        (range(32), "00000-00031"),
        ([7], "00007-00007"),
        ([3, 1, 2], "00001-00003"),
        (range(99_990, 100_010), "99990-100009"),
    ],
)
def test_channels_in_a_row_are_named_by_first_and_last(channels: list[int], span: str) -> None:
    assert channel_span(channels) == span


def test_channels_with_gaps_bear_a_hash() -> None:
    spans = [channel_span(channels) for channels in ([0, 1, 9], [0, 2, 9], [0, 9])]
    assert all(span.startswith("00000-00009.") and len(span) == 20 for span in spans)
    assert len(set(spans)) == 3
    assert channel_span([9, 0, 1]) == spans[0]


def test_every_name_fits_into_a_key_and_comes_back() -> None:
    for layer in HOSTILE:
        folder = escape(layer)
        assert unescape(folder) == layer
        assert "/" not in folder and folder not in {
            "",
            ".",
            "..",
            "runs",
            "recipe.json",
            "index.parquet",
            "index.html",
        }
        for key in keys_of(layer):
            check_key(key)
            assert key.startswith(f"{SET}{folder}/") and key.count("/") == 4
        for before in (False, True):
            if len(folder) <= 195:  # what a name of a file can be, less .json
                check_key(photo_activations_key(MODEL, "p@1", layer, pre_activation=before))


def test_plain_names_stay_as_they_are() -> None:
    for layer in ("block_3.expand", "mixed4a_3x3+relu", "a@b,c-d", "spritemap"):
        assert escape(layer) == layer


def test_random_names_come_back_and_do_not_collide() -> None:
    stream = random.Random(0)
    alphabet = "ab.=/ 2F7\\:é層🦊\n" + "runs"
    names = {"".join(stream.choices(alphabet, k=stream.randint(1, 8))) for _ in range(5000)}
    folders = {escape(name): name for name in names}
    assert len(folders) == len(names)
    for folder, name in folders.items():
        check_key(folder)
        assert unescape(folder) == name


@pytest.mark.parametrize("layer", ["", "x" * 201, "層" * 23])
def test_a_name_that_no_folder_can_hold_is_refused_by_the_bucket(layer: str) -> None:
    with pytest.raises(BadKey):
        check_key(keys_of(layer)[0])


def test_each_kind_of_record_is_known_by_its_key() -> None:
    record = shard_record_key(MODEL, RECIPE, "stem", range(32))
    shards = [
        record,
        shard_record_key(MODEL, RECIPE, "stem", [0, 5]),
        shard_record_key(MODEL, RECIPE, "stem", [100_000]),
    ]
    spritemaps = [
        spritemap_record_key(MODEL, RECIPE, "stem", part)
        for part in ("all", "00000-00031", channel_span([0, 5]))
    ]
    runs = [run_record_key(MODEL, RECIPE, "deadbeef")]
    files = [fingerprinted(record, b"", "webp"), fingerprinted(spritemaps[0], b"", "webp")]
    mixes = mixes_key(MODEL, RECIPE, "mixes.1a2b3c4d")
    others = [recipe_key(MODEL, RECIPE), index_key(MODEL, RECIPE), card_key(MODEL), mixes, *files]
    keys = [*shards, *spritemaps, *runs, *others]
    assert [key for key in keys if is_shard_record(key)] == shards
    assert [key for key in keys if is_spritemap_record(key)] == spritemaps
    assert [key for key in keys if is_run_record(key)] == runs


def test_a_gallerys_files_are_no_records_and_no_layers() -> None:
    keys = [
        gallery_asset_key(SET, b"", "js"),
        *(gallery_layer_key(MODEL, RECIPE, layer, b"", "webp") for layer in ("stem", *HOSTILE)),
    ]
    for key in keys:
        check_key(key)
        assert is_gallery_file(key)
        assert record_beside(key) is None
        assert not (is_shard_record(key) or is_spritemap_record(key) or is_run_record(key))
    assert not any(
        is_gallery_file(layer_folder(MODEL, RECIPE, layer).rstrip("/")) for layer in HOSTILE
    )
    assert not is_gallery_file(gallery_key(MODEL, RECIPE))


@pytest.mark.parametrize("layer", ["runs", "00000-00031.json", "spritemap.all.json"])
def test_a_layer_is_not_taken_for_a_record(layer: str) -> None:
    shard, file, spritemap = keys_of(layer)
    assert [is_shard_record(key) for key in (shard, file, spritemap)] == [True, False, False]
    assert [is_spritemap_record(key) for key in (shard, file, spritemap)] == [False, False, True]
    assert not any(is_run_record(key) for key in (shard, file, spritemap))


REPORT = "reports/pictures@0a1b2c3d/toy@01234567/attribution@89abcdef/"


def test_a_report_has_a_folder_in_which_all_of_it_lies() -> None:
    folder = report_folder("pictures@0a1b2c3d", MODEL, "attribution@89abcdef")
    assert folder == REPORT
    keys = [
        report_key(folder),
        report_page_key(folder),
        details_key(folder),
        images_record_key(folder, 0, 128),
    ]
    keys += [
        report_image_key(folder, "00007", b"a", "webp"),
        report_layer_key(folder, "a/b", "numbers", b"a", "js"),
    ]
    keys += [report_table_key(folder, "channels", b"a"), report_asset_key(folder, b"a", "css")]
    assert len(set(keys)) == len(keys)
    for key in keys:
        check_key(key)
        assert key.startswith(folder) and report_of(key) == folder
    assert [is_fingerprinted(key) for key in keys] == [False] * 4 + [True] * 4
    assert [is_view(key) for key in keys] == [False, True] + [False] * 6
    assert images_record_key(folder, 0, 128).endswith("/images/00000-00127.json")


def test_what_is_in_no_report_is_of_none() -> None:
    for key in (
        card_key(MODEL),
        index_key(MODEL, RECIPE),
        "reports/a/b/c",
        "reports/index.html",
        "sprites/reports/a/b/c",
    ):
        assert report_of(key) is None
    assert not is_view("reports/a/b/index.html")


def test_claims_and_views_are_not_cached() -> None:
    index = index_key(MODEL, RECIPE)
    for key in (index, f"{index}.json", claim_key(card_key(MODEL))):
        assert cache_control_of(key) == "no-cache"
    assert cache_control_of(card_key(MODEL)) == "public, max-age=3600"


def test_what_lies_beside_the_sets_of_a_model_is_in_none() -> None:
    assert set_of(index_key(MODEL, RECIPE)) == (MODEL, RECIPE)
    for key in (f"sprites/{MODEL}/notes.txt", f"models/{MODEL}/a/b"):
        assert set_of(key) is None
