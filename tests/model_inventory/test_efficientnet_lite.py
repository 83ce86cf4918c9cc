"""The real networks: they see what is in real photos, and weights that are not theirs are
refused.
"""

from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from diamond_cutter.model_inventory import efficientnet_lite
from diamond_cutter.model_inventory.bundle import Bundle, activation_function
from diamond_cutter.model_inventory.catalogue import import_model
from diamond_cutter.model_inventory.errors import BadModel

CATS = {"tabby", "tiger cat", "Egyptian cat"}
ROCKETS = {"missile", "projectile", "space shuttle"}
MOTORCYCLES = {"moped", "motor scooter"}


def photo(name: str, size_px: int) -> np.ndarray:
    """Return a photo as networks are tested: the central seven eighths of its shorter side,
    bicubic, float32 in [0, 1].
    """
    with Image.open(str(files("skimage") / "data" / name)) as image:
        side = round(0.875 * min(image.size))
        left, top = (image.width - side) // 2, (image.height - side) // 2
        crop = (
            image.convert("RGB")
            .crop((left, top, left + side, top + side))
            .resize((size_px, size_px), Image.Resampling.BICUBIC)
        )
    return np.asarray(crop, np.float32) / 255


def best_guesses(bundle: Bundle, photos: list[str]) -> list[list[str]]:
    """Return the names of the five highest logits for each photo."""
    logits = activation_function(bundle, "logits")(
        np.stack([photo(name, bundle.card.image.height) for name in photos])
    ).numpy()
    return [[bundle.card.labels[index].name for index in np.argsort(-row)[:5]] for row in logits]


def test_lite0_knows_what_photos_show(lite0: Bundle) -> None:
    photos = ["chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "camera.png"]
    cat, coffee, rocket, motorcycle, camera = best_guesses(lite0, photos)
    assert set(cat[:3]) == CATS
    assert coffee[0] == "espresso" and "cup" in coffee
    assert rocket[0] == "missile" and set(rocket) >= ROCKETS
    assert set(motorcycle[:2]) == MOTORCYCLES
    assert camera[0] == "tripod"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "image_size"), [("efficientnet-lite1", 240), ("efficientnet-lite2", 260)]
)
def test_the_larger_ones_know_what_photos_show(name: str, image_size: int) -> None:
    bundle = import_model(name)
    assert bundle.card.image.height == image_size
    assert [layer.name for layer in bundle.card.layers if layer.main] == [
        "stem",
        *(f"block_{i}" for i in range(21)),
        "head",
    ]
    cat, coffee, rocket = best_guesses(bundle, ["chelsea.png", "coffee.png", "rocket.jpg"])
    assert set(cat[:3]) == CATS
    assert coffee[0] == "espresso"
    assert set(rocket) >= ROCKETS


@pytest.mark.parametrize(
    "change",
    [{"_conv_head.weight": None}, {"_bn1.weight": np.ones(7, np.float32)}],
    ids=["missing", "misshapen"],
)
def test_weights_of_another_architecture_are_refused(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, np.ndarray | None]
) -> None:
    read = efficientnet_lite.read_state_dict
    monkeypatch.setattr(
        efficientnet_lite,
        "read_state_dict",
        lambda path: {
            name: value for name, value in (read(path) | change).items() if value is not None
        },
    )
    with pytest.raises(
        BadModel,
        match=r"^the weights of efficientnet-lite0 do not fit its architecture \(.*\)\. Reinstall ",
    ):
        import_model("efficientnet-lite0")


def test_weights_with_a_nan_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    read = efficientnet_lite.read_state_dict
    monkeypatch.setattr(
        efficientnet_lite,
        "read_state_dict",
        lambda path: read(path) | {"_fc.bias": np.full(1000, np.nan, np.float32)},
    )
    with pytest.raises(
        BadModel,
        match=r"^efficientnet-lite0 has weights that are not finite numbers \(first in "
        r"logits/bias\)",
    ):
        import_model("efficientnet-lite0")
