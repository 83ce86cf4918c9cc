"""What was found is said in words, whatever it is."""

import pytest

from diamond_cutter.flows.cli.layer_statistics import LayerReport
from diamond_cutter.flows.cli.layer_text import histogram
from diamond_cutter.flows.cli.record_text import in_words
from diamond_cutter.flows.cli.records import SetReport, ShownRecord
from diamond_cutter.flows.cli.tables import Rows
from diamond_cutter.storage.sets.records import (
    FileRef,
    PhotoActivations,
    RunRecord,
    SpritemapRecord,
)
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.tuning.preset import Preset
from tests.storage.shard_records import LAYER, MODEL, RECIPE, VERSIONS, scores, shard_record
from tests.tasks.tuning.test_preset import tuning

FILE = FileRef(key="a/b.webp", size=1_234_567, crc32c=7)
EMPTY = LayerReport(
    key="sprites/m/r/stem/",
    layer="stem",
    sprites=0,
    channels_done=0,
    channels=None,
    damaged_shards=1,
    flagged=0,
    flags={},
    rungs={},
    distributions=(),
    weakest=(),
    strongest=(),
)


def text(shown: object) -> str:
    """Return all that is said, tables' cells with bars between them."""
    lines = []
    for part in in_words(shown):  # type: ignore[arg-type]
        assert not isinstance(part, Rows) or all(len(row) == len(part.head) for row in part.rows)
        lines += (
            [part]
            if isinstance(part, str)
            else [" | ".join(row) for row in (part.head, *part.rows)]
        )
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("counts", "bars"),
    [
        ((0, 1, 2, 3, 4, 5, 6, 7, 8), " ▁▂▃▄▅▆▇█"),
        ((1, 1000, 0, 999, 500), "▁█ █▄"),
        ((3,), "█"),
        ((0, 0), "  "),
        ((), ""),
    ],
)
def test_bars_are_as_high_as_what_they_count(counts: tuple[int, ...], bars: str) -> None:
    assert histogram(counts) == bars


def test_a_layer_without_sprites_is_said_to_have_none() -> None:
    assert text(EMPTY) == (
        "sprites/m/r/stem/: 0 sprites, of 0 of ? channels\n1 damaged shard "
        "ignored. Run diamond-cutter verify for details."
    )


def test_a_set_of_layers_without_scores_leaves_gaps() -> None:
    said = text(SetReport(key="sprites/m/r/", model="m", recipe="r", layers=(EMPTY,)))
    assert said.startswith(
        "sprites/m/r/: 1 layer; the scores are medians\nlayer | channels | sprites | flagged | "
        "objective"
    )
    assert said.endswith("\nstem | 0 of ? | 0 | 0" + " | " * 7)


def test_a_shard_tells_what_it_is_of_and_how_it_was_made() -> None:
    record = shard_record([4, 2, 9], FILE, variants=2)
    failed = scores(7).model_copy(
        update={"objective": None, "flags": ("dead", "not_finite"), "rung": "none"}
    )
    saved = scores(8).model_copy(update={"rung": "pre-activation", "photo_ratio": 0.123456})
    record = record.model_copy(
        update={"sprites": (*record.sprites, failed, saved), "photos": "models/m/photos/p/l.json"}
    )
    said = text(ShownRecord(key="k", record=record, file_is_whole=True))
    for part in (
        f"shard of 8 sprites of {LAYER}, channels 2, 4, 7, 8, 9; up to 6 in a row, 8 px each",
        f"{MODEL} by {RECIPE}",
        "file a/b.webp, 1,234,567 bytes: whole",
        "started 2026-01-02 03:04:05 UTC, rendered in 1.5 s, 4 sprites at once",
        "computed in float32 on none; diamond cutter 0, ",
        f"tensorflow {VERSIONS.tensorflow}",
        "compared with the photos of models/m/photos/p/l.json",
        "1 flagged: 1 dead, 1 not finite",
        "6 at the first attempt; saved: 1 by pre-activation; 1 failed at every attempt",
        "\n9 | 1 | 4.625 | 6 |",
        "\n7 | 0 |  | 6 |  |  | 0.25 | 0.125 | 0.5 | none | dead, not finite",
        "\n8 | 0 | 4 | 6 |  | 0.1235 | 0.25 | 0.125 | 0.5 | pre-activation | ",
    ):
        assert part in said


def test_a_spritemap_tells_what_became_of_its_file() -> None:
    sprites = tuple(map(scores, (*range(9), 20)))
    names = {"model": MODEL, "recipe": RECIPE, "layer": LAYER}
    record = SpritemapRecord(
        **names, cell_px=8, columns=3, rows=4, sprites=sprites, shards=(FILE,), file=FILE
    )
    said = text(ShownRecord(key="k", record=record, file_is_whole=False))
    assert (
        f"spritemap of 10 sprites of {LAYER}, channels 0 to 20, 10 of them; 3 in a row, 8 px each"
        in said
    )
    assert "gathered from 1 shard\n" in said and "no flags\n10 at the first attempt\n" in said
    assert "missing or damaged. Run the same command to repair it" in said


def test_a_run_tells_what_was_asked_for_and_what_failed() -> None:
    record = RunRecord(
        model=MODEL,
        recipe=RECIPE,
        selection={"stem": tuple(range(32)), "head": (7,)},
        shards=("a", "b"),
        spritemaps=("c.json",),
        sprites=33,
        flagged={"grey": 2},
        rungs={"none": 1, "seed": 2},
        failures=("stem channels 0-31: no luck",),
        finished="2026-01-02T03:04:05Z",  # type: ignore[arg-type]
    )
    said = text(ShownRecord(key="k", record=record))
    for part in (
        "run of 33 channels of 2 layers: 33 sprites\n",
        "finished 2026-01-02 03:04:05 UTC\nflags: 2 grey\nsaved: 2 by seed; 1 failed at every "
        "attempt\n",
        "\nstem | 0 to 31\nhead | 7\n",
        "contained in 2 shards and 1 spritemap\nspritemap: c.json\nfailed: stem channels 0-31: no "
        "luck",
    ):
        assert part in said
    plain = text(
        ShownRecord(key="k", record=record.model_copy(update={"flagged": {}, "rungs": {}}))
    )
    assert "UTC\nno flags\nlayer | channels\n" in plain


def test_a_recipe_tells_all_its_fields_and_what_they_mean() -> None:
    recipe = RenderRecipe(name="own", steps=7, seed=3)
    said = text(ShownRecord(key="k", record=recipe))
    assert said.startswith(f"recipe {recipe.key}\n")
    assert "\nsteps | 7 | optimisation steps\n" in said
    assert all(f"\n{name} | " in said for name in RenderRecipe.model_fields)
    assert max(map(len, said.splitlines())) < 250


def test_a_preset_tells_what_was_found_for_each_layer() -> None:
    start = RenderRecipe(steps=7)
    best = tuning(
        "stem",
        blur=0.25,
        pre_activation=True,
        pad_px=24,
        jitter_px=(24, 16),
        rotate_degrees=tuple(range(-20, 21, 2)),
    )
    vague = best.base.model_copy(update={"specificity": None})
    nothing = best.model_copy(
        update={"layer": "head", "base": vague, "best": vague, "merit": 1.0, "trials": 1}
    )
    preset = Preset(model=MODEL, start=start, budget_s=None, layers=(best, nothing))
    assert text(ShownRecord(key="k", record=preset)) == (
        f"preset of {MODEL}: {preset.recipe.key}, the default recipe of sprites\n"
        f"2 layers tuned, from {start.key} with its own steps\n"
        "layer | objective | specificity | found\n"
        "stem | 2 to 3 | 4 to 4 | merit 1.20 with blur 0.25, pre activation, "
        "pad px 24, jitter px 24 16, rotate degrees -20 to 20; 7 steps, 9 trials\n"
        "head | 2 to 2 |  | nothing better than the original recipe; 7 steps, 1 trial"
    )
    assert "with a budget of 1.5 s a sprite" in text(
        ShownRecord(key="k", record=preset.model_copy(update={"budget_s": 1.5}))
    )


@pytest.mark.parametrize(
    ("before", "words"),
    [(False, "at its output"), (True, "before its activation function")],
)
def test_photos_tell_how_many_channels_they_excite(before: bool, words: str) -> None:
    record = PhotoActivations(
        model=MODEL,
        layer=LAYER,
        pre_activation=before,
        photos="p@1",
        images=1,
        unreadable=("x.jpg",),
        highest=(0, -1, 2.5),
    )
    said = text(ShownRecord(key="k", record=record))
    assert said == (
        f"activations of {LAYER} of {MODEL} on 1 photo of p@1, measured {words}\n"
        "1 of 3 channels are active on some photo; the highest activation is 2.5\n"
        "unreadable: x.jpg"
    )
    assert "0 of 0 channels" in text(
        ShownRecord(key="k", record=record.model_copy(update={"highest": ()}))
    )
