"""A model is tuned layer by layer, and then rendered by what was found unless another recipe is
asked for.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diamond_cutter.flows.attribution_request import AttributionRequest
from diamond_cutter.flows.cli.main import app, run
from diamond_cutter.flows.cli.run_output import print_layer_tuning, print_preset
from diamond_cutter.flows.planning import settle_recipe
from diamond_cutter.flows.request_checks import check_attribution
from diamond_cutter.flows.request_fields import AUTO
from diamond_cutter.flows.sprites_request import SpritesRequest, TuneRequest
from diamond_cutter.flows.tuning import tune, tune_on
from diamond_cutter.storage import AccessDenied, Corrupt, LocalBucket
from diamond_cutter.storage.sets.layout import preset_key
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.storage.sets.sprite_set import read_layer
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.gathering.task import adopt_shards
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset, add_layer
from tests.flows.conftest import SMALL, Command
from tests.flows.made_up_set import made_up_card, put_bundle
from tests.flows.wide_network import wide_network
from tests.tasks.tuning.test_preset import START, tuning

CARD = made_up_card()
CARD = CARD.model_copy(update={"image": CARD.image.model_copy(update={"height": 33})})
TUNE = ("tune", "efficientnet-lite0")


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def written(file: Path) -> tuple[int, bytes]:
    """Return when a file was last written, and with what; reading it changes neither."""
    return file.stat().st_mtime_ns, file.read_bytes()


def settled(bucket: LocalBucket, **asked: Any) -> RenderRecipe:
    return settle_recipe(
        bucket, CARD, SpritesRequest(model="made-up", bucket=bucket.url, **asked)
    ).recipe


def test_auto_is_fast_until_the_model_is_tuned(bucket: LocalBucket) -> None:
    assert settled(bucket) == settled(bucket, recipe=AUTO) == RenderRecipe()
    preset = add_layer(bucket, CARD.key, START, None, tuning("stem", blur=0.3))
    assert settled(bucket) == settled(bucket, recipe=AUTO) == preset.recipe
    assert settled(bucket).at("stem").blur == 0.3


@pytest.mark.parametrize(
    ("height", "width", "name"), [(8, 8, "tiny"), (32, 28, "tiny"), (33, 8, "fast")]
)
def test_auto_suits_the_size_of_the_images(
    bucket: LocalBucket, height: int, width: int, name: str
) -> None:
    image = CARD.image.model_copy(update={"height": height, "width": width})
    card = CARD.model_copy(update={"image": image})
    found = settle_recipe(bucket, card, SpritesRequest(model="made-up", bucket=bucket.url)).recipe
    assert found == RenderRecipe(name=name)
    preset = add_layer(bucket, CARD.key, START, None, tuning("stem", blur=0.3))
    again = settle_recipe(bucket, card, SpritesRequest(model="made-up", bucket=bucket.url)).recipe
    assert again == preset.recipe


def test_a_recipe_that_is_asked_for_wins(bucket: LocalBucket) -> None:
    add_layer(bucket, CARD.key, START, None, tuning("stem", blur=0.3))
    for recipe in (RenderRecipe(), RenderRecipe(name="lucid"), RenderRecipe(steps=9)):
        assert settled(bucket, recipe=recipe) == recipe
    assert settled(bucket, recipe="fast") == RenderRecipe()


@pytest.mark.parametrize(
    "damage",
    [
        b"rubbish",
        Preset(
            model="other@01234567", start=START, budget_s=None, layers=(tuning("stem"),)
        ).to_bytes(),
    ],
)
def test_a_preset_that_cannot_be_used_stops_what_would_render_by_it(
    bucket: LocalBucket, damage: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_bundle(bucket)
    bucket.put(preset_key(CARD.key), damage)
    Image.new("RGB", (32, 32)).save(tmp_path / "image.png")
    where = ("--layers", "stem", "--bucket", bucket.url)
    for command in (
        ("plan", "made-up"),
        ("sprites", "made-up"),
        ("plan", "made-up", "--mix", "stem:1 + stem:2"),
    ):
        assert run([*command, *(where if "--mix" not in command else where[2:])]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert (
            preset_key(CARD.key) in said
            and "`--recipe fast`" in said
            and f"`diamond-cutter tune {CARD.key}`" in said
        )
    with pytest.raises(Corrupt):
        check_attribution(
            AttributionRequest(
                model="made-up",
                images=str(tmp_path),
                layers=("stem",),
                positive="all",
                bucket=bucket.url,
            )
        )
    with pytest.raises(Corrupt):
        settled(bucket)
    assert settled(bucket, recipe="fast") == RenderRecipe()
    assert not list(bucket.folders("sprites/"))


@pytest.mark.parametrize(
    ("options", "request_made"),
    [
        ((), TuneRequest(model="efficientnet-lite0")),
        (
            ("--recipe", "lucid", "--budget-s", "1.5"),
            TuneRequest(model="efficientnet-lite0", recipe="lucid", budget_s=1.5),
        ),  # type: ignore[arg-type]
        (
            ("--layers", "stem", "block_1*", "--recipe.steps", "9", "--again"),
            TuneRequest(
                model="efficientnet-lite0",
                layers=("stem", "block_1*"),
                recipe=RenderRecipe(steps=9),
                again=True,
            ),
        ),
    ],
)
def test_the_command_line_says_what_to_tune(
    options: tuple[str, ...], request_made: TuneRequest
) -> None:
    _, bound, _ = app.parse_args([*TUNE, *options], exit_on_error=False, print_error=False)
    assert bound.arguments["request"] == request_made


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("tune", "efficientnet-lite"), "did you mean 'efficientnet-lite"),
        ((*TUNE, "--budget-s", "0"), "budget_s is not valid: input should be greater than 0"),
        ((*TUNE, "--recipe", "auto", "--recipe.steps", "7"), "recipe auto cannot be changed"),
        ((*TUNE, "--recipe.variants", "2"), "tuning needs a recipe without"),
        ((*TUNE, "--recipe.layers.stem.steps", "7"), "tuning needs a recipe without"),
        ((*TUNE, "--recipe", "tuned"), "the recipe 'tuned' does not exist"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: tuple[str, ...],
    part: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(list(arguments)) == 2
    printed = capsys.readouterr()
    assert part in printed.err and len(printed.err.splitlines()) == 1 and not printed.out
    assert list(tmp_path.iterdir()) == []


def test_what_was_found_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    best = tuning(
        "[red]\x1b[2J", blur=0.3, jitter_px=(24, 16), rotate_degrees=tuple(range(-20, 21, 2))
    )
    nothing = best.model_copy(update={"layer": "stem", "best": best.base, "merit": 1.0})
    print_layer_tuning(best)
    print_layer_tuning(nothing)
    assert capsys.readouterr().err.splitlines() == [
        "[red]\\x1b[2J: merit 1.20 with blur 0.3, jitter px 24 16, rotate degrees -20 to 20; 7 "
        "steps, 9 trials",
        "stem: nothing better than the original recipe; 7 steps, 9 trials",
    ]
    preset = Preset(model="m@0", start=START, budget_s=1.5, layers=(best, nothing))
    print_preset(preset, as_json=False)
    out = capsys.readouterr().out
    assert out.startswith(
        f"preset of m@0: {preset.recipe.key}, the default recipe of sprites\n2 "
        "layers tuned, from fast@"
    )
    assert (
        "with a budget of 1.5 s a sprite\n" in out
        and "[red]\\x1b[2J  2 to 3     4 to 4       merit 1.20 with" in out
    )
    print_preset(preset, as_json=True)
    assert Preset.model_validate_json(capsys.readouterr().out) == preset


@pytest.mark.prefect
def test_what_is_tuned_is_not_tuned_again(
    imported: tuple[Path, str], request: pytest.FixtureRequest
) -> None:
    folder, model = imported
    add_layer(LocalBucket(folder), model, START, None, tuning("stem"))
    told: list[LayerTuning] = []
    before = written(folder / preset_key(model))
    request.getfixturevalue("only_read")
    # Nothing can be tuned within this time.
    asked = TuneRequest(
        model="efficientnet-lite0",
        layers=("stem",),
        bucket=str(folder),
        recipe=START,
        layer_timeout_s=1e-6,
    )
    assert tune(asked, told.append).layers == tuple(told) == (tuning("stem"),)
    assert written(folder / preset_key(model)) == before
    with pytest.raises(AccessDenied):
        tune(asked.model_copy(update={"again": True}))


@pytest.mark.prefect
def test_a_layer_that_takes_too_long_is_given_up(
    imported: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model = imported
    add_layer(LocalBucket(folder), model, START, None, tuning("stem"))
    options = (
        "--layers",
        "stem",
        "--recipe.steps",
        "7",
        "--again",
        "--layer-timeout-s",
        "0.001",
        "--bucket",
        str(folder),
    )
    assert run([*TUNE, *options]) == 1
    printed = capsys.readouterr()
    assert (
        "within 0.001 s" in printed.err and len(printed.err.splitlines()) == 1 and not printed.out
    )
    assert Preset.model_validate_json((folder / preset_key(model)).read_bytes()).layers == (
        tuning("stem"),
    )


@pytest.mark.parametrize(
    ("recipe", "side_px", "name"),
    [(AUTO, 8, "tiny"), (AUTO, 33, "fast"), ("lucid", 8, "lucid")],
)
def test_tuning_starts_from_the_recipe_by_which_sprites_would_render(
    bucket: LocalBucket, monkeypatch: pytest.MonkeyPatch, recipe: Any, side_px: int, name: str
) -> None:
    image = CARD.image.model_copy(update={"height": side_px, "width": side_px})
    card = CARD.model_copy(update={"image": image})
    monkeypatch.setattr("diamond_cutter.flows.tuning.find_model", lambda *_: card)
    started: list[RenderRecipe] = []

    def tune_layers(model: str, layers: object, request: TuneRequest, *_: object) -> None:
        started.append(request.recipe)
        add_layer(bucket, model, request.recipe, None, tuning("stem"))

    asked = TuneRequest(model="made-up", layers=("stem",), bucket=bucket.url, recipe=recipe)
    with DeviceSlots([""]) as slots:
        preset = tune_on(slots, asked, lambda _: None, lambda _: None, tune_layers)
    assert started == [preset.start] == [RenderRecipe(name=name)]
    if recipe == AUTO:
        rendered = SpritesRequest(model="made-up", bucket=f"{bucket.url}2")
        assert settle_recipe(LocalBucket(f"{bucket.url}2"), card, rendered).recipe == preset.start


@pytest.mark.prefect
def test_layers_that_do_not_exist_are_refused(
    imported: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TUNE, "--layers", "stam", "--bucket", str(imported[0])]) == 2
    assert "did you mean 'stem'" in capsys.readouterr().err
    assert not (imported[0] / preset_key(imported[1])).exists()


@pytest.mark.slow
@pytest.mark.prefect
def test_what_a_preset_leaves_alone_keeps_its_sprites(
    rendered: tuple[Path, dict[str, Any]],
    at_once: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, model = Path(shutil.copytree(rendered[0], tmp_path / "bucket")), rendered[1]["model"]
    bucket, fast = LocalBucket(folder), RenderRecipe(size_px=32, steps=4, input_sides=1, ladder=())
    asked = (
        "efficientnet-lite0",
        "--layers",
        "stem",
        "--channels",
        "0:8",
        "--bucket",
        str(folder),
        "--json",
    )

    def sprites(*options: str) -> dict[str, Any]:
        done = at_once("sprites", *asked, *options)
        assert done.returncode == 0, done.stderr
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    def shards(recipe: str) -> dict[str, ShardRecord]:
        return dict(read_layer(bucket, model, recipe, "stem").sound)

    recipe = add_layer(bucket, model, fast, None, tuning("block_1", blur=0.3)).recipe
    planned = json.loads(at_once("plan", *asked).stdout)
    counts = ("recipe", "sprites_done", "sprites_adopted", "sprites_to_do")
    assert [planned[name] for name in counts] == [recipe.key, 8, 8, 0] and planned["bytes"] > 0
    assert (
        "0 sprites to render in 0 shards, 8 done (8 of them to copy from other sets"
        in at_once("plan", *asked[:-1]).stdout
    )
    assert not shards(recipe.key)
    summary = sprites()
    assert (summary["recipe"], summary["rendered"], summary["reused"]) == (recipe.key, 0, 8)
    (source, theirs), (key, ours) = *shards(fast.key).items(), *shards(recipe.key).items()
    assert (ours.adopted_from, ours.sprites) == (source, theirs.sprites)
    assert bucket.get(ours.file.key) == bucket.get(theirs.file.key)
    assert (
        run(["show", key, "--bucket", str(folder)]) == 0
        and f"copied from {source}" in capsys.readouterr().out
    )
    again = json.loads(at_once("plan", *asked).stdout)
    assert [again[name] for name in counts[1:]] == [8, 0, 0]

    # Another layer is tuned, and fast is asked for after its set was removed.
    more = add_layer(bucket, model, fast, None, tuning("block_2", blur=0.3)).recipe
    planned = json.loads(at_once("plan", *asked).stdout)
    assert more.key != recipe.key and [planned[name] for name in counts] == [more.key, 8, 8, 0]
    assert at_once("rm", f"{model}/{fast.key}", "--yes", "--bucket", str(folder)).returncode == 0
    assert sprites(*SMALL)["rendered"] == 0
    (theirs,) = shards(fast.key).values()
    assert bucket.get(theirs.file.key) == bucket.get(ours.file.key)
    assert at_once("verify", "--bucket", str(folder)).returncode == 0
    assert json.loads(at_once("gc", "--bucket", str(folder), "--json").stdout)["leftovers"] == []

    # What is gone by the time that it is to be copied is rendered.
    assert at_once("rm", f"{model}/{fast.key}", "--yes", "--bucket", str(folder)).returncode == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "diamond_cutter.flows.sprites.adopt_shards",
            lambda *arguments: bucket.delete(key) or adopt_shards(*arguments),
        )
        assert sprites(*SMALL)["rendered"] == 8
    assert set(shards(fast.key)) == {source}


@pytest.mark.slow
@pytest.mark.prefect
def test_a_model_is_tuned_and_then_rendered_by_what_was_found(
    wide_bucket: Path, at_once: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model = wide_bucket, wide_network().card.key
    where = ("--layers", "one", "--bucket", str(folder), "--json")
    (folder / preset_key(model)).write_bytes(b"damaged")
    done = at_once("tune", "wide", *where, *SMALL)
    assert done.returncode == 0, done.stderr
    assert (
        f"preset {preset_key(model)} cannot be read" in done.stderr
        and ". Tuning starts from scratch." in done.stderr
    )
    preset = Preset.model_validate_json(done.stdout)
    assert preset == Preset.model_validate_json((folder / preset_key(model)).read_bytes())
    (found,) = preset.layers
    assert (found.layer, len(found.channels), preset.start.key) == (
        "one",
        16,
        RenderRecipe(size_px=32, steps=4, input_sides=1, ladder=()).key,
    )
    assert found.merit >= 1.0
    assert f"one: {'merit' if found.best != found.base else 'nothing better'}" in done.stderr

    sprites = ("sprites", "wide", "--channels", "0:2", *where)
    done = at_once(*sprites)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["recipe"], summary["rendered"]) == (preset.recipe.key, 2)
    kept = (folder / "sprites" / model / preset.recipe.key / "recipe.json").read_bytes()
    assert RenderRecipe.model_validate_json(kept) == preset.recipe
    # There is nothing left to do, so nothing is measured.
    assert run(["plan", *sprites[1:]]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["recipe"], planned["sprites_done"], planned["sprites_to_do"]) == (
        preset.recipe.key,
        2,
        0,
    )
    assert run(["verify", "--bucket", str(folder)]) == 0
    assert run(["show", preset_key(model), "--bucket", str(folder)]) == 0
    assert f"preset of {model}: {preset.recipe.key}" in capsys.readouterr().out


@pytest.mark.prefect
def test_the_flow_of_a_deployment_returns_what_is_tuned(server: None, bucket: LocalBucket) -> None:
    from diamond_cutter.flows.tuning_flow import tune as tune_flow

    put_bundle(bucket)
    preset = add_layer(bucket, CARD.key, START, None, tuning("stem", blur=0.3))
    request = TuneRequest(model="made-up", layers=("stem",), bucket=bucket.url, recipe=START)
    assert tune_flow(request) == preset
