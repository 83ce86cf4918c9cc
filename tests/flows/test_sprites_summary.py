"""What a run says of the sprites that failed, and of photos."""

from diamond_cutter.flows.sprites_summary import RunSummary, photo_warnings, without_sprite
from diamond_cutter.storage.sets.records import (
    Attempt,
    FileRef,
    Flag,
    PhotoActivations,
    SpritemapRecord,
    SpriteScores,
)


def sprite(channel: int, rung: Attempt, *flags: Flag, variant: int = 0) -> SpriteScores:
    return SpriteScores(
        channel=channel,
        variant=variant,
        objective=0,
        highest_activation=0,
        contrast=0,
        saturation=0,
        checkerboard=0,
        flags=flags,
        rung=rung,
    )


def spritemap(*sprites: SpriteScores) -> SpritemapRecord:
    file = FileRef(key="spritemap.webp", size=1, crc32c=0)
    return SpritemapRecord(
        model="made-up",
        recipe="fast",
        layer="stem",
        cell_px=32,
        columns=1,
        rows=1,
        sprites=sprites,
        shards=(file,),
        file=file,
    )


def photos(*highest: float, unreadable: tuple[str, ...] = ()) -> PhotoActivations:
    return PhotoActivations(
        model="made-up",
        layer="stem",
        photos="holiday@1a2b3c4d",
        images=3,
        highest=highest,
        unreadable=unreadable,
    )


def summary(**said: object) -> RunSummary:
    counts = {
        "rendered": 4,
        "reused": 0,
        "failed": 0,
        "flagged": {},
        "rungs": {},
        "dead": {},
        "unrendered": {},
        "photos": None,
    }
    names = {"model": "made-up", "recipe": "fast", "bucket": "bucket", "spritemaps": {}}
    return RunSummary.model_validate(
        {**counts, **names, "sprites_per_second": None, "warnings": (), "failures": (), **said}
    )


def test_only_what_no_rung_and_no_photo_wakes_is_dead_for_good() -> None:
    drawn = spritemap(
        sprite(0, "none", "dead", "grey"),
        sprite(1, "none", "dead"),
        sprite(2, "none", "grey"),
        sprite(3, "seed"),
        sprite(4, "first", "saturated"),
    )
    highest = photos(0.0, 0.1, 0.0, 0.0, 0.0)
    assert without_sprite({"stem": drawn}, {"stem": highest}) == ({"stem": (0,)}, {"stem": (1, 2)})
    assert without_sprite({"stem": drawn}, {}) == ({}, {"stem": (0, 1, 2)})


def test_a_channel_counts_as_failed_when_all_its_variants_do() -> None:
    drawn = spritemap(
        sprite(0, "none", "dead"),
        sprite(0, "none", "dead", variant=1),
        sprite(1, "none", "dead"),
        sprite(1, "first", variant=1),
        sprite(2, "none", "dead"),
        sprite(2, "none", "grey", variant=1),
    )
    assert without_sprite({"stem": drawn}, {"stem": photos(-1.0, -1.0, -1.0)}) == (
        {"stem": (0,)},
        {"stem": (2,)},
    )


def test_the_first_of_many_channels_are_named() -> None:
    dead = {f"block_{block}": tuple(range(9 if block else 1)) for block in range(8)}
    printed = summary(rungs={"none": 64, "steps": 2}, dead=dead, photos=3).in_words()
    assert "failed at the first attempt: 64 saved by no rung, 2 saved by steps" in printed
    assert "photo: 64 (block_0 0; block_1 0, 1, 2, 3, 4, 5, and 3 more; " in printed
    assert printed.endswith("block_5 0, 1, 2, 3, 4, 5, and 3 more; and 2 more)")


def test_without_photos_it_is_said_how_to_tell() -> None:
    def said(**more: object) -> str:
        return (
            summary(**{"rungs": {"none": 1}, "unrendered": {"stem": (7,)}, **more})
            .in_words()
            .splitlines()[-1]
        )

    assert said() == "every attempt failed, perhaps dead (--photos FOLDER shows which): 1 (stem 7)"
    assert said(photos=3) == "every attempt failed: 1 (stem 7)"
    assert said(unrendered={"mixes.01234567": (7,)}) == "every attempt failed: 1 (mixes.01234567 7)"


def test_photos_that_could_not_be_read_are_counted_and_named() -> None:
    assert photo_warnings("holiday", {}) == photo_warnings("holiday", {"stem": photos(0.0)}) == ()
    (warning,) = photo_warnings("holiday", {"stem": photos(0.0, unreadable=("a.jpg", "b.jpg"))})
    assert warning == "2 of 5 images in holiday are unreadable and were skipped: a.jpg, b.jpg"
    assert summary(warnings=(warning,)).in_words().endswith(f"warning: {warning}")
