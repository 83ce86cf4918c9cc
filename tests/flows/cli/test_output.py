"""Tables keep all that is in them, in a terminal of 80 columns as well as in a pipe."""

import re
from datetime import UTC, datetime

import pytest

from diamond_cutter.flows.cli.bucket_output import print_bucket, print_cleaned, print_shown
from diamond_cutter.flows.cli.estimates import LayerEstimate, RunEstimate
from diamond_cutter.flows.cli.listing import BucketListing, LayerListing, SetListing
from diamond_cutter.flows.cli.model_output import print_card, print_models
from diamond_cutter.flows.cli.output import print_result
from diamond_cutter.flows.cli.records import ShownRecord
from diamond_cutter.flows.cli.removal import Cleaned, Leftover
from diamond_cutter.flows.cli.run_output import print_estimates, print_preset
from diamond_cutter.flows.cli.tables import Rows
from diamond_cutter.model_inventory.card import LayerCard
from diamond_cutter.model_inventory.catalogue import list_models
from diamond_cutter.storage.sets.records import FileRef
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.tuning.preset import Preset
from tests.flows.made_up_set import made_up_card
from tests.storage.shard_records import shard_record
from tests.tasks.tuning.test_preset import tuning

Capture = pytest.CaptureFixture[str]

LAYERS = ("mobilenetv2_1.00_96/Conv1", "mobilenetv2_1.00_96/block_3_add", "block_10", "層" * 15)
SPRITEMAP = "spritemap.all.ec544518cbc31fbc.webp"
LAYER = LayerCard(
    name="stem",
    tensor="stem:0",
    kind="convolution",
    main=True,
    channels=1280,
    height=112,
    width=112,
    sha256="0" * 64,
    receptive_field=115,
)


def _print_all() -> None:
    """Print each table of the command line, with names that are long."""
    card = made_up_card()
    layers = tuple(
        LAYER.model_copy(update={"name": name, "macs": 576 * 100**index})
        for index, name in enumerate(LAYERS)
    )
    print_models(list_models(), as_json=False)
    print_card(card.model_copy(update={"layers": layers}), as_json=False)
    estimates = tuple(
        LayerEstimate(
            layer=name,
            sprites_done=3,
            sprites_adopted=2,
            sprites_to_do=1277,
            shards=40,
            bytes=123_456_789,
            seconds=0.0123,
        )
        for name in LAYERS
    )
    totals = {
        "sprites_done": 3,
        "sprites_adopted": 2,
        "sprites_to_do": 9,
        "shards": 1,
        "bytes": 5,
        "requests": 123_456,
        "seconds": 0.0123,
        "devices": 1,
        "workers": 2,
        "worker_hours": 0.0123,
        "price": 0.0123,
    }
    print_estimates([RunEstimate(model="m", recipe="r", layers=estimates, **totals)], as_json=False)  # type: ignore[arg-type]
    now = datetime.now(UTC)
    listings = tuple(
        LayerListing(
            layer=name,
            sprites=1280,
            channels_done=1280,
            channels=1280,
            flagged=12,
            damaged_shards=0,
            spritemaps=(SPRITEMAP,),
            bytes=123_456,
            updated=now,
        )
        for name in LAYERS
    )
    listed = SetListing(
        model=card.key, recipe="fast@b9c6d3e3", layers=listings, runs=1, bytes=123, updated=now
    )
    print_bucket(BucketListing(sets=(listed,), reports=()), as_json=False)
    record = shard_record([4, 2], FileRef(key="a/b.webp", size=7, crc32c=7))
    print_shown(ShownRecord(key="k", record=record, file_is_whole=True), as_json=False)
    start = RenderRecipe(steps=7)
    print_preset(
        Preset(
            model="m",
            start=start,
            budget_s=None,
            layers=tuple(tuning(name, blur=0.5) for name in LAYERS),
        ),
        as_json=False,
    )
    left = Leftover(
        key=f"sprites/{'x' * 80}/{SPRITEMAP}", bytes=5, updated=now, why="there is no record of it"
    )
    print_cleaned(Cleaned(leftovers=(left,), bytes=5, deleted=0), as_json=False)


@pytest.mark.parametrize("columns", [80, 60, None])
def test_no_name_and_no_number_is_cut(
    columns: int | None, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    if columns:
        for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(columns)}.items():
            monkeypatch.setenv(name, value)
    _print_all()
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    for name in (
        *LAYERS,
        *(model.name for model in list_models()),
        SPRITEMAP,
        "sprites/" + "x" * 80,
    ):
        assert re.search(rf"(^|[\s/]){re.escape(name)}($|[\s:/])", printed, re.MULTILINE), name
    # Each heading and each cell of a table that is divided.
    for part in (
        "multiplications",
        "convolution",
        "112 x 112",
        "115 px",
        "57.6 k",
        "576",
        "123 MB",
        "0.012 s",
        "checkerboard",
        "merit",
    ):
        assert re.search(rf"\s{part}\s", printed), part
    # A table that fits is whole, and each of its rows is one line.
    row = (
        r"^mobilenetv2_1.00_96/block_3_add +convolution +1280 +112 x 112 +115 px +57.6 k +35 "
        r"+main *$"
    )
    assert columns or re.search(row, printed, re.MULTILINE)


def test_in_a_narrow_terminal_a_name_stands_above_its_row(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "60"}.items():
        monkeypatch.setenv(name, value)
    layer = LAYER.model_copy(update={"name": LAYERS[1], "macs": 57_600})
    print_card(made_up_card().model_copy(update={"layers": (layer,)}), as_json=False)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert [line.rstrip() for line in lines][lines.index("layer") :] == [
        "layer",
        "  kind         channels  size       sees    multiplications",
        "  columns",
        LAYERS[1],
        "  convolution  1280      112 x 112  115 px  57.6 k",
        "  35       main",
    ]


@pytest.mark.parametrize("columns", [40, 80])
def test_a_cell_wider_than_the_terminal_stays_whole(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(columns)}.items():
        monkeypatch.setenv(name, value)
    rows = Rows(
        ("model", "layers", "spritemap", "age"),
        [("m" * 70, "7", "s" * 120, "2 min"), ("n", "", "", "1 h")],
    )
    print_result(LAYER, False, rows)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert [line.rstrip() for line in lines] == [
        "model",
        "  layers",
        "  spritemap",
        "  age",
        "m" * 70,
        "  7",
        "  " + "s" * 120,
        "  2 min",
        "n",
        "  1 h",
    ]
