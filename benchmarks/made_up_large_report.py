"""The largest report that `attribute` writes, of made-up numbers: 10,000 images, 12 layers of 2,048
channels, 49 sets of images.

The schema and the writers are the project's own. All layers have equal sheets, and images share 64
pictures, because what a browser pays for them does not depend on what they show.
Only the details of the first images are written.
"""

import functools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.contents import ReportContents, ReportRecord
from diamond_cutter.tasks.reporting.page_data import ImageList, ImagesPage, LayerNumbers
from diamond_cutter.tasks.reporting.pages import (
    IMAGE_LIST,
    REPORT,
    layer_name,
    page_name,
    report_page,
)
from diamond_cutter.tasks.reporting.pictures import (
    PATCHES_OF_A_FILE,
    SPRITES_OF_A_FILE,
    sheet_columns,
)

IMAGES, LAYERS, CHANNELS, GROUPS = 10_000, 12, 2048, 6
LABELS, CLASSES = 24, 24
IN_A_PAGE, PICTURES, WRITTEN_PAGES = 12, 64, 1
SIDES = (20, 20, 20, 20, 14, 14, 14, 14, 7, 7, 7, 7)
SPRITE_PX, PATCH_PX, IMAGE_PX, PATCHES = 128, 80, 224, 6
SHOWN_CHANNELS, IN_A_CELL = 8, 4

Json = dict[str, Any]

# Cells, their side in pixels, and cells of a file.
_SHEETS = {
    "sprites": (CHANNELS, SPRITE_PX, SPRITES_OF_A_FILE),
    "patches": (CHANNELS * PATCHES, PATCH_PX, PATCHES_OF_A_FILE),
}


def write_large_report(folder: Path) -> None:
    """Write the report into a folder."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(PICTURES):
        _picture(random, IMAGE_PX, IMAGE_PX).save(folder / f"image.{number}.webp")
    for name, (cells, cell_px, of_a_file) in _SHEETS.items():
        columns = sheet_columns(cells, of_a_file)
        rows = of_a_file // columns
        picture = folder / "sheet.webp"
        _picture(random, columns * cell_px, rows * cell_px).save(picture)
        for number in range(LAYERS):
            for file in _files(name, number):
                shutil.copyfile(picture, folder / file)
    for number in range(LAYERS):
        _script(folder, f"layer.{number}.js", layer_name(f"block_{number}"), _layer(number))
    for number in range(WRITTEN_PAGES):
        images = [_details(number * IN_A_PAGE + place) for place in range(IN_A_PAGE)]
        page = ImagesPage.model_validate({"images": images})
        _script(folder, f"page.{number}.js", page_name(number), page)
    listed = ImageList.model_validate({"images": [_listed(image) for image in range(IMAGES)]})
    _script(folder, "images.js", IMAGE_LIST, listed)
    contents = ReportContents.model_validate(_contents())
    (folder / "index.html").write_bytes(report_page(contents))
    record = ReportRecord(contents=contents, records=(), files=())
    (folder / "report.json").write_bytes(record.to_bytes())
    for key, data in asset_files(REPORT, "").items():
        (folder / key).write_bytes(data)


def _script(folder: Path, file: str, name: str, data: Any) -> None:
    (folder / file).write_bytes(as_script(name, data))


def _picture(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return smooth noise, which compresses like sprites."""
    small = random.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)


def _files(name: str, layer: int) -> list[str]:
    cells, _, of_a_file = _SHEETS[name]
    return [f"{name}.{layer}.{part}.webp" for part in range(-(-cells // of_a_file))]


def _sheet(name: str, layer: int) -> Json:
    cells, cell_px, of_a_file = _SHEETS[name]
    first, *more = _files(name, layer)
    return {
        "file": first,
        "columns": sheet_columns(cells, of_a_file),
        "cell_px": cell_px,
        "cells": of_a_file,
        "more": more,
    }


def _means(*seed: int) -> np.ndarray:
    return np.round(np.random.default_rng(seed).normal(size=CHANNELS) ** 3 * 0.1, 4)


@functools.cache
def _cells(layer: int) -> Mapping[int, int]:
    """Return the cell of each channel; those that the sets show come first, as in real reports."""
    sets = [_set(layer, number) for number in range(2 + LABELS + CLASSES)]
    first = [channel for shown in sets for channel in (*shown["top"], *shown["bottom"])]
    order = dict.fromkeys([*first, *range(CHANNELS)])
    return {channel: cell for cell, channel in enumerate(order)}


def _cell(layer: int, channel: int) -> int:
    return _cells(layer)[channel]


def _layer(layer: int) -> LayerNumbers:
    return LayerNumbers.model_validate(
        {
            "patches": _sheet("patches", layer),
            "channels": [_channel(layer, channel) for channel in range(CHANNELS)],
            "sets": [_set(layer, number) for number in range(1 + LABELS + CLASSES + 1)],
        }
    )


def _channel(layer: int, channel: int) -> Json:
    images = [(97 * channel + 31 * place + layer) % IMAGES for place in range(PATCHES)]
    return {
        "channel": channel,
        "sprite": _cell(layer, channel),
        "words": f"class {channel % 1000}, mostly at the upper left (12 of 16 images)",
        "highest": 9.5,
        "classes": [(f"class {channel % 1000}", 2.5), (f"class {channel % 999}", 1.5)],
        "patches": {
            "cells": [_cell(layer, channel) * PATCHES + place for place in range(PATCHES)],
            "images": images,
            "names": [_name(image) for image in images],
            "values": [9.5 - place for place in range(PATCHES)],
            "quantiles": [None] * (PATCHES - 2) + [0.9, 0.5],
        },
    }


def _set(layer: int, number: int) -> Json:
    means = _means(layer, number)
    order = [int(channel) for channel in np.argsort(-means)]
    top, bottom = order[:SHOWN_CHANNELS], order[: -SHOWN_CHANNELS - 1 : -1]
    return {
        "mean": means.tolist(),
        "spread": [0.1] * (2 * SHOWN_CHANNELS),
        "share": [0.8] * (2 * SHOWN_CHANNELS),
        "top": top,
        "bottom": bottom,
    }


def _name(image: int) -> str:
    return f"folder {image % LABELS}/image {image:05}.jpg"


def _listed(image: int) -> Json:
    return {
        "number": image,
        "name": _name(image),
        "file": f"image.{image % PICTURES}.webp",
        "label": f"folder {image % LABELS}",
        "predicted": image % CLASSES,
        "right": image % 4 != 0,
        "sets": [0, 1 + image % LABELS, 1 + LABELS + image % CLASSES],
    }


def _details(image: int) -> Json:
    listed = _listed(image)
    classes = [image % CLASSES, (image + 1) % CLASSES]
    return {
        **{name: listed[name] for name in ("number", "name", "file", "label", "right")},
        "predicted": [(classes[0], 0.61), (classes[1], 0.22)],
        "explained": [
            {"positive": classes[0], "negative": classes[1]},
            {"positive": classes[0], "negative": None},
            {"positive": classes[1], "negative": None},
        ],
        "layers": [_image_layer(layer, image) for layer in range(LAYERS)],
    }


def _image_layer(layer: int, image: int) -> Json:
    random = np.random.default_rng((layer, image))
    places = SIDES[layer] ** 2
    before = SIDES[layer - 1] ** 2
    cells = random.integers(0, CHANNELS, (4, places, IN_A_CELL)).tolist()
    maps = [
        {"values": random.integers(-127, 128, places).tolist(), "scale": 1.0, "channels": chosen}
        for chosen in cells[:3]
    ]
    sources = [[(int(at), 255) for at in random.integers(0, before, 9)] for _ in range(places)]
    return {
        "maps": maps,
        "activated": cells[3],
        "same_place": random.integers(0, IMAGES, (places, 3)).tolist(),
        "groups": random.integers(0, 256, (GROUPS, places)).tolist(),
        "group_attribution": [0.1] * GROUPS,
        "seen_from": sources if layer else [],
    }


def _contents() -> Json:
    layers = tuple(f"block_{number}" for number in range(LAYERS))
    recipe = "fast@53691d82"
    spec = AttributionSpec(layers=layers, groups=GROUPS, channels=8, shown=IMAGES, sprites=recipe)
    sets = [{"kind": "all", "title": "all images", "images": IMAGES}]
    sets += [{"kind": "label", "title": f"folder {one}", "images": 417} for one in range(LABELS)]
    classes = range(CLASSES)
    sets += [
        {"kind": "class", "title": f"class {one}", "class_number": one, "images": 417}
        for one in classes
    ]
    pages = [
        {"file": f"page.{page}.js", "images": [*range(first, min(first + IN_A_PAGE, IMAGES))]}
        for page, first in enumerate(range(0, IMAGES, IN_A_PAGE))
    ]
    return {
        "dataset": "photos@0a1b2c3d",
        "model": "large@11111111",
        "report": "attribution@22222222",
        "sprites": recipe,
        "spec": json.loads(spec.model_dump_json()),
        "images": IMAGES,
        "labels": "folders",
        "refused": [],
        "accuracy": {"images": IMAGES, "top1": 0.75, "top5": 0.92},
        "classes": [{"number": number, "name": f"class {number}"} for number in classes],
        "sets": [*sets, {"kind": "wrong", "title": "wrong predictions", "images": IMAGES // 4}],
        "layers": [_reported(number) for number in range(LAYERS)],
        "flows": [_flow(number) for number in range(LAYERS - 1)],
        "shown": "images.js",
        "pages": pages,
        "tables": [],
    }


def _reported(layer: int) -> Json:
    means = _means(layer, 0)
    order = [int(channel) for channel in np.argsort(-means)]

    def shown(channel: int) -> Mapping[str, object]:
        return {
            "channel": channel,
            "attribution": float(means[channel]),
            "sprite": _cell(layer, channel),
        }

    group = {"channels": order[:6], "weights": [0.4] * 6, "by_class": []}
    spread = {"lower_quartile": 0.1, "median": 0.2, "upper_quartile": 0.3}
    return {
        "name": f"block_{layer}",
        "kind": "block",
        "channels": CHANNELS,
        "height": SIDES[layer],
        "width": SIDES[layer],
        "receptive_field": 11 + 20 * layer,
        "checks": {
            "images": 64,
            "completeness_error": spread,
            "ablated": 102,
            "drop_of_top": {**spread, "median": 2.0},
            "drop_of_random": spread,
            "times": 10.0,
        },
        "top": [shown(channel) for channel in order[:SHOWN_CHANNELS]],
        "bottom": [shown(channel) for channel in order[: -SHOWN_CHANNELS - 1 : -1]],
        "sprites": _sheet("sprites", layer),
        "group_sprites": _sheet("sprites", layer),
        "explained_variance": 0.6,
        "groups": [
            {**group, "number": number, "attribution": 0.5 - 0.2 * number, "sprite": number}
            for number in range(GROUPS)
        ],
        "numbers": f"layer.{layer}.js",
    }


def _flow(layer: int) -> Json:
    amounts = np.random.default_rng(layer).normal(size=(GROUPS, GROUPS)) ** 3
    return {
        "layer": f"block_{layer}",
        "next_layer": f"block_{layer + 1}",
        "attribution": amounts.tolist(),
    }
