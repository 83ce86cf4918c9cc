"""What a file holds instead of a frozen graph is named in one sentence."""

import gzip
from pathlib import Path

import pytest
import tensorflow as tf

from diamond_cutter.model_inventory.errors import BadModel
from diamond_cutter.model_inventory.tensorflow.frozen_graph import (
    output_tensor,
    read_frozen_graph,
)
from tests.model_inventory.tensorflow.slim_graphs import refusal, slim_style, written


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "does not exist. Give the .pb file" in refusal(tmp_path / "none.pb")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty. Download it again."),
        (b"hello, world", "is truncated or not a frozen graph"),
        (bytes(1000), "is truncated or not a frozen graph"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is truncated or not a frozen graph"),
        (gzip.compress(b"x" * 100, mtime=0), "is packed by gzip. Unpack it first."),
        (b'node {\n  name: "x"\n}', "is a graph as text"),
        (b"\n<!DOCTYPE html><p>", "is a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a pointer of Git LFS",
        ),
    ],
)
def test_what_is_no_graph(file: Path, data: bytes, sentence: str) -> None:
    assert sentence in refusal(written(file, data))


def test_a_file_that_is_too_large_is_not_even_read(file: Path) -> None:
    with open(file, "wb") as sparse:
        sparse.truncate(2**31)
    assert "is too large: expected at most 2147483647 bytes, found 2147483648." in refusal(file)


def test_a_part_of_a_graph_is_refused_wherever_it_ends(file: Path) -> None:
    data = slim_style().SerializeToString()
    for end in range(1, len(data) - 1, max(1, len(data) // 60)):
        written(file, data[:end])
        try:
            whole = output_tensor(read_frozen_graph(file)) == "Net/Predictions/Softmax:0"
        except BadModel as error:
            assert "\n" not in str(error)
        else:
            assert whole or end < len(data), "cut between two nodes it may be a smaller graph"
    nodes = slim_style()
    del nodes.node[3]
    assert "is truncated or edited: node " in refusal(written(file, nodes))


def test_a_part_of_a_saved_model(file: Path, tmp_path: Path) -> None:
    class Doubles(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3])])
        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            return x * 2

    tf.saved_model.save(Doubles(), str(tmp_path / "saved"))
    assert "is a part of a SavedModel: expected a frozen graph. Give the folder" in refusal(
        tmp_path / "saved" / "saved_model.pb"
    )
