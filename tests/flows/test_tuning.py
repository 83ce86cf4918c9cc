"""A model is tuned layer by layer, and then rendered by what was found unless another recipe is asked for."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.cli import app, run
from flows.planning import settle_recipe
from flows.printing import print_layer_tuning, print_preset
from flows.request import AUTO, SpritesRequest, TuneRequest
from flows.tuning import tune
from storage import LocalBucket
from storage.layout import preset_key
from tasks.rendering.recipe import RenderRecipe
from tasks.tuning.preset import LayerTuning, Preset, add_layer
from tests.flows.conftest import SMALL, Command
from tests.flows.made_up_set import made_up_card
from tests.tasks.tuning.test_preset import START, tuning

CARD = made_up_card()
TUNE = ("tune", "efficientnet-lite0")


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def written(file: Path) -> tuple[int, bytes]:
    """Return when a file was last written, and with what; reading it changes neither."""
    return file.stat().st_mtime_ns, file.read_bytes()


def settled(bucket: LocalBucket, **asked: Any) -> RenderRecipe:
    return settle_recipe(bucket, CARD, SpritesRequest(model="made-up", bucket=bucket.url, **asked)).recipe


def test_auto_is_fast_until_the_model_is_tuned(bucket: LocalBucket) -> None:
    assert settled(bucket) == settled(bucket, recipe=AUTO) == RenderRecipe()
    preset = add_layer(bucket, CARD.key, START, None, tuning("stem", blur=0.3))
    assert settled(bucket) == settled(bucket, recipe=AUTO) == preset.recipe
    assert settled(bucket).at("stem").blur == 0.3


def test_a_recipe_that_is_asked_for_wins(bucket: LocalBucket) -> None:
    add_layer(bucket, CARD.key, START, None, tuning("stem", blur=0.3))
    for recipe in (RenderRecipe(), RenderRecipe(name="lucid"), RenderRecipe(steps=9)):
        assert settled(bucket, recipe=recipe) == recipe
    assert settled(bucket, recipe="fast") == RenderRecipe()


def test_a_preset_that_cannot_be_read_is_none(bucket: LocalBucket) -> None:
    for rubbish in (b"rubbish", Preset(model="other@01234567", start=START, budget_s=None, layers=(tuning("stem"),)).to_bytes()):
        bucket.put(preset_key(CARD.key), rubbish, mode="overwrite")
        assert settled(bucket) == RenderRecipe()


@pytest.mark.parametrize(
    ("options", "request_made"),
    [
        ((), TuneRequest(model="efficientnet-lite0")),
        (("--recipe", "lucid", "--budget-s", "1.5"), TuneRequest(model="efficientnet-lite0", recipe="lucid", budget_s=1.5)),  # type: ignore[arg-type]
        (
            ("--layers", "stem", "block_1*", "--recipe.steps", "9", "--again"),
            TuneRequest(model="efficientnet-lite0", layers=("stem", "block_1*"), recipe=RenderRecipe(steps=9), again=True),
        ),
    ],
)
def test_the_command_line_says_what_to_tune(options: tuple[str, ...], request_made: TuneRequest) -> None:
    _, bound, _ = app.parse_args([*TUNE, *options], exit_on_error=False, print_error=False)
    assert bound.arguments["request"] == request_made


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("tune", "efficientnet-lite"), "did you mean 'efficientnet-lite"),
        ((*TUNE, "--budget-s", "0"), "budget_s is wrong: input should be greater than 0"),
        ((*TUNE, "--recipe", "auto"), "tuning starts from a recipe without settings for single layers"),
        ((*TUNE, "--recipe.variants", "2"), "tuning starts from a recipe without"),
        ((*TUNE, "--recipe.layers.stem.steps", "7"), "tuning starts from a recipe without"),
        ((*TUNE, "--recipe", "tuned"), "there is no recipe named 'tuned'"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: tuple[str, ...], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(list(arguments)) == 2
    printed = capsys.readouterr()
    assert part in printed.err and len(printed.err.splitlines()) == 1 and not printed.out
    assert list(tmp_path.iterdir()) == []


def test_what_was_found_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    best = tuning("[red]\x1b[2J", blur=0.3, jitter_px=(24, 16), rotate_degrees=tuple(range(-20, 21, 2)))
    nothing = best.model_copy(update={"layer": "stem", "best": best.base, "merit": 1.0})
    print_layer_tuning(best)
    print_layer_tuning(nothing)
    assert capsys.readouterr().err.splitlines() == [
        "[red]\\x1b[2J: merit 1.20 with blur 0.3, jitter px 24 16, rotate degrees -20 to 20; 7 steps, 9 trials",
        "stem: nothing better than the recipe as it was; 7 steps, 9 trials",
    ]
    preset = Preset(model="m@0", start=START, budget_s=1.5, layers=(best, nothing))
    print_preset(preset, as_json=False)
    out = capsys.readouterr().out
    assert out.startswith(f"preset of m@0: {preset.recipe.key}, which sprites renders by unless told otherwise\n2 layers tuned, from fast@")
    assert "with as many steps as take 1.5 s a sprite\n" in out and "[red]\\x1b[2J  2 to 3     4 to 4       merit 1.20 with" in out
    print_preset(preset, as_json=True)
    assert Preset.model_validate_json(capsys.readouterr().out) == preset


@pytest.mark.prefect
def test_what_is_tuned_is_not_tuned_again(imported: tuple[Path, str]) -> None:
    folder, model = imported
    add_layer(LocalBucket(folder), model, START, None, tuning("stem"))
    told: list[LayerTuning] = []
    before = written(folder / preset_key(model))
    # Nothing can be tuned within this time.
    request = TuneRequest(model="efficientnet-lite0", layers=("stem",), bucket=str(folder), recipe=START, layer_timeout_s=1e-6)
    assert tune(request, told.append).layers == tuple(told) == (tuning("stem"),)
    assert written(folder / preset_key(model)) == before


@pytest.mark.prefect
def test_a_layer_that_takes_too_long_is_given_up(imported: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder, model = imported
    add_layer(LocalBucket(folder), model, START, None, tuning("stem"))
    options = ("--layers", "stem", "--recipe.steps", "7", "--again", "--layer-timeout-s", "0.001", "--bucket", str(folder))
    assert run([*TUNE, *options]) == 1
    printed = capsys.readouterr()
    assert "within 0.001 s" in printed.err and len(printed.err.splitlines()) == 1 and not printed.out
    assert Preset.model_validate_json((folder / preset_key(model)).read_bytes()).layers == (tuning("stem"),)


@pytest.mark.prefect
def test_layers_that_do_not_exist_are_refused(imported: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TUNE, "--layers", "stam", "--bucket", str(imported[0])]) == 2
    assert "did you mean 'stem'" in capsys.readouterr().err
    assert not (imported[0] / preset_key(imported[1])).exists()


@pytest.mark.prefect
def test_a_model_is_tuned_and_then_rendered_by_what_was_found(
    imported: tuple[Path, str], at_once: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model = imported
    where = ("--layers", "stem", "--bucket", str(folder), "--json")
    done = at_once(*TUNE, *where, *SMALL)
    assert done.returncode == 0, done.stderr
    preset = Preset.model_validate_json(done.stdout)
    assert preset == Preset.model_validate_json((folder / preset_key(model)).read_bytes())
    (found,) = preset.layers
    assert (found.layer, len(found.channels), preset.start.key) == (
        "stem",
        16,
        RenderRecipe(size_px=32, steps=4, input_sides=1, ladder=()).key,
    )
    assert found.merit >= 1.0
    assert f"stem: {'merit' if found.best != found.base else 'nothing better'}" in done.stderr

    sprites = ("sprites", "efficientnet-lite0", "--channels", "0:2", *where)
    done = at_once(*sprites)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["recipe"], summary["rendered"]) == (preset.recipe.key, 2)
    kept = (folder / "sprites" / model / preset.recipe.key / "recipe.json").read_bytes()
    assert RenderRecipe.model_validate_json(kept) == preset.recipe
    # There is nothing left to do, so nothing is measured.
    assert run(["plan", *sprites[1:]]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["recipe"], planned["sprites_done"], planned["sprites_to_do"]) == (preset.recipe.key, 2, 0)
    assert run(["verify", "--bucket", str(folder)]) == 0
    assert run(["show", preset_key(model), "--bucket", str(folder)]) == 0
    assert f"preset of {model}: {preset.recipe.key}" in capsys.readouterr().out
