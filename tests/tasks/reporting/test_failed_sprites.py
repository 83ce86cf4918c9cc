"""A report says how many of its sprites failed, and what helps."""

from diamond_cutter.tasks.reporting.failed_sprites import failed_sprites


def test_sprites_without_flags_have_not_failed() -> None:
    assert failed_sprites("digits", "fast@1", {"one": [(), ()], "two": []}) is None


def test_flags_are_counted_and_layers_named_that_tuning_may_help() -> None:
    flags = {"one": [("saturated",), (), ("dead", "grey")], "two": [("dead",)], "three": [()]}
    found = failed_sprites("digits", "fast@1", flags)  # type: ignore[arg-type]
    assert found is not None and (found.failed, found.of) == (3, 5)
    assert found.by_flag == {"dead": 2, "grey": 1, "saturated": 1}
    assert "diamond-cutter tune digits --layers one`" in found.advice


def test_tuning_starts_from_the_recipe_of_the_sprites() -> None:
    found = failed_sprites("digits", "tiny@1", {"one": [("grey",)]})
    assert found is not None and "tune digits --layers one --recipe tiny`" in found.advice
    found = failed_sprites("digits", "tuned@1", {"one": [("grey",)]})
    assert found is not None and "tune digits --layers one`" in found.advice


def test_nothing_helps_dead_channels() -> None:
    found = failed_sprites("digits", "fast@1", {"two": [("dead",)]})
    assert found is not None and "tune" not in found.advice
