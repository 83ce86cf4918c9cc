"""A model in the bucket is found, refused as damaged, or unknown: never one for the other."""

import hashlib
from pathlib import Path

import pytest

from diamond_cutter.flows.cli.models import all_models
from diamond_cutter.flows.verification import verify
from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.catalogue import model_source, unknown_model
from diamond_cutter.model_inventory.errors import (
    AmbiguousModel,
    BadModel,
    UnknownModel,
    WeightsMissing,
)
from diamond_cutter.model_inventory.imagenet_accuracy import published_accuracy
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import card_key, graph_key, preset_key
from diamond_cutter.tasks.importing.stored import bundle_remedy, find_model, keep_bundle
from tests.flows.made_up_set import made_up_card, put_bundle, put_old_bundle

CARD = made_up_card()
OTHER = CARD.model_copy(update={"graph_sha256": hashlib.sha256(b"another graph").hexdigest()})


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    bucket = LocalBucket(tmp_path / "bucket")
    put_bundle(bucket)
    return bucket


def put_other(bucket: LocalBucket) -> None:
    """Keep another model of the same name."""
    bucket.put(graph_key(OTHER.key), b"another graph")
    bucket.put(card_key(OTHER.key), OTHER.model_dump_json().encode())


@pytest.mark.parametrize("name", [CARD.name, CARD.key])
@pytest.mark.parametrize(
    ("key", "damage"),
    [
        (graph_key(CARD.key), b"a gra"),
        (graph_key(CARD.key), None),
        (card_key(CARD.key), b"rubbish"),
        (card_key(CARD.key), OTHER.model_dump_json().encode()),
        (card_key(CARD.key), None),
    ],
)
def test_a_damaged_model_is_said_to_be_and_how_it_is_mended(
    bucket: LocalBucket, name: str, key: str, damage: bytes | None
) -> None:
    bucket.delete(key) if damage is None else bucket.put(key, damage, mode="overwrite")
    with pytest.raises(BadModel, match=f"^model {CARD.key} in the bucket .* is damaged") as caught:
        find_model(bucket, name)
    (problem,) = verify(bucket).problems
    assert problem.key == key
    for said in (str(caught.value), problem.problem):
        assert "`diamond-cutter models add FILE --name made-up`" in said


def test_of_several_models_a_damaged_one_may_be_the_one_that_is_meant(bucket: LocalBucket) -> None:
    put_other(bucket)
    with pytest.raises(AmbiguousModel, match="has 2 models 'made-up'"):
        find_model(bucket, "made-up")
    bucket.put(card_key(CARD.key), b"rubbish", mode="overwrite")
    with pytest.raises(AmbiguousModel) as caught:
        find_model(bucket, "made-up")
    assert f"{CARD.key} (damaged)" in str(caught.value) and f"{OTHER.key} (damaged)" not in str(
        caught.value
    )
    assert find_model(bucket, OTHER.key) == OTHER
    # A graph alone is what an interrupted import leaves.
    bucket.delete(card_key(CARD.key))
    assert find_model(bucket, "made-up") == OTHER


def test_what_is_left_of_a_removed_model_is_unknown(bucket: LocalBucket) -> None:
    bucket.delete(card_key(CARD.key))
    bucket.delete(graph_key(CARD.key))
    bucket.put(preset_key(CARD.key), b"{}")
    for name in (CARD.name, CARD.key, "../made-up@0"):
        with pytest.raises(UnknownModel):
            find_model(bucket, name)


def test_an_unknown_name_is_never_suggested_as_itself() -> None:
    assert "did you mean 'tiny2'" in str(unknown_model("tiny", ["tiny", "tiny2"]))


def test_a_card_of_an_earlier_version_is_sound_and_not_imported_again(bucket: LocalBucket) -> None:
    name = "efficientnet-lite0"
    card = CARD.model_copy(update={"name": name, "source": model_source(name)})
    text = put_old_bundle(bucket, card)
    assert find_model(bucket, name) == card
    assert not verify(bucket, deep=True).problems
    assert bucket.get(card_key(card.key)) == text


def test_a_preset_in_the_bucket_needs_no_weights_on_this_machine(
    bucket: LocalBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    name = "timm/resnet18.a1_in1k"
    with pytest.raises(WeightsMissing, match=f"models fetch {name}"):
        find_model(bucket, name)
    card = CARD.model_copy(update={"name": name})
    put_old_bundle(bucket, card)
    assert find_model(bucket, name) == card
    (listing,) = (listing for listing in all_models(bucket) if listing.name == name)
    assert listing.source == "timm" and listing.weights.startswith("in the bucket")
    assert f"models fetch {name}" in bundle_remedy(card.key)


def test_a_model_added_again_leaves_the_card_of_an_earlier_version(
    bucket: LocalBucket, toy: Bundle
) -> None:
    text = put_old_bundle(bucket, toy.card, toy.graph_bytes)
    before = bucket.stat(card_key(toy.card.key))
    assert keep_bundle(bucket.url, toy) == toy.card
    assert bucket.get(card_key(toy.card.key)) == text
    assert bucket.stat(card_key(toy.card.key)) == before


def test_a_known_models_card_is_stored_with_its_accuracy(bucket: LocalBucket, toy: Bundle) -> None:
    accuracy = published_accuracy("keras/vgg16")
    card = toy.card.model_copy(update={"name": "keras/vgg16", "imagenet": accuracy})
    keep_bundle(bucket.url, Bundle(card, toy.graph_bytes))
    stored = find_model(bucket, card.key)
    assert stored == card and stored.imagenet == accuracy is not None
