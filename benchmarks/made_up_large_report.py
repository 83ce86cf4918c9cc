"""The largest report that `attribute` writes, of made-up numbers: 10,000 images, 12 layers of 2,048
channels, 49 sets of images.

The schema and the writers are the project's own. All layers have equal sheets, and images share 64
pictures, because what a browser pays for them does not depend on what they show.
Only the details of the first images are written.
"""

import functools
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.made_up_images import (
    CHANNELS,
    CLASSES,
    GROUPS,
    HASH,
    IMAGES,
    LABELS,
    LAYERS,
    PICTURES,
    SIDES,
    Json,
    details_of,
    listed,
    name_of,
    picture_file,
)
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.contents import ReportContents, ReportRecord
from diamond_cutter.tasks.reporting.details import in_files
from diamond_cutter.tasks.reporting.page_data import (
    ImageList,
    ImagesPage,
    LayerNumbers,
    LayerSets,
)
from diamond_cutter.tasks.reporting.pages import (
    IMAGE_LIST,
    REPORT,
    layer_name,
    page_name,
    report_page,
    sets_name,
)
from diamond_cutter.tasks.reporting.pictures import (
    PATCHES_OF_A_FILE,
    SPRITES_OF_A_FILE,
    sheet_columns,
)

DETAILED = 24
SPRITE_PX, PATCH_PX, IMAGE_PX, PATCHES = 128, 80, 224, 6
SHOWN_CHANNELS = 8
LEADING = range(1 + LABELS, 1 + LABELS + 4)  # the sets of the first page

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
        _picture(random, IMAGE_PX, IMAGE_PX).save(folder / picture_file(number))
    for name, (cells, cell_px, of_a_file) in _SHEETS.items():
        columns = sheet_columns(cells, of_a_file)
        rows = of_a_file // columns
        picture = folder / "sheet.webp"
        _picture(random, columns * cell_px, rows * cell_px).save(picture)
        for number in range(LAYERS):
            for file in _files(name, number):
                shutil.copyfile(picture, folder / file)
    for number in range(LAYERS):
        name = f"block_{number}"
        _script(folder, f"layer.{number}.js", layer_name(name), _layer(number))
        _script(folder, f"sets.{number}.js", sets_name(name), _sets(number))
    pages = list(in_files(map(details_of, range(DETAILED))))
    for number, page in enumerate(pages):
        _script(folder, _page_file(number), page_name(number), page)
    shown = ImageList.model_validate({"images": [listed(image) for image in range(IMAGES)]})
    _script(folder, "images.js", IMAGE_LIST, shown)
    contents = ReportContents.model_validate(_contents(_shown_pages(pages)))
    (folder / "index.html").write_bytes(report_page(contents))
    record = ReportRecord(contents=contents, records=(), files=())
    (folder / "report.json").write_bytes(record.to_bytes())
    for key, data in asset_files(REPORT, "").items():
        (folder / key).write_bytes(data)


def _shown_pages(written: Sequence[ImagesPage]) -> list[Json]:
    """Return the pages of all images; those that are not written are like those that are."""
    numbers = [[image.number for image in page.images] for page in written]
    size = len(numbers[-2])
    numbers += [
        [*range(first, min(first + size, IMAGES))]
        for first in range(numbers[-1][-1] + 1, IMAGES, size)
    ]
    return [{"file": _page_file(page), "images": found} for page, found in enumerate(numbers)]


def _page_file(number: int) -> str:
    return f"page-{number}.{HASH}.js"


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
    """Return the cell of each channel; those that the pages show first come first."""
    numbers = [*LEADING, *range(2 + LABELS + CLASSES)]
    sets = [_set(layer, number) for number in numbers]
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
        }
    )


def _sets(layer: int) -> LayerSets:
    sets = [_set(layer, number) for number in range(1 + LABELS + CLASSES + 1)]
    return LayerSets.model_validate({"sets": sets})


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
            "names": [name_of(image) for image in images],
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


def _contents(pages: Sequence[Json]) -> Json:
    layers = tuple(f"block_{number}" for number in range(LAYERS))
    recipe = "fast@53691d82"
    spec = AttributionSpec(layers=layers, groups=GROUPS, channels=8, shown=IMAGES, sprites=recipe)
    sets = [{"kind": "all", "title": "all images", "images": IMAGES, "mixes_questions": True}]
    sets += [{"kind": "label", "title": f"folder {one}", "images": 417} for one in range(LABELS)]
    classes = range(CLASSES)
    sets += [
        {"kind": "class", "title": f"class {one}", "class_number": one, "images": 417}
        for one in classes
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

    def shown(channel: int, number: int = 0) -> Mapping[str, object]:
        return {
            "channel": channel,
            "attribution": float(_means(layer, number)[channel]),
            "sprite": _cell(layer, channel),
        }

    by_set = [
        {"set": one, "top": [shown(channel, one) for channel in _set(layer, one)["top"][:3]]}
        for one in LEADING
    ]

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
        "by_set": by_set,
        "numbers": f"layer.{layer}.js",
        "sets": f"sets.{layer}.js",
    }


def _flow(layer: int) -> Json:
    amounts = np.random.default_rng(layer).normal(size=(GROUPS, GROUPS)) ** 3
    return {
        "layer": f"block_{layer}",
        "next_layer": f"block_{layer + 1}",
        "attribution": amounts.tolist(),
    }
