"""Features are written by batch and layer, and read again for any images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diamond_cutter.storage import Bucket, Corrupt, LocalBucket
from diamond_cutter.storage.sets.cut_keys import features_record_key
from diamond_cutter.tasks.features.spec import CutSpec
from diamond_cutter.tasks.features.stored import (
    FeaturesRecord,
    batch_ranges,
    common_digests,
    feature_set,
    features_folder,
    put_features,
    stored_features,
)
from diamond_cutter.tasks.versions import software_versions

SPEC = CutSpec(layers=("a/b", "c"))
FOLDER = features_folder("set@1a2b3c4d", "model@1a2b3c4d", SPEC)
IMAGES = 700
LOST = {5, 600}
WIDTH = {"a/b": 3, "c": 2}


def values(layer: str) -> np.ndarray:
    """Return the features of all images: those of an image are made of its number."""
    found = np.arange(IMAGES)[:, None] + np.arange(WIDTH[layer]) / 10
    return found.astype(np.float32)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    found = LocalBucket(tmp_path)
    for numbers in batch_ranges(IMAGES):
        sound = [number for number in numbers if number not in LOST]
        layers = {layer: values(layer)[sound] for layer in SPEC.layers}
        record = FeaturesRecord(
            model="model@1a2b3c4d",
            dataset="set@1a2b3c4d",
            first=numbers.start,
            images=len(numbers),
            numbers=tuple(sound),
            digests=tuple(map(str, sound)),
            refused={f"{lost}.png": "it is truncated" for lost in LOST if lost in numbers},
            layers=put_features(found, FOLDER, numbers, layers),
            seconds=1.0,
            versions=software_versions(),
        )
        found.put(features_record_key(FOLDER, numbers.start, numbers.stop), record.to_bytes())
    return found


@pytest.mark.parametrize("numbers", [[0], [699, 0, 512, 511], list(range(6, 600))])
def test_features_come_back_in_the_order_of_the_images(bucket: Bucket, numbers: list[int]) -> None:
    found = feature_set(bucket, FOLDER, IMAGES)
    for layer in SPEC.layers:
        assert (found.read(layer, numbers) == values(layer)[numbers]).all()


def test_features_of_an_unreadable_image_are_an_error(bucket: Bucket) -> None:
    with pytest.raises(Corrupt, match="lacks features of 1 images"):
        feature_set(bucket, FOLDER, IMAGES).read("c", [4, 5, 6])


def test_images_that_one_model_lacks_do_not_count(bucket: Bucket) -> None:
    whole = feature_set(bucket, FOLDER, IMAGES)
    first, second = whole.records
    part = replace(whole, records=(first,))
    assert common_digests([whole, part]) == part.digests
    assert common_digests([part, whole]) == part.digests and len(second.numbers)


def test_digests_and_refused_images_are_those_of_all_batches(bucket: Bucket) -> None:
    found = feature_set(bucket, FOLDER, IMAGES)
    assert found.digests == {n: str(n) for n in range(IMAGES) if n not in LOST}
    assert set(found.refused) == {"5.png", "600.png"}


def test_a_damaged_table_does_not_count(bucket: Bucket, tmp_path: Path) -> None:
    first, second = batch_ranges(IMAGES)
    record = stored_features(bucket, FOLDER, first)
    assert record is not None
    (tmp_path / record.layers["c"].key).write_bytes(b"other")
    assert stored_features(bucket, FOLDER, first) is None
    assert stored_features(bucket, FOLDER, second) is not None
    with pytest.raises(Corrupt):
        feature_set(bucket, FOLDER, IMAGES).read("c", [0])


def test_a_slash_in_a_name_makes_no_folder(bucket: Bucket) -> None:
    folders = {info.key.removeprefix(FOLDER).split("/")[1] for info in bucket.list(FOLDER)}
    assert "a=2Fb" in folders and "a" not in folders
