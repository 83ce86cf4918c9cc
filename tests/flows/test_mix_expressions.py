"""Mixes as a user writes them."""

import json
from pathlib import Path

import numpy as np
import pytest

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.mix_expressions import MixOptions, check_mixes, parse_sum, read_mixes
from diamond_cutter.model_inventory.errors import UnknownLayer
from diamond_cutter.tasks.rendering.subjects import Mixes, Term
from tests.flows.made_up_set import made_up_card
from tests.tasks.photos.small_images import sparse


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("stem:7", {"stem": {7: 1.0}}),
        ("0.5*block_10:7 + 0.5*block_3:12", {"block_10": {7: 0.5}, "block_3": {12: 0.5}}),
        (" -stem:1 - .25 * stem:2+3e-1*stem:3 ", {"stem": {1: -1.0, 2: -0.25, 3: 0.3}}),
        ("2*stem:1+stem:1", {"stem": {1: 3.0}}),
        ("stem:1 + stem:2 - stem:1", {"stem": {2: 1.0}}),
        ("block_1.expand:3-conv2d-1:4", {"block_1.expand": {3: 1.0}, "conv2d-1": {4: -1.0}}),
        ("conv:0:5", {"conv:0": {5: 1.0}}),
    ],
)
def test_a_sum_is_read(text: str, total: dict[str, dict[int, float]]) -> None:
    assert parse_sum(text) == total


def test_a_sum_that_cannot_be_read_is_refused() -> None:
    for text in [
        "",
        " ",
        "stem",
        "stem:",
        ":7",
        "stem:1 block_0:2",
        "stem:1 +",
        "+ + stem:1",
        "a*stem:1",
        "stem:-1",
        "--json",
    ]:
        with pytest.raises(
            RequestError, match=r"is not valid: expected terms of layer:channel, such as 0\.5"
        ):
            parse_sum(text)


@pytest.mark.parametrize(
    "text", ["0*stem:1", "stem:1 - stem:1", "0.1*stem:1 + 0.2*stem:1 - 0.3*stem:1"]
)
def test_a_sum_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"the mix .* is empty"):
        parse_sum(text)


def test_each_sum_is_a_mix_with_a_term_for_each_layer() -> None:
    first, second = read_mixes(MixOptions(mix=("0.5*stem:1 - block_0:2 + stem:4", "stem:3"))).mixes
    assert first.label == "0.5*stem:1 + stem:4 - block_0:2"
    assert first.terms == (
        Term(layer="stem", channels=(1, 4), weights=(0.5, 1.0)),
        Term(layer="block_0", channels=(2,), weights=(-1.0,)),
    )
    assert second.label == "stem:3"


def test_the_same_sum_written_otherwise_is_the_same_mix() -> None:
    written = read_mixes(MixOptions(mix=("0.50 * stem:1+1*block_0:2",)))
    assert written.name == read_mixes(MixOptions(mix=("0.5*stem:1 + block_0:2",))).name
    assert written.name != read_mixes(MixOptions(mix=("0.5*stem:1 - block_0:2",))).name


def test_the_way_from_one_mix_to_another_counts_both_ends() -> None:
    mixes = read_mixes(
        MixOptions(interpolate=("stem:1", "2*stem:1 + 0.4*block_0:2"), frames=5)
    ).mixes
    assert [mix.label for mix in mixes] == [
        "stem:1",
        "1.25*stem:1 + 0.1*block_0:2",
        "1.5*stem:1 + 0.2*block_0:2",
        "1.75*stem:1 + 0.3*block_0:2",
        "2*stem:1 + 0.4*block_0:2",
    ]
    assert len(read_mixes(MixOptions(interpolate=("stem:1", "stem:2"))).mixes) == 6


def test_a_way_that_leads_through_nothing_is_refused() -> None:
    with pytest.raises(RequestError, match="a frame without weights"):
        read_mixes(MixOptions(interpolate=("stem:1", "-stem:1"), frames=3))
    assert len(read_mixes(MixOptions(interpolate=("stem:1", "-stem:1"), frames=4)).mixes) == 4


@pytest.mark.parametrize("ending", ["npy", "json"])
def test_each_row_of_a_file_is_a_direction(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"directions.{ending}"
    rows = np.zeros((2, 32), np.float32)
    rows[0, :3], rows[1, 31] = (1.0, -0.5, 0.1), 2.0
    if ending == "npy":
        np.save(file, rows)
    else:
        file.write_text(json.dumps(rows.tolist()))
    options = MixOptions(mix=("stem:0",), directions=str(file), direction_layer="stem")
    mixes = read_mixes(options, made_up_card()).mixes
    assert [mix.label for mix in mixes] == ["stem:0", "direction 0 in stem", "direction 1 in stem"]
    assert mixes[1].terms == (Term(layer="stem", channels=(0, 1, 2), weights=(1.0, -0.5, 0.1)),)
    assert mixes[2].terms == (Term(layer="stem", channels=(31,), weights=(2.0,)),)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            np.ones((2, 31)),
            "directions in .* do not fit layer 'stem': expected 32 channels, found 31",
        ),
        (
            np.ones((2, 2, 32)),
            r"finite numbers of shape \[direction, channel\], found shape \[2, 2, 32\]",
        ),
        (np.full((1, 32), np.nan), "expected finite numbers"),
        (np.zeros((0, 32)), "expected finite numbers"),
        (np.eye(3, 32, k=-1), "direction 0 of .* is all zeros"),
        (np.array([{}], object), "cannot be read"),
        (np.array([["a"]]), "cannot be read"),
    ],
)
def test_directions_that_do_not_fit_are_refused(
    rows: np.ndarray, said: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "directions.npy", rows, allow_pickle=True)
    options = MixOptions(directions=str(tmp_path / "directions.npy"), direction_layer="stem")
    with pytest.raises(RequestError, match=said):
        read_mixes(options, made_up_card())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", b"rubbish"),
        ("a.npy", b""),
        ("a.json", b"[[1, 2], [3]]"),
        ("a.json", b"{}"),
        ("a.json", b"\xff"),
    ],
)
def test_files_that_are_no_directions_are_refused(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    for file in (tmp_path / name, tmp_path / "nowhere.npy"):
        with pytest.raises(RequestError, match="cannot be read"):
            read_mixes(MixOptions(directions=str(file), direction_layer="stem"))


@pytest.mark.parametrize("ending", ["npy", "json"])
def test_directions_that_do_not_fit_into_memory_are_refused(ending: str, tmp_path: Path) -> None:
    file = sparse(tmp_path / f"a.{ending}", 6 << 30)
    options = MixOptions(directions=str(file), direction_layer="stem")
    with pytest.raises(
        RequestError,
        match=r"a\.\w+ cannot be read: it has 6,442,450,944 bytes: expected at most "
        r"67,108,864\. Give",
    ):
        read_mixes(options)
    np.save(tmp_path / "one.npy", np.zeros((1, 1)))
    one = (tmp_path / "one.npy").read_bytes()
    claims = [
        one.replace(b"(1, 1), }" + b" " * 30, b"(1, 1%s), }" % zeros + b" " * (30 - len(zeros)))
        for zeros in (b"0" * 14, b"0" * 30)
    ]
    for content in claims if ending == "npy" else [b"[" * 1_000_000]:
        file.write_bytes(content)
        with pytest.raises(RequestError, match=rf"a\.{ending} cannot be read: "):
            read_mixes(options)


def test_options_that_need_each_other_are_given_together() -> None:
    with pytest.raises(RequestError, match="without --interpolate"):
        read_mixes(MixOptions(mix=("stem:1",), frames=3))
    for half in (MixOptions(directions="a.npy"), MixOptions(direction_layer="stem")):
        with pytest.raises(RequestError, match="must be given together"):
            read_mixes(half)


def test_what_a_model_does_not_have_is_refused() -> None:
    def mixed(text: str) -> Mixes:
        return read_mixes(MixOptions(mix=(text,)))

    check_mixes(made_up_card(), mixed("stem:31 + block_0:79"))
    with pytest.raises(UnknownLayer, match="did you mean 'stem'"):
        check_mixes(made_up_card(), mixed("stam:1"))
    with pytest.raises(
        RequestError, match="channel 32 of layer 'stem' does not exist: expected 0 to 31"
    ):
        check_mixes(made_up_card(), mixed("block_0:1 + stem:32"))


def test_a_weight_that_is_no_finite_number_is_refused() -> None:
    with pytest.raises(RequestError, match="rendered: the weights of a term must be finite"):
        read_mixes(MixOptions(mix=("1e999*stem:1",)))
