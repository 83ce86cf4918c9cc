"""What photos do to a layer is measured, wherever they lie, and kept under the name of their
content.
"""

from pathlib import Path

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.storage import Corrupt, LocalBucket
from diamond_cutter.storage.sets.records import PhotoActivations
from diamond_cutter.tasks.importing.stored import keep_bundle
from diamond_cutter.tasks.photos.activations import measure_and_commit, stored_activations
from diamond_cutter.tasks.photos.finding import find_images
from diamond_cutter.tasks.photos.image_set import BadPhotos
from diamond_cutter.tasks.photos.reading import read_image
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.shard import ShardJob, render_and_commit
from diamond_cutter.tasks.rendering.subjects import Channels
from tests.storage.gcs_server import GcsServer
from tests.tasks.photos.small_images import save, write


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    stream = np.random.default_rng(0)
    for name in ("a.png", "sub/a.png", "caf\udce9.jpg"):
        save(tmp_path / "photos" / name, stream.integers(0, 256, (40, 50, 3), np.uint8))
    return write(tmp_path / "photos", "sub/broken.png", "\udcff.gif")


def test_images_here_and_in_a_cloud_are_measured_alike(
    photos: Path, toy: Bundle, tmp_path: Path, gcs_place: GcsServer
) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    keep_bundle(bucket.url, toy)
    for file in photos.rglob("*.*"):
        name = str(file.relative_to(photos)).encode(errors="backslashreplace").decode()
        gcs_place.put("place", f"my photos/{name}", file.read_bytes())
    records = []
    for place in (str(photos), "gs://place/my photos"):
        found = find_images(place)
        measure_and_commit(
            bucket.url, toy.card.key, place, found.images, found.name, ("first", "third"), False
        )
        key = f"models/{toy.card.key}/photos/{found.name}/third.json"
        records.append(PhotoActivations.from_bytes(bucket.get(key), key))
    here, there = records
    assert (here.images, here.unreadable) == (3, ("\\xff.gif", "sub/broken.png"))
    # A record that is not what its key says is neither believed nor kept.
    bucket.put(key, bucket.get(key.replace("third", "first")), mode="overwrite")
    arguments = (bucket.url, toy.card.key, "gs://place/my photos", ["first", "third"], False)
    assert list(stored_activations(*arguments[:2], found.name, *arguments[3:])) == ["first"]
    measure_and_commit(*arguments[:3], found.images, found.name, ("third",), False)
    assert stored_activations(*arguments[:2], found.name, *arguments[3:])["third"] == there
    bucket.put(key, b"{}", mode="overwrite")
    job = {
        "bucket": bucket.url,
        "model": toy.card.key,
        "subjects": Channels(layer="third"),
        "numbers": (0,),
        "recipe": RenderRecipe(),
    }
    with pytest.raises(Corrupt, match=r"third\.json cannot be read"):
        render_and_commit(ShardJob(**job, photos=key))
    assert there.images == 3 and there.highest == here.highest and len(there.unreadable) == 2
    readable = [
        image for image in find_images(str(photos)).images if image.name not in here.unreadable
    ]
    pixels = np.stack([read_image(image, toy.card.image.shape) for image in readable])
    np.testing.assert_allclose(
        here.highest,
        activation_function(toy, "third")(pixels).numpy().max(axis=(0, 1, 2)),
        rtol=1e-4,
        atol=1e-5,
    )


def test_photos_none_of_which_can_be_read_are_refused(toy: Bundle, tmp_path: Path) -> None:
    bucket = LocalBucket(tmp_path / "bucket")
    keep_bundle(bucket.url, toy)
    found = find_images(str(write(tmp_path / "photos", "a.png", "b.png")))
    with pytest.raises(
        BadPhotos, match=r"all 2 images in the folder here are unreadable. The first is a\.png"
    ):
        measure_and_commit(
            bucket.url, toy.card.key, "here", found.images, found.name, ("first",), False
        )
