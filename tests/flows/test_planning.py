"""What a run would do: what is asked for, less what the bucket's records cover."""

from pathlib import Path

import pytest

from diamond_cutter.flows.errors import RequestError
from diamond_cutter.flows.mix_expressions import MixOptions, read_mixes
from diamond_cutter.flows.planning import RunPlan, plan_run, shard_jobs
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.model_inventory.errors import UnknownLayer
from diamond_cutter.storage import LocalBucket
from tests.flows.made_up_set import RECIPE, made_up_card, put_shard


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


def plan(bucket: LocalBucket, *layers: str, channels: str | None = None) -> RunPlan:
    return plan_run(bucket, made_up_card(), request_of(bucket, *layers, channels=channels))


def request_of(bucket: LocalBucket, *layers: str, channels: str | None = None) -> SpritesRequest:
    return SpritesRequest(
        model="made-up",
        layers=layers or ("all",),
        channels=channels,
        bucket=bucket.url,
        recipe=RECIPE,
    )


def test_an_empty_bucket_lacks_everything(bucket: LocalBucket) -> None:
    planned = plan(bucket)
    assert [(layer.layer, layer.done, layer.to_do) for layer in planned.layers] == [
        ("stem", 0, 32),
        ("block_0", 0, 80),
    ]
    assert (planned.done, planned.to_do, planned.shard_count) == (0, 112, 4)
    assert [len(channels) for channels in planned.layers[1].shards] == [32, 32, 16]


def test_what_a_sound_record_covers_is_done(bucket: LocalBucket) -> None:
    put_shard(bucket, "block_0", (0, 1, 2, 40))
    (layer,) = plan(bucket, "block_0").layers
    assert (layer.done, layer.to_do) == (4, 76)
    assert [(channels[0], channels[-1], len(channels)) for channels in layer.shards] == [
        (3, 34, 32),
        (35, 67, 32),
        (68, 79, 12),
    ]
    assert not layer.damaged


def test_a_part_that_is_there_is_all_there_is_to_do(bucket: LocalBucket) -> None:
    put_shard(bucket, "stem", tuple(range(8)))
    planned = plan(bucket, "stem", channels="1,6,3")
    assert (planned.done, planned.to_do, planned.layers[0].shards) == (3, 0, ())


@pytest.mark.parametrize("ending", [".json", ".webp"])
def test_what_is_damaged_is_to_do_again(bucket: LocalBucket, ending: str) -> None:
    record = put_shard(bucket, "stem", tuple(range(8)))
    (key,) = (info.key for info in bucket.list("sprites/") if info.key.endswith(ending))
    bucket.put(key, b"rubbish", mode="overwrite")
    (layer,) = plan(bucket, "stem").layers
    assert (layer.done, layer.to_do, list(layer.damaged)) == (0, 32, [record])


def test_a_plan_writes_nothing(bucket: LocalBucket, tmp_path: Path) -> None:
    plan(bucket)
    assert list(tmp_path.iterdir()) == []


def test_the_selection_is_named_by_what_was_asked_for(bucket: LocalBucket) -> None:
    whole = plan(bucket, "stem").selection_id
    assert plan(bucket, "st*", channels="0:32").selection_id == whole
    assert plan(bucket, "stem", channels="0:31").selection_id != whole
    put_shard(bucket, "stem", (0, 1))
    assert plan(bucket, "stem").selection_id == whole


def test_jobs_come_layer_by_layer(bucket: LocalBucket) -> None:
    request = request_of(bucket)
    jobs = list(shard_jobs(plan_run(bucket, made_up_card(), request), request))
    assert [job.title for job in jobs] == [
        "stem channels 0-31",
        "block_0 channels 0-31",
        "block_0 channels 32-63",
        "block_0 channels 64-79",
    ]
    assert {(job.bucket, job.recipe.key, job.batch_size, job.photos) for job in jobs} == {
        (bucket.url, RECIPE.key, request.batch_size, None)
    }
    with_photos = shard_jobs(
        plan_run(bucket, made_up_card(), request), request, {"stem": "a record"}
    )
    assert [(job.name, job.photos) for job in with_photos][:2] == [
        ("stem", "a record"),
        ("block_0", None),
    ]


def test_what_does_not_exist_is_refused(bucket: LocalBucket) -> None:
    with pytest.raises(UnknownLayer, match="did you mean 'stem'"):
        plan(bucket, "stam")
    with pytest.raises(RequestError, match="'30:40' of layer 'stem' do not exist"):
        plan(bucket, channels="30:40")


def test_mixes_are_planned_as_a_layer_of_their_name(bucket: LocalBucket) -> None:
    mixes = read_mixes(MixOptions(interpolate=("stem:1", "block_0:2"), frames=40))
    request = SpritesRequest(model="made-up", mixes=mixes, bucket=bucket.url, recipe=RECIPE)
    planned = plan_run(bucket, made_up_card(), request)
    (layer,) = planned.layers
    assert (layer.layer, layer.subjects, layer.channels, layer.out_of) == (
        mixes.name,
        mixes,
        tuple(range(40)),
        40,
    )
    assert (layer.done, layer.to_do, planned.shard_count) == (0, 40, 2)
    first, second = shard_jobs(planned, request)
    assert (first.title, second.title) == (f"{mixes.name} 0-31", f"{mixes.name} 32-39")
    assert first.record_key.endswith(f"/{mixes.name}/00000-00031.json")


def test_variants_are_counted_and_cut_into_smaller_shards(bucket: LocalBucket) -> None:
    request = request_of(bucket, "stem").model_copy(
        update={"recipe": RECIPE.model_copy(update={"variants": 12})}
    )
    planned = plan_run(bucket, made_up_card(), request)
    assert (planned.done, planned.to_do) == (0, 32 * 12)
    assert [len(channels) for channels in planned.layers[0].shards] == [2] * 16
    assert [job.sprites for job in shard_jobs(planned, request)] == [24] * 16
