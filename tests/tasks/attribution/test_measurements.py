"""A table of numbers comes back as it was, and rubbish is told from it."""

import io
from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from diamond_cutter.storage.errors import Corrupt
from diamond_cutter.tasks.attribution.measurements import (
    ImageRows,
    LayerRows,
    from_parquet,
    join_rows,
    to_parquet,
)
from tests.tasks.attribution.made_up_rows import HOSTILE, LAYERS, rows


def check_same(found: ImageRows, wanted: ImageRows) -> None:
    assert list(found.names) == list(wanted.names) and list(found.labels) == list(wanted.labels)
    for what in ("numbers", "label_classes", "classes", "probabilities", "positive", "negative"):
        np.testing.assert_array_equal(getattr(found, what), getattr(wanted, what))
        assert getattr(found, what).dtype == getattr(wanted, what).dtype
    assert list(found.layers) == list(wanted.layers)
    for layer in wanted.layers:
        for part in fields(LayerRows):
            one, other = (getattr(each.layers[layer], part.name) for each in (found, wanted))
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


@pytest.mark.parametrize("count", [1, 2, 17])
def test_a_table_comes_back_as_it_was(count: int) -> None:
    wanted = rows(range(40, 40 + count))
    check_same(from_parquet(to_parquet(wanted), "key"), wanted)


def test_numbers_of_float32_keep_every_bit() -> None:
    odd = np.array(
        [[np.float32(0.1), -0.0, np.finfo(np.float32).max, 1e-45, np.pi, -1]], np.float32
    )
    wanted = rows([1])
    wanted = replace(wanted, layers={"stem": replace(wanted.layers["stem"], channels=odd)})
    assert (
        from_parquet(to_parquet(wanted), "key").layers["stem"].channels.tobytes() == odd.tobytes()
    )


@pytest.mark.parametrize(
    "name", ["channels:channels:", ":", "a:b", "highest:stem", " ", HOSTILE, "name", "image"]
)
def test_a_layer_may_have_any_name(name: str) -> None:
    wanted = rows([3, 4], {name: (5, 4), "stem": (3, 1)})
    check_same(from_parquet(to_parquet(wanted), "key"), wanted)


def test_labels_may_be_none_or_empty_or_of_any_letters() -> None:
    wanted = replace(rows([0, 1, 2, 3]), labels=[None, "", HOSTILE, "猫\n"])
    assert from_parquet(to_parquet(wanted), "key").labels == [None, "", HOSTILE, "猫\n"]
    assert from_parquet(to_parquet(replace(wanted, labels=[None] * 4)), "key").labels == [None] * 4


def test_tables_are_joined_in_their_order() -> None:
    parts = [rows([7, 8]), rows([1]), rows([3, 4, 5])]
    whole = join_rows(parts)
    assert whole is not None
    check_same(whole, rows([7, 8, 1, 3, 4, 5]))
    assert join_rows([]) is None


def sound() -> pa.Table:
    return pq.read_table(io.BytesIO(to_parquet(rows([1, 2]))))


def as_file(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no table",
        b"PAR1" + bytes(100) + b"PAR1",
        to_parquet(rows([1, 2]))[:-20],
        as_file(pa.table({"image": [1, 2]})),
        as_file(sound().drop_columns(["classes"])),
        as_file(sound().drop_columns(["where:stem"])),
        as_file(sound().set_column(4, "classes", pa.array(["a", "b"]))),
    ],
    ids=[
        "empty",
        "text",
        "zeros",
        "cut off",
        "another table",
        "no classes",
        "half a layer",
        "no lists",
    ],
)
def test_rubbish_is_said_to_be_such(data: bytes) -> None:
    with pytest.raises(
        Corrupt,
        match=r"^Table some/key\.parquet is unreadable \(\w+\)\. Run the same command again to "
        r"write it again\.$",
    ):
        from_parquet(data, "some/key.parquet")


def test_a_layer_has_four_columns_and_an_image_a_row() -> None:
    table = sound()
    assert table.num_rows == 2
    assert [name for name in table.column_names if name.endswith(f":{HOSTILE}")] == [
        f"{part.name}:{HOSTILE}" for part in fields(LayerRows)
    ]
    assert len(table.column_names) == 8 + 4 * len(LAYERS)
