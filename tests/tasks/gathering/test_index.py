"""The index has a row for each sprite, and the same bytes for the same rows."""

import io

import pandas as pd
import pyarrow.parquet as parquet

from diamond_cutter.storage.sets.records import FLAGS, FileRef, SpriteScores
from diamond_cutter.storage.sets.sprite_set import LayerShards
from diamond_cutter.tasks.gathering.index import COLUMNS, sprite_table, to_parquet
from tests.storage.shard_records import shard_record


def file_of(name: str) -> FileRef:
    return FileRef(key=f"{name}.webp", size=1, crc32c=1)


LAYERS = {
    "stem": LayerShards(
        {
            "b": shard_record([5, 4], file_of("b"), columns=1),
            "a": shard_record([0, 1], file_of("a")),
        }
    ),
    "head": LayerShards({"c": shard_record([7], file_of("c"), cell_px=64)}),
}


def test_a_row_for_each_sprite_in_order_of_layers_and_channels() -> None:
    table = sprite_table(LAYERS, ["head", "logits", "stem"])
    assert list(zip(table["layer"], table["channel"], strict=True)) == [
        ("head", 7),
        ("stem", 0),
        ("stem", 1),
        ("stem", 4),
        ("stem", 5),
    ]
    assert table["shard"].tolist() == ["c.webp", "a.webp", "a.webp", "b.webp", "b.webp"]
    assert table["cell"].tolist() == [0, 0, 1, 1, 0]
    assert table["columns"].tolist() == [1, 2, 2, 1, 1]
    assert table["cell_px"].tolist() == [64, 8, 8, 8, 8]
    assert table["objective"].tolist() == [3.5, 0.0, 0.5, 2.0, 2.5]


def test_columns_and_types_are_fixed() -> None:
    for table in (sprite_table(LAYERS, LAYERS), sprite_table({}, [])):
        assert list(table.columns) == list(COLUMNS)
        assert {name: str(kind) for name, kind in table.dtypes.items()} == COLUMNS


def test_flags_become_columns_and_a_missing_number_a_gap() -> None:
    numbers = {
        "objective": None,
        "highest_activation": None,
        "contrast": 0,
        "saturation": 0.75,
        "checkerboard": 1.5,
    }
    flagged = SpriteScores(
        channel=3, **numbers, flags=("grey", "checkerboard", "not_finite"), rung="none"
    )
    shard = shard_record([3], file_of("a")).model_copy(update={"sprites": (flagged,)})
    row = sprite_table({"stem": LayerShards({"a": shard})}, ["stem"]).iloc[0]
    flags = {flag: row[f"flag_{flag}"] for flag in FLAGS}
    assert flags == {
        "dead": False,
        "grey": True,
        "saturated": False,
        "checkerboard": True,
        "not_finite": True,
    }
    assert all(
        pd.isna(row[name])
        for name in ("objective", "highest_activation", "specificity", "photo_ratio")
    )
    assert (row["saturation"], row["checkerboard"], row["rung"]) == (0.75, 1.5, "none")


def test_every_score_of_a_record_has_its_column() -> None:
    assert set(SpriteScores.model_fields) - {"flags"} < set(COLUMNS)
    known = SpriteScores(
        channel=3,
        variant=2,
        objective=1.5,
        highest_activation=3.0,
        specificity=4.5,
        photo_ratio=0.75,
        contrast=0.25,
        saturation=0.125,
        checkerboard=0.5,
        rung="seed",
    )
    shard = shard_record([3], file_of("a")).model_copy(update={"sprites": (known,)})
    row = sprite_table({"stem": LayerShards({"a": shard})}, ["stem"]).iloc[0]
    assert (
        SpriteScores(
            **row[[name for name in SpriteScores.model_fields if name != "flags"]].to_dict()
        )
        == known
    )


def test_variants_have_a_row_each() -> None:
    layers = {"stem": LayerShards({"a": shard_record([5, 4], file_of("a"), variants=2, columns=3)})}
    table = sprite_table(layers, layers)
    assert list(zip(table["channel"], table["variant"], table["cell"], strict=True)) == [
        (4, 0, 2),
        (4, 1, 3),
        (5, 0, 0),
        (5, 1, 1),
    ]


def test_photos_that_came_later_fill_in_the_ratio_of_their_layer() -> None:
    table = sprite_table(LAYERS, LAYERS, {"stem": {0: 4.0, 5: 12.0, 7: 1.0}, "logits": {7: 1.0}})
    assert table["photo_ratio"].dropna().to_dict() == {0: 1.5, 3: 0.5}
    assert (table["layer"][0], table["channel"][3]) == ("stem", 5)


def test_the_same_table_makes_the_same_bytes() -> None:
    data = to_parquet(sprite_table(LAYERS, LAYERS))
    assert to_parquet(sprite_table(dict(reversed(LAYERS.items())), LAYERS)) == data
    assert to_parquet(sprite_table(LAYERS, ["head"])) != data


def test_a_table_is_read_back_as_it_was() -> None:
    for layers in (LAYERS, {}):
        table = sprite_table(layers, LAYERS)
        read = pd.read_parquet(io.BytesIO(to_parquet(table)))
        pd.testing.assert_frame_equal(read, table)


def test_other_readers_find_the_columns_typed() -> None:
    schema = parquet.read_schema(io.BytesIO(to_parquet(sprite_table({}, []))))
    assert schema.names == list(COLUMNS)
    assert [
        str(schema.field(name).type) for name in ("channel", "objective", "flag_dead", "cell")
    ] == ["int32", "double", "bool", "int32"]
    assert "string" in str(schema.field("layer").type)
