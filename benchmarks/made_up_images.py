"""The images of the made-up report: their list, and the details of each."""

from typing import Any

import numpy as np

from diamond_cutter.tasks.reporting.page_data import ImageDetails

IMAGES, LAYERS, CHANNELS, GROUPS = 10_000, 12, 2048, 6
LABELS, CLASSES = 24, 24
PICTURES = 64
SIDES = (20, 20, 20, 20, 14, 14, 14, 14, 7, 7, 7, 7)
IN_A_CELL = 4
# Only the first images have sources of their positions.
SEEN_FROM, SOURCES = 2, 24
HASH = "0123456789abcdef"  # the real names hold one of this length

Json = dict[str, Any]


def picture_file(image: int) -> str:
    """Return the file of an image; images share a few pictures."""
    return f"{image % PICTURES:05}.{HASH}.webp"


def name_of(image: int) -> str:
    """Return the name of an image."""
    return f"folder {image % LABELS}/image {image:05}.jpg"


def listed(image: int) -> Json:
    """Return the entry of an image in the list of images."""
    return {
        "number": image,
        "name": name_of(image),
        "file": picture_file(image),
        "label": f"folder {image % LABELS}",
        "predicted": image % CLASSES,
        "right": image % 4 != 0,
        "sets": [0, 1 + image % LABELS, 1 + LABELS + image % CLASSES],
    }


def details_of(image: int) -> ImageDetails:
    """Return the details of an image."""
    entry = listed(image)
    classes = [image % CLASSES, (image + 1) % CLASSES]
    found = {
        **{name: entry[name] for name in ("number", "name", "file", "label", "right")},
        "predicted": [(classes[0], 0.61), (classes[1], 0.22)],
        "explained": [
            {"positive": classes[0], "negative": classes[1]},
            {"positive": classes[0], "negative": None},
            {"positive": classes[1], "negative": None},
        ],
        "layers": [_image_layer(layer, image) for layer in range(LAYERS)],
    }
    return ImageDetails.model_validate(found)


def _image_layer(layer: int, image: int) -> Json:
    random = np.random.default_rng((layer, image))
    places = SIDES[layer] ** 2
    before = SIDES[layer - 1] ** 2
    cells = random.integers(0, CHANNELS, (4, places, IN_A_CELL)).tolist()
    maps = [
        {"values": random.integers(-127, 128, places).tolist(), "scale": 1.0, "channels": chosen}
        for chosen in cells[:3]
    ]
    sources = [
        [(int(at), 255) for at in random.integers(0, before, SOURCES)] for _ in range(places)
    ]
    return {
        "maps": maps,
        "activated": cells[3],
        "amounts": random.integers(0, 256, places).tolist(),
        "highest": 9.5,
        "same_place": random.integers(0, IMAGES, (places, 3)).tolist(),
        "groups": random.integers(0, 256, (GROUPS, places)).tolist(),
        "group_attribution": [0.1] * GROUPS,
        "seen_from": sources if layer and image < SEEN_FROM else [],
    }
