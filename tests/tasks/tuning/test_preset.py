"""A preset keeps the findings of each layer, whoever writes beside it."""

import threading
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.storage import Corrupt, LocalBucket
from diamond_cutter.storage.bucket import ObjectInfo
from diamond_cutter.storage.sets.layout import preset_key
from diamond_cutter.tasks.rendering.recipe import LayerSettings, RenderRecipe
from diamond_cutter.tasks.tuning.preset import (
    BadPreset,
    LayerTuning,
    Preset,
    Trial,
    add_layer,
    preset_to_continue,
    read_preset,
)

MODEL = "toy@01234567"
START = RenderRecipe(steps=7)


def trial(settings: LayerSettings | None = None, **fields: Any) -> Trial:
    """Return a made-up trial."""
    said = {
        "objective": 2.0,
        "specificity": 4.0,
        "saturation": 0.2,
        "seconds_per_sprite": 1.0,
        **fields,
    }
    return Trial(settings=settings or LayerSettings(steps=7), steps=7, **said)


def tuning(layer: str, **settings: Any) -> LayerTuning:
    """Return a made-up tuning."""
    best = trial(LayerSettings(steps=7, **settings), objective=3.0)
    said = {"channels": (0, 1), "base": trial(), "best": best, "merit": 1.2, "trials": 9}
    return LayerTuning(layer=layer, layer_sha256="0" * 64, **said)


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def layers(bucket: LocalBucket) -> list[str]:
    """Return the layers of the stored preset."""
    preset = read_preset(bucket, MODEL)
    assert preset is not None
    return [layer.layer for layer in preset.layers]


@pytest.mark.parametrize(
    ("fields", "merit"),
    [
        ({}, 1.0),
        ({"objective": 8.0}, 2.0),  # the geometric mean of 4 and 1
        ({"objective": 8.0, "specificity": 1.0}, 1.0),
        ({"objective": 4.0, "specificity": 8.0}, 2.0),
        ({"saturation": 0.6}, 0.5),
        ({"objective": 4.0, "specificity": None}, 2.0),
    ],
)
def test_merit_weighs_gains_against_each_other(fields: dict[str, Any], merit: float) -> None:
    assert trial(**fields).merit(trial()) == pytest.approx(merit)


@pytest.mark.parametrize(
    "fields",
    [
        {"objective": -1.0},
        {"objective": 0.0},
        {"specificity": -0.3},
        {"specificity": None},
        {"saturation": 1.0},
    ],
)
def test_the_base_has_merit_1_whatever_it_achieves(fields: dict[str, Any]) -> None:
    base = trial(**fields)
    assert base.merit(base) == 1.0
    assert trial(**fields | {"objective": -2.0}).merit(base) <= 1.0


def test_layers_are_added_and_replaced(bucket: LocalBucket) -> None:
    assert read_preset(bucket, MODEL) is None
    for layer in ("b", "a"):
        add_layer(bucket, MODEL, START, None, tuning(layer))
    stored = add_layer(bucket, MODEL, START, None, tuning("a", blur=0.3))
    assert stored == read_preset(bucket, MODEL)
    assert [(layer.layer, layer.best.settings.blur) for layer in stored.layers] == [
        ("a", 0.3),
        ("b", None),
    ]


def test_the_recipe_is_the_start_with_each_layers_best(bucket: LocalBucket) -> None:
    add_layer(bucket, MODEL, START, None, tuning("a", blur=0.3, jitter_px=(2,)))
    recipe = add_layer(bucket, MODEL, START, None, tuning("b", decay_power=1.5)).recipe
    assert recipe.name == "tuned" and recipe.layers.keys() == {"a", "b"}
    assert (recipe.at("a").blur, recipe.at("a").jitter_px, recipe.at("b").decay_power) == (
        0.3,
        (2,),
        1.5,
    )
    assert recipe.at("c").model_dump(exclude={"name", "layers"}) == START.model_dump(
        exclude={"name", "layers"}
    )
    # It is stored beside its sprites and read again.
    assert RenderRecipe.model_validate_json(recipe.to_bytes()) == recipe


def test_writers_at_once_lose_nothing(bucket: LocalBucket) -> None:
    both = threading.Barrier(2)

    def write(names: str) -> None:
        both.wait()
        for name in names:
            add_layer(bucket, MODEL, START, None, tuning(name))

    threads = [threading.Thread(target=write, args=(names,)) for names in ("abcdefgh", "ijklmnop")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert layers(bucket) == list("abcdefghijklmnop")


class Overtaken(LocalBucket):
    """A bucket in which another writer comes between reading the preset and writing it."""

    others: list[str]

    def put(self, key: str, data: bytes, **how: Any) -> ObjectInfo:
        if self.others:
            add_layer(
                LocalBucket(self.url.removeprefix("file://")),
                MODEL,
                START,
                None,
                tuning(self.others.pop()),
            )
        return super().put(key, data, **how)


@pytest.mark.parametrize("before", [[], ["a"]])
def test_who_is_overtaken_reads_again(tmp_path: Path, before: list[str]) -> None:
    bucket = Overtaken(tmp_path / "bucket")
    bucket.others = []
    for name in before:
        add_layer(bucket, MODEL, START, None, tuning(name))
    bucket.others = ["x", "y"]
    stored = add_layer(bucket, MODEL, START, None, tuning("b"))
    assert [layer.layer for layer in stored.layers] == layers(bucket) == [*before, "b", "x", "y"]


@pytest.mark.parametrize(
    ("start", "budget_s"),
    [(RenderRecipe(steps=8), None), (START, 2.0), (RenderRecipe(name="lucid"), 2.0)],
)
def test_another_start_begins_from_scratch(
    bucket: LocalBucket, start: RenderRecipe, budget_s: float | None
) -> None:
    add_layer(bucket, MODEL, START, None, tuning("a"))
    said = list[str]()
    assert preset_to_continue(bucket, MODEL, start, budget_s, said.append) is None
    assert len(said) == 1 and said[0].endswith("Tuning starts from scratch.")
    stored = add_layer(bucket, MODEL, start, budget_s, tuning("b"))
    assert (stored.start, stored.budget_s, layers(bucket)) == (start, budget_s, ["b"])


OF_ANOTHER = Preset(
    model="other@01234567", start=START, budget_s=None, layers=(tuning("c"),)
).to_bytes()
UNSUITED = OF_ANOTHER.replace(b"other@", b"toy@").replace(b'"scale": null', b'"scale": []')


NEWER = OF_ANOTHER.replace(b"other@", b"toy@").replace(b'"version": 1', b'"version": 2')


@pytest.mark.parametrize(
    "rubbish", [b"", b"{}", b"\xff", b"[]", OF_ANOTHER[:100], OF_ANOTHER, UNSUITED, NEWER]
)
def test_rubbish_is_replaced(bucket: LocalBucket, rubbish: bytes) -> None:
    bucket.put(preset_key(MODEL), rubbish)
    with pytest.raises(
        BadPreset,
        match=f"^preset {preset_key(MODEL)} cannot be .*`diamond-cutter tune {MODEL}` .*`--recipe "
        "fast`",
    ):
        read_preset(bucket, MODEL)
    said = list[str]()
    assert preset_to_continue(bucket, MODEL, START, None, said.append) is None
    assert len(said) == 1 and said[0].endswith("Tuning starts from scratch.")
    add_layer(bucket, MODEL, START, None, tuning("a"))
    assert layers(bucket) == ["a"]


def test_settings_that_no_recipe_can_have_are_told_in_one_sentence() -> None:
    with pytest.raises(
        Corrupt, match=r"scale must be factors between 0.25 and 4: found \(\)"
    ) as caught:
        Preset.from_bytes(UNSUITED, "models/toy/preset.json")
    assert "\n" not in str(caught.value)
