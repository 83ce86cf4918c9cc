"""A key leads to what it is of; any other text is refused."""

import json
import random
from pathlib import Path

import pytest

from diamond_cutter.flows.cli.layer_statistics import LayerReport
from diamond_cutter.flows.cli.main import run
from diamond_cutter.flows.cli.records import SetReport, ShownRecord, show
from diamond_cutter.flows.errors import RequestError
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Corrupt, LocalBucket
from diamond_cutter.storage.sets.layout import (
    card_key,
    escape,
    graph_key,
    photo_activations_key,
    preset_key,
)
from diamond_cutter.storage.sets.records import (
    PhotoActivations,
    RunRecord,
    ShardRecord,
    SpritemapRecord,
)
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.tuning.preset import Preset, add_layer
from tests.flows.made_up_set import RECIPE, finish, made_up_card, put_bundle, put_mixes, put_shard
from tests.tasks.tuning.test_preset import tuning

CARD = made_up_card()
SET = f"sprites/{CARD.key}/{RECIPE.key}"
HOSTILE = [
    "a/b",
    "層",
    "[red]x[/red]",
    "a\nb",
    "\x1b[2Jgone",
    ":fox_face:",
    "runs",
    "index.parquet",
    "00000-00031.json",
    "x\\",
    "..",
    "\u202egnp",
]


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    put_shard(bucket, "stem", tuple(range(32)))
    put_shard(bucket, "block_0", (3, 5), variants=2)
    name = put_mixes(bucket).name
    put_shard(bucket, name, (0, 1))
    finish(bucket, ("stem", "block_0", name))
    return bucket


def only(bucket: LocalBucket, beginning: str, ending: str) -> str:
    """Return the one key that begins and ends so."""
    (key,) = (info.key for info in bucket.list(beginning) if info.key.endswith(ending))
    return key


def layer_of(bucket: LocalBucket, key: str) -> str:
    """Return the layer that a key is of."""
    shown = show(bucket, key)
    assert isinstance(shown, LayerReport)
    return shown.layer


@pytest.mark.parametrize("slashes", ["{}", "{}/", "/{}/"])
def test_a_layers_folder_is_its_sprites_in_numbers(bucket: LocalBucket, slashes: str) -> None:
    shown = show(bucket, slashes.format(f"{SET}/block_0"))
    assert isinstance(shown, LayerReport)
    assert (shown.layer, shown.sprites, shown.channels_done, shown.channels) == (
        "block_0",
        4,
        2,
        80,
    )
    assert show(bucket, f"{CARD.key}/{RECIPE.key}/block_0") == shown


def test_mixes_are_shown_like_a_layer(bucket: LocalBucket) -> None:
    key = only(bucket, SET, "mixes.json")
    shown = show(bucket, key)
    assert isinstance(shown, LayerReport) and (shown.sprites, shown.channels) == (2, 2)
    assert show(bucket, key.removesuffix("/mixes.json")) == shown


@pytest.mark.parametrize(
    "key", [SET, SET + "/", SET.removeprefix("sprites/"), SET + "/index.parquet"]
)
def test_a_sets_folder_is_all_its_layers_in_forward_order(bucket: LocalBucket, key: str) -> None:
    shown = show(bucket, key)
    assert isinstance(shown, SetReport) and (shown.key, shown.model, shown.recipe) == (
        SET + "/",
        CARD.key,
        RECIPE.key,
    )
    assert [(layer.layer, layer.sprites) for layer in shown.layers][:2] == [
        ("stem", 32),
        ("block_0", 4),
    ]
    assert shown.layers[0] == show(bucket, f"{SET}/stem")


@pytest.mark.parametrize(
    ("beginning", "ending", "kind"),
    [
        (SET + "/stem/0", ".json", ShardRecord),
        (SET + "/stem/spritemap", ".json", SpritemapRecord),
        (SET + "/runs", ".json", RunRecord),
        (SET + "/recipe", ".json", RenderRecipe),
        ("models/", "card.json", ModelCard),
    ],
)
def test_a_record_is_shown_by_its_key(
    bucket: LocalBucket, beginning: str, ending: str, kind: type
) -> None:
    key = only(bucket, beginning, ending)
    shown = show(bucket, key)
    assert isinstance(shown, ShownRecord) and shown.key == key and type(shown.record) is kind
    assert json.loads(shown.model_dump_json())["record"] == json.loads(bucket.get(key))
    assert shown.file_is_whole is (None if kind in (RunRecord, RenderRecipe) else True)


def test_what_photos_do_is_shown_by_its_key(bucket: LocalBucket) -> None:
    record = PhotoActivations(
        model=CARD.key, layer="a/b", photos="p@01234567", images=1, highest=(1.0,)
    )
    for before in (False, True):
        key = photo_activations_key(CARD.key, record.photos, "a/b", pre_activation=before)
        bucket.put(key, record.to_bytes())
        assert show(bucket, key) == ShownRecord(key=key, record=record)


def test_a_preset_is_shown_by_its_key(
    bucket: LocalBucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = preset_key(CARD.key)
    with pytest.raises(RequestError, match=f"'{key}' is not in "):
        show(bucket, key)
    preset = add_layer(bucket, CARD.key, RECIPE, None, tuning("stem", blur=0.3))
    assert show(bucket, key) == ShownRecord(key=key, record=preset)
    assert run(["show", key, "--bucket", str(tmp_path / "bucket")]) == 0
    assert "merit 1.20 with blur 0.3; 7 steps, 9 trials" in capsys.readouterr().out
    assert run(["show", key, "--json", "--bucket", str(tmp_path / "bucket")]) == 0
    assert json.loads(capsys.readouterr().out)["record"] == json.loads(bucket.get(key))
    with pytest.raises(RequestError, match=r"presets\.json' is not in "):
        show(bucket, key.replace("preset", "presets"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"{}", r"cannot be read \("),
        (
            Preset(model="other@01234567", start=RECIPE, budget_s=None).to_bytes(),
            r"cannot be used \(it is the preset of other@01234567\)",
        ),
    ],
)
def test_a_preset_that_is_none_is_one_sentence(
    bucket: LocalBucket, damage: bytes, words: str
) -> None:
    bucket.put(preset_key(CARD.key), damage)
    with pytest.raises(Corrupt, match=words) as caught:
        show(bucket, preset_key(CARD.key))
    assert "\n" not in str(caught.value)


def test_a_file_is_shown_by_the_record_that_commits_it(bucket: LocalBucket) -> None:
    for beginning in (SET + "/stem/0", SET + "/stem/spritemap"):
        record = only(bucket, beginning, ".json")
        assert show(bucket, only(bucket, beginning, ".webp")) == show(bucket, record)
    assert show(bucket, graph_key(CARD.key)) == show(bucket, card_key(CARD.key))


def test_a_damaged_file_is_said_to_be_so(bucket: LocalBucket) -> None:
    key = only(bucket, SET + "/stem/0", ".webp")
    for damage in (b"damage", None):
        if damage is None:
            bucket.delete(key)
        else:
            bucket.put(key, damage, mode="overwrite")
        shown = show(bucket, key)
        assert isinstance(shown, ShownRecord) and shown.file_is_whole is False


def test_a_file_that_was_replaced_leads_to_the_one_that_counts(bucket: LocalBucket) -> None:
    key = only(bucket, SET + "/stem/spritemap", ".webp")
    old = key.replace(key[-21:-5], "0123456789abcdef")
    bucket.put(old, b"older")
    with pytest.raises(
        RequestError,
        match=f"^'{old}' is unused: its record names '{key}'. Show that file.$",
    ):
        show(bucket, old)


@pytest.mark.parametrize(
    "ending", [SET + "/stem/00000-00031.json", SET + "/recipe.json", card_key(CARD.key)]
)
@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b'{"name": 3}'])
def test_a_record_that_cannot_be_read_is_one_sentence(
    bucket: LocalBucket, ending: str, damage: bytes
) -> None:
    bucket.put(ending, damage, mode="overwrite")
    with pytest.raises(Corrupt) as caught:
        show(bucket, ending)
    assert ending in str(caught.value) and "\n" not in str(caught.value)


def test_a_key_may_be_a_url_or_a_path(
    bucket: LocalBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (
        f"{bucket.url}/{SET}/stem",
        str(tmp_path / "bucket" / SET / "stem"),
        f"bucket/{SET}/stem/",
        f"./bucket/../bucket/{SET}/stem",
    ):
        assert layer_of(bucket, given) == "stem"
    monkeypatch.chdir(tmp_path / "bucket" / SET)
    assert layer_of(bucket, "stem") == "stem"
    assert layer_of(bucket, f"{SET}/stem") == "stem"
    odd = LocalBucket(tmp_path / "my [bucket] 100%")
    put_shard(odd, "a=b", (0,))
    assert layer_of(odd, str(tmp_path / "my [bucket] 100%" / SET / escape("a=b"))) == "a=b"
    assert layer_of(odd, f"{odd.url}/{SET}/a=b") == "a=b"


@pytest.mark.parametrize("layer", HOSTILE)
def test_a_layer_is_found_by_its_name_and_by_its_folder(tmp_path: Path, layer: str) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    put_shard(bucket, "stem", tuple(range(32)))
    put_shard(bucket, layer, (0, 1))
    assert layer_of(bucket, f"{SET}/{escape(layer)}") == layer
    # What is written like another key of the set is that.
    if layer == "index.parquet":
        assert isinstance(show(bucket, f"{SET}/{layer}"), SetReport)
    else:
        assert layer_of(bucket, f"{SET}/{layer}") == layer


def test_a_layer_named_like_another_ones_folder_gives_way(tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    for layer in ("a b", "a=20b", "stem", "stem/00000-00001.json"):
        put_shard(bucket, layer, (0, 1))
    assert (
        layer_of(bucket, f"{SET}/a=20b") == "a b" and layer_of(bucket, f"{SET}/a=3D20b") == "a=20b"
    )
    assert isinstance(show(bucket, f"{SET}/stem/00000-00001.json"), ShownRecord)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("block_0", f"{SET}/block_0"),
        ("fast/block_0/", f"{SET}/block_0"),
        (f"{RECIPE.key}/block_0", f"{SET}/block_0"),
        ("made-up/fast/block_0", f"{SET}/block_0"),
        ("fast", SET),
        ("made-up/fast", SET),
        ("stem/00000-00031.json", f"{SET}/stem/00000-00031.json"),
        ("01234567.json", f"{SET}/runs/01234567.json"),
    ],
)
def test_a_short_name_is_enough_where_one_thing_has_it(
    bucket: LocalBucket, tmp_path: Path, given: str, key: str
) -> None:
    assert show(bucket, given) == show(bucket, key)
    assert run(["show", given, "--bucket", str(tmp_path / "bucket")]) == 0
    # What is removed has to be named in full.
    assert run(["rm", given, "--yes", "--bucket", str(tmp_path / "bucket")]) == 2
    assert show(bucket, key)


def test_a_short_name_of_several_things_is_answered_with_all_of_them(bucket: LocalBucket) -> None:
    other = f"sprites/{CARD.key}/lucid@01234567"
    record = ShardRecord.from_bytes(bucket.get(f"{SET}/stem/00000-00031.json"), "")
    bucket.put(
        f"{other}/stem/00000-00031.json",
        record.model_copy(update={"recipe": "lucid@01234567"}).to_bytes(),
    )
    for given, keys in {
        "stem": (f"{SET}/stem", f"{other}/stem"),
        "00000-00031.json": (f"{SET}/stem/00000-00031.json", f"{other}/stem/00000-00031.json"),
        "made-up": (card_key(CARD.key), SET, other),
    }.items():
        with pytest.raises(RequestError) as caught:
            show(bucket, given)
        named = ", ".join(map(repr, keys))
        assert (
            str(caught.value)
            == f"{given!r} is ambiguous in {bucket.url}: found {len(keys)} keys: {named}. Give one "
            "of these keys."
        )
    assert layer_of(bucket, "block_0") == "block_0" and layer_of(bucket, "fast/stem") == "stem"


def test_a_missing_key_is_refused(bucket: LocalBucket) -> None:
    for given in ("stm", f"{SET}/stem/00000-00032.json", "models/made-up@00000000/card.json"):
        with pytest.raises(RequestError) as caught:
            show(bucket, given)
        assert str(caught.value) == (
            f"{given!r} is not in {bucket.url}. Run `diamond-cutter ls` to list the sprite sets "
            "and the reports."
        )


def test_a_file_without_a_record_is_said_to_be_one(bucket: LocalBucket) -> None:
    bucket.delete(f"{SET}/stem/00000-00031.json")
    orphan = only(bucket, SET + "/stem/0", ".webp")
    for key in (orphan, f"{SET}/notes.txt"):
        if key != orphan:
            bucket.put(key, b"mine")
        with pytest.raises(RequestError, match=f"^'{key}' is not a record, and no record in "):
            show(bucket, key)


def test_an_empty_bucket_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"^'stem' is not in \S+: the bucket is empty\. Run "):
        show(LocalBucket(tmp_path / "bucket"), "stem")


def test_rubbish_is_answered_in_one_sentence(
    bucket: LocalBucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = random.Random(0)
    pieces = [
        "sprites",
        CARD.key,
        RECIPE.key,
        "stem",
        "..",
        ".",
        "",
        "/",
        "//",
        "\x00",
        "\x1b[2J",
        "[red]",
        "層",
        "\ud800",
        "%2F",
        "=",
        "x" * 300,
    ]
    for _ in range(150):
        given = "/".join(stream.choices(pieces, k=stream.randint(1, 6)))
        assert run(["show", "--bucket", str(tmp_path / "bucket"), "--", given]) in (0, 2)
        printed = capsys.readouterr()
        assert "\x1b" not in printed.out + printed.err and "\x00" not in printed.out + printed.err
        assert len(printed.err.splitlines()) == (not printed.out)


@pytest.mark.parametrize("layer", HOSTILE)
def test_names_are_printed_as_they_are_and_nothing_obeys_them(
    tmp_path: Path, layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    put_shard(bucket, layer, (0, 1))
    spelled = {"a\nb": "a", "\x1b[2Jgone": "\\x1b[2Jgone", "\u202egnp": "\\u202egnp"}.get(
        layer, layer
    )
    shard = f"{SET}/{escape(layer)}/00000-00001.json"
    for command in (["ls"], ["show", SET], ["show", f"{SET}/{escape(layer)}"], ["show", shard]):
        assert run([*command, "--bucket", str(tmp_path / "bucket")]) == 0
        out = capsys.readouterr().out
        assert not {"\x1b", "\u202e"} & set(out)
        assert (spelled if command[-1] in ("ls", SET, shard) else escape(layer)) in out


def test_what_is_shown_is_printed_for_people_and_for_scripts(
    bucket: LocalBucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--bucket", str(tmp_path / "bucket"))
    assert run(["show", f"{SET}/stem", *where]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        f"{SET}/stem/: 32 sprites, of 32 of 32 channels\nno flags\n32 at the first attempt\n"
    )
    assert (
        "objective           32       0        3.875     7.75    11.62     15.5     "
        "████████████████" in out
    )
    assert run(["show", f"{SET}/stem", *where, "--json"]) == 0
    assert LayerReport.model_validate_json(capsys.readouterr().out) == show(bucket, f"{SET}/stem")
    for key in (
        SET,
        f"{SET}/recipe.json",
        card_key(CARD.key),
        only(bucket, SET + "/runs", ".json"),
        only(bucket, SET, "mixes.json"),
    ):
        assert run(["show", key, *where]) == 0
        assert len(capsys.readouterr().out.splitlines()) > 2
    assert run(["show", "stm", *where]) == 2
    assert capsys.readouterr().err.startswith("diamond-cutter: 'stm' is not in file://")
