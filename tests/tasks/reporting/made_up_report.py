"""A complete report of made-up numbers and drawn pictures, each of which a test can tell from the
others.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from diamond_cutter.storage.sets.records import Flag, Versions
from diamond_cutter.storage.sets.report_keys import report_folder
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.reporting.contents import (
    Accuracy,
    AnnotatedImage,
    FailedSprites,
    ImageSetCard,
    PreprocessingNote,
    RefusedImage,
    ReportContents,
    ReportRecord,
    ShownClass,
    ShownPage,
    Table,
)
from diamond_cutter.tasks.reporting.layer_contents import (
    Checks,
    Group,
    GroupFlow,
    MeanChannel,
    ReportedLayer,
    SetChannels,
    Sheet,
    Spread,
    Verdict,
)
from diamond_cutter.tasks.reporting.page_data import (
    ChannelNumbers,
    ChannelPatches,
    Explained,
    HeatMap,
    ImageDetails,
    ImageLayer,
    ImageList,
    ImagesPage,
    LayerNumbers,
    LayerSets,
    ListedImage,
    SetNumbers,
)
from diamond_cutter.tasks.reporting.pages import (
    IMAGE_LIST,
    REPORT,
    layer_name,
    page_name,
    report_page,
    sets_name,
)

HOSTILE = "</script><script>alert(1)</script>\"'&\n\u202egnp.lairt"
DATASET, REPORT_NAME = "pictures@0a1b2c3d", "attribution@22222222"
FOLDER = f"reports/{DATASET}/made-up@11111111/{REPORT_NAME}/"
LAYERS = {
    "stem": (12, 8),
    "block_0": (24, 6),
    HOSTILE: (32, 4),
    "logits": (6, 1),
}  # channels, and positions on a side
CLASSES = ("tabby cat", "tiger cat", "goldfish", HOSTILE, "acorn", "lighthouse")
IMAGES, SHOWN, PAGE, GROUPS, CELL_PX, IMAGE_PX = 200, 60, 12, 4, 48, 96
SHOWN_CHANNELS, PATCHES, REFUSED = 5, 6, 7
# The layer and the channel of a sprite that is not rendered, and of one with a flag.
MISSING, FLAGGED = (1, 23), (1, 22)
LEADING = (3, 1)  # the sets of the first page: a class, and a label that mixes questions
VERDICTS: tuple[Verdict, ...] = ("not reliable", "order only", "reliable", "reliable")
FINDING = "In block_0, channel 22 decides most for goldfish; only the order can be believed."
PICTURES = "images/"


def name_of(image: int) -> str:
    """Return the name of an image."""
    return HOSTILE if image == 3 else f"{('cats', 'fish')[image % 2]}/{image:03}.jpg"


def class_of(image: int) -> int:
    """Return the class that an image is seen as."""
    return image % len(CLASSES)


def colour_of(layer: int, channel: int) -> tuple[int, int, int]:
    """Return the colour in the middle of a channel's sprite."""
    return (40 + 60 * layer, channel * 37 % 200 + 30, channel * 91 % 200 + 30)


def heat_value(layer: int, image: int, target: int, place: int) -> int:
    """Return a heat map's value at a position; it is for on the left, and against on the right, and
    the other way round for odd targets.
    """
    side = list(LAYERS.values())[layer][1]
    across = 0.0 if side == 1 else 1 - 2 * (place % side) / (side - 1)
    return round(
        (-1) ** target * 120 * across * (0.4 + 0.6 * (place // side + image % 3 + 1) / (side + 2))
    )


def channels_at(layer: int, target: int, place: int, *, activated: bool = False) -> tuple[int, ...]:
    """Return the strongest channels at a position."""
    channels = list(LAYERS.values())[layer][0]
    first = place + 5 * target + (3 if activated else 0)
    return tuple((first + step * 5) % channels for step in range(4))


def put_report(bucket: Path, model: str, recipe: str) -> str:
    """Write a report of a model, with the sprites of a recipe, into a bucket's folder, and return
    its own.
    """
    folder = report_folder(DATASET, model, REPORT_NAME)
    write_report(bucket / folder, model=model, sprites=recipe)
    return folder


def write_report(folder: Path, **changes: str) -> ReportContents:
    """Write all files of a report into a folder, and return what it says; `changes` are fields of
    it.
    """
    for image in range(SHOWN):
        _save(folder / PICTURES / f"{image:05}.png", _image(image))
    for number, (name, (channels, side)) in enumerate(LAYERS.items()):
        _save(
            folder / f"{PICTURES}sprites.{number}.png",
            _sheet([_sprite(number, channel) for channel in range(channels)]),
        )
        _save(
            folder / f"{PICTURES}groups.{number}.png",
            _sheet([_sprite(number, 100 + group) for group in range(GROUPS)]),
        )
        patches = [_image(image)[:CELL_PX, :CELL_PX] for image in range(channels * PATCHES)]
        _save(folder / f"{PICTURES}patches.{number}.png", _sheet(patches))
        numbers = _layer_numbers(number, channels, side)
        _write(folder / f"layer.{number}.js", as_script(layer_name(name), numbers))
        if number:
            sets = LayerSets(sets=_sets(number, channels))
            _write(folder / f"sets.{number}.js", as_script(sets_name(name), sets))
    for number in range(SHOWN // PAGE):
        page = ImagesPage(
            images=tuple(_details(image) for image in range(number * PAGE, (number + 1) * PAGE))
        )
        _write(folder / f"page.{number}.js", as_script(page_name(number), page))
    _write(
        folder / "images.js",
        as_script(IMAGE_LIST, ImageList(images=tuple(_listed(image) for image in range(SHOWN)))),
    )
    contents = _contents().model_copy(update=changes)
    _write(folder / "index.html", report_page(contents))
    _write(folder / "report.json", ReportRecord(contents=contents, records=(), files=()).to_bytes())
    for key, data in asset_files(REPORT, "").items():
        _write(folder / key, data)
    return contents


def _contents() -> ReportContents:
    return ReportContents(
        dataset=DATASET,
        model="made-up@11111111",
        report=REPORT_NAME,
        sprites="fast@53691d82",
        spec=AttributionSpec(
            layers=tuple(LAYERS),
            groups=GROUPS,
            channels=SHOWN_CHANNELS,
            shown=SHOWN,
            sprites="fast@53691d82",
        ),
        images=IMAGES,
        labels="folders",
        refused=tuple(
            RefusedImage(name=f"broken/{HOSTILE if one == 2 else one}.jpg", reason="ends too early")
            for one in range(REFUSED)
        ),
        accuracy=Accuracy(images=IMAGES, top1=0.755, top5=0.96),
        preprocessing=PreprocessingNote(text=f"Add it again: {HOSTILE}", warns=True),
        classes=tuple(ShownClass(number=number, name=name) for number, name in enumerate(CLASSES)),
        sets=(
            ImageSetCard(kind="all", title="all images", images=IMAGES, mixes_questions=True),
            ImageSetCard(kind="label", title="cats", images=IMAGES // 2, mixes_questions=True),
            ImageSetCard(kind="label", title=HOSTILE, images=IMAGES // 2, mixes_questions=True),
            ImageSetCard(kind="class", title=CLASSES[2], class_number=2, images=33),
            ImageSetCard(kind="wrong", title="wrong predictions", images=49),
            ImageSetCard(kind="right", title="right predictions", images=151),
        ),
        layers=tuple(_layer(number, name) for number, name in enumerate(LAYERS)),
        flows=tuple(_flow(number) for number in range(len(LAYERS) - 2)),
        shown="images.js",
        pages=tuple(
            ShownPage(file=f"page.{page}.js", images=tuple(range(page * PAGE, (page + 1) * PAGE)))
            for page in range(SHOWN // PAGE)
        ),
        tables=(
            Table(title="images", file="images.parquet", rows=IMAGES),
            Table(title="channels", file="channels.parquet", rows=1234),
        ),
        finding=FINDING,
        annotated=tuple(_annotated(image, channel) for image, channel in ((5, 22), (3, 23))),
        failed_sprites=FailedSprites(
            failed=1, of=80, by_flag={"saturated": 1}, advice="Run diamond-cutter tune."
        ),
        command="diamond-cutter attribute made-up pictures",
        versions=Versions(
            diamond_cutter="1.2.3",
            python="3.12",
            numpy="2",
            tensorflow="2.19",
            pillow="11",
            device="CPU",
        ),
        created="2026-11-29",
    )


def _annotated(image: int, channel: int) -> AnnotatedImage:
    return AnnotatedImage(
        image=image,
        layer="block_0",
        cell=14,
        channel=channel,
        sprite=_sprite_cell(1, channel),
        flags=_flags(1, channel),
        caption=f"Channel {channel} decides here.",
    )


def _sprite_cell(layer: int, channel: int) -> int | None:
    return None if (layer, channel) == MISSING else channel


def _flags(layer: int, channel: int) -> tuple[Flag, ...]:
    return ("saturated",) if (layer, channel) == FLAGGED else ()


def _layer(number: int, name: str) -> ReportedLayer:
    channels, side = LAYERS[name]
    mean = means_of(number, 0, channels)
    order = np.argsort(-mean)
    strongest = [
        MeanChannel(
            channel=int(channel),
            attribution=float(mean[channel]),
            sprite=_sprite_cell(number, int(channel)),
            flags=_flags(number, int(channel)),
        )
        for channel in order
    ]
    grouped = side > 1
    return ReportedLayer(
        name=name,
        kind="block" if number else "stem",
        channels=channels,
        height=side,
        width=side,
        receptive_field=(11, 43, 99, None)[number],
        checks=Checks(
            images=64,
            completeness_error=_spread(0.3 / (number + 1) ** 3),
            ablated=max(1, channels // 20),
            drop_of_top=_spread(1.5 + number),
            drop_of_random=_spread(0.3),
            times=None if number == 3 else (1.5 + number) / 0.3,
            verdict=VERDICTS[number],
            reason=f"The reason of {name}.",
            advice="" if number > 1 else "Use --method integrated.",
        ),
        top=tuple(one for one in strongest[:SHOWN_CHANNELS] if one.attribution > 0),
        bottom=tuple(one for one in strongest[: -SHOWN_CHANNELS - 1 : -1] if one.attribution < 0),
        sprites=_sheet_of(f"sprites.{number}", channels),
        group_sprites=_sheet_of(f"groups.{number}", GROUPS) if grouped else None,
        explained_variance=0.62 if grouped else None,
        groups=tuple(_group(number, group, channels) for group in range(GROUPS)) if grouped else (),
        by_set=tuple(_by_set(number, which, channels) for which in LEADING),
        numbers=f"layer.{number}.js",
        sets=f"sets.{number}.js" if number else "",
    )


def _by_set(layer: int, which: int, channels: int) -> SetChannels:
    mean = means_of(layer, which, channels)
    strongest = [int(channel) for channel in np.argsort(-mean)[:3]]
    return SetChannels(
        set=which,
        top=tuple(
            MeanChannel(
                channel=channel,
                attribution=float(mean[channel]),
                sprite=_sprite_cell(layer, channel),
                flags=_flags(layer, channel),
            )
            for channel in strongest
        ),
    )


def _group(layer: int, group: int, channels: int) -> Group:
    by_class = tuple(
        (number, float(np.cos(layer + group + 2 * number))) for number in range(len(CLASSES))
    )
    return Group(
        number=group,
        channels=tuple((group * 3 + step) % channels for step in range(6)),
        weights=(0.7, 0.5, 0.3, 0.2, 0.2, 0.1),
        attribution=(1.2, 0.5, -0.4, 0.1)[(group + layer) % 4],
        by_class=by_class,
        sprite=group,
    )


def _flow(layer: int) -> GroupFlow:
    names = list(LAYERS)
    amounts = _random(layer, 7).normal(size=(GROUPS, GROUPS)) ** 3
    return GroupFlow(
        layer=names[layer],
        next_layer=names[layer + 1],
        attribution=tuple(map(tuple, amounts.tolist())),
    )


def _layer_numbers(number: int, channels: int, side: int) -> LayerNumbers:
    return LayerNumbers(
        patches=_sheet_of(f"patches.{number}", channels * PATCHES),
        channels=tuple(_channel(number, channel) for channel in range(channels)),
        # The first layer is that of an earlier version.
        sets=() if number else _sets(number, channels),
    )


def _sets(number: int, channels: int) -> tuple[SetNumbers, ...]:
    return tuple(_set_numbers(number, which, channels) for which in range(6))


def _channel(layer: int, channel: int) -> ChannelNumbers:
    images = [(channel * PATCHES + place) % IMAGES for place in range(PATCHES)]
    return ChannelNumbers(
        channel=channel,
        sprite=_sprite_cell(layer, channel),
        flags=_flags(layer, channel),
        label=CLASSES[channel] if layer == len(LAYERS) - 1 else "",
        words=f"supports {CLASSES[channel % 6]}; responds to no class in particular",
        highest=9.5,
        classes=((CLASSES[channel % 6], 2.5),),
        patches=ChannelPatches(
            cells=tuple(range(channel * PATCHES, (channel + 1) * PATCHES)),
            images=tuple(images),
            names=tuple(map(name_of, images)),
            values=tuple(9.5 - place for place in range(PATCHES)),
            quantiles=(None,) * (PATCHES - 2) + (0.9, 0.5),
        ),
    )


def _set_numbers(layer: int, which: int, channels: int) -> SetNumbers:
    mean = means_of(layer, which, channels)
    order = [int(channel) for channel in np.argsort(-mean)]
    top = [channel for channel in order[:SHOWN_CHANNELS] if mean[channel] > 0]
    bottom = [channel for channel in order[: -SHOWN_CHANNELS - 1 : -1] if mean[channel] < 0]
    return SetNumbers(
        mean=tuple(mean.tolist()),
        spread=tuple(abs(float(mean[channel])) / 3 for channel in (*top, *bottom)),
        share=tuple(0.9 - 0.07 * place for place in range(len(top) + len(bottom))),
        top=tuple(top),
        bottom=tuple(bottom),
    )


def _listed(image: int) -> ListedImage:
    sets = (
        [0, 1 + image % 2]
        + ([3] if class_of(image) == 2 else [])
        + ([4] if image % 4 == 0 else [5])
    )
    return ListedImage(
        number=image,
        name=name_of(image),
        file=f"{PICTURES}{image:05}.png",
        label="cats" if image % 2 == 0 else HOSTILE,
        predicted=class_of(image),
        right=image % 4 != 0,
        sets=tuple(sets),
    )


def _details(image: int) -> ImageDetails:
    first, second = class_of(image), (class_of(image) + 1) % len(CLASSES)
    listed = _listed(image)
    return ImageDetails(
        number=image,
        name=listed.name,
        file=listed.file,
        label=listed.label,
        right=listed.right,
        predicted=((first, 0.61), (second, 0.22), ((first + 2) % 6, 0.006)),
        explained=(
            Explained(positive=first, negative=second),
            Explained(positive=first, negative=None),
            Explained(positive=second, negative=None),
        ),
        layers=tuple(_image_layer(number, image) for number in range(len(LAYERS))),
    )


def _image_layer(layer: int, image: int) -> ImageLayer:
    side = list(LAYERS.values())[layer][1]
    places = range(side * side)
    before = list(LAYERS.values())[layer - 1][1] if layer else 0
    return ImageLayer(
        maps=tuple(
            HeatMap(
                values=tuple(heat_value(layer, image, target, place) for place in places),
                scale=0.5 + target,
                channels=tuple(channels_at(layer, target, place) for place in places),
            )
            for target in range(3)
        ),
        activated=tuple(channels_at(layer, 0, place, activated=True) for place in places),
        amounts=tuple(255 * (place + 1) // (side * side) for place in places),
        highest=12.5,
        same_place=tuple(
            tuple((image + place + step) % IMAGES for step in (1, 2, 100)) for place in places
        ),
        groups=tuple(
            tuple(_blob(side, place, group) for place in places) for group in range(GROUPS)
        )
        if side > 1
        else (),
        group_attribution=(1.25, 0.5, -0.75, 0.125) if side > 1 else (),
        seen_from=tuple(_around(side, before, place) for place in places) if layer else (),
    )


@cache
def _blob(side: int, place: int, group: int) -> int:
    at = np.array([group // 2, group % 2]) * (side - 1)
    return round(255 * float(np.exp(-np.sum((np.array(divmod(place, side)) - at) ** 2) / side)))


@cache
def _around(side: int, before: int, place: int) -> tuple[tuple[int, int], ...]:
    centre = (np.array(divmod(place, side)) + 0.5) / side * before - 0.5
    grid = np.stack(np.meshgrid(np.arange(before), np.arange(before), indexing="ij"), -1)
    near = np.exp(-np.sum((grid - centre) ** 2, -1) / 3)
    shares = np.round(255 * near / near.max()).astype(int).ravel()
    return tuple((int(at), int(shares[at])) for at in np.argsort(-shares, kind="stable")[:9])


def means_of(layer: int, which: int, channels: int) -> np.ndarray:
    """Return the mean attributions of a layer's channels over a set of images."""
    return np.round(_random(layer, which).normal(size=channels) ** 3 * 0.1, 4)


def _spread(median: float) -> Spread:
    return Spread(lower_quartile=median / 2, median=median, upper_quartile=median * 1.5)


def _random(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _sprite(layer: int, channel: int) -> np.ndarray:
    """Draw waves of another direction for each channel, around a square of its colour."""
    down, across = np.mgrid[:CELL_PX, :CELL_PX] / CELL_PX
    wave = np.sin(
        2 * np.pi * (2 + layer) * (across * np.cos(channel) + down * np.sin(channel)) + channel
    )
    colour = np.array(colour_of(layer, channel))
    picture = np.clip(colour + 60 * wave[..., None] * np.array([1, -0.6, 0.8]), 0, 255).astype(
        np.uint8
    )
    picture[CELL_PX // 3 : -CELL_PX // 3, CELL_PX // 3 : -CELL_PX // 3] = colour
    return picture


@cache
def _image(number: int) -> np.ndarray:
    """Draw a bright disc before a sky of another colour for each image."""
    down, across = np.mgrid[:IMAGE_PX, :IMAGE_PX] / IMAGE_PX
    random = _random(number)
    sky = random.uniform(60, 200, 3) * (1 - 0.5 * down[..., None])
    disc = np.hypot(
        down - random.uniform(0.3, 0.7), across - random.uniform(0.3, 0.7)
    ) < random.uniform(0.12, 0.3)
    return np.where(disc[..., None], random.uniform(120, 255, 3), sky).astype(np.uint8)


def _sheet_of(name: str, cells: int) -> Sheet:
    return Sheet(file=f"{PICTURES}{name}.png", columns=_columns(cells), cell_px=CELL_PX)


def _columns(cells: int) -> int:
    return max(1, int(cells**0.5))


def _sheet(cells: Sequence[np.ndarray]) -> np.ndarray:
    columns = _columns(len(cells))
    sheet = np.zeros((-(-len(cells) // columns) * CELL_PX, columns * CELL_PX, 3), np.uint8)
    for number, cell in enumerate(cells):
        top, left = number // columns * CELL_PX, number % columns * CELL_PX
        sheet[top : top + CELL_PX, left : left + CELL_PX] = cell
    return sheet


def _save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
