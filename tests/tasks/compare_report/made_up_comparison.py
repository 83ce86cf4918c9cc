"""A comparison of two models with made-up numbers and hostile names."""

from pathlib import Path

from PIL import Image

from diamond_cutter.tasks.compare_report.contents import (
    ChannelPair,
    ClassContributors,
    ClassRow,
    CompareContents,
    ComparedModelFacts,
    Contribution,
    ImageFacts,
    SeenChannel,
    SeenPair,
)
from diamond_cutter.tasks.compare_report.pages import (
    COMPARE_REPORT,
    compare_charts,
    compare_page,
)
from diamond_cutter.tasks.comparing.accuracy import Accuracy, PairedTest, share_of
from diamond_cutter.tasks.comparing.layer_pairs import LayerPair
from diamond_cutter.tasks.cut_report.contents import Figure, ShownImage
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.reporting.contents import RefusedImage

HOSTILE = "block</title><script>alert(1)</script>&\x07\"'"
LAYERS = ("stem", HOSTILE, "head")


def model_facts(name: str, right: int | None) -> ComparedModelFacts:
    """Return a model that gets some of 40 images right, or has no accuracy."""
    classes = {} if right is None else {HOSTILE: share_of(right // 2, 20), "owl": share_of(9, 20)}
    return ComparedModelFacts(
        name=name,
        key=f"{name}@1a2b3c4d",
        height=32,
        width=48,
        sprites="fast@1a2b3c4d",
        accuracy=None
        if right is None
        else Accuracy(overall=share_of(right, 40), balanced=0.61, classes=classes),
        without="It has no accuracy here." if right is None else "",
    )


def layer_pair(name: str, cka: float | None) -> LayerPair:
    """Return a pair of layers of the same name."""
    return LayerPair(
        first=name,
        second=name,
        found_by="name",
        channels=(16, 24),
        cka=cka,
        low=None if cka is None else cka - 0.1,
        high=None if cka is None else min(1.0, cka + 0.1),
        matched=15,
        correlation=0.7,
        chance=0.3,
        same_number=4,
        weak=2,
        dead=(1, 0),
    )


def made_up_contents() -> CompareContents:
    """Return the contents of a report whose names are hostile."""
    shown = ShownImage(
        name=f"scans/{HOSTILE}.png", label=HOSTILE, file="picture.webp", taken_for="owl"
    )
    channel = SeenChannel(
        channel=7, mean=0.5, sprite="picture.webp", flags=("grey",), patches="strip.webp", shown=2
    )
    missing = channel.model_copy(update={"channel": 8, "sprite": None, "flags": ()})
    contribution = Contribution(
        channel=7, value=0.51, half=0.1, sprite="picture.webp", counterpart=8
    )
    alone = contribution.model_copy(update={"half": None, "sprite": None, "counterpart": None})
    row = ClassRow(
        name=HOSTILE,
        images=20,
        first=share_of(15, 20),
        second=share_of(18, 20),
        only_first=1,
        only_second=4,
    )
    return CompareContents(
        dataset="scans@1a2b3c4d",
        report="compare@1a2b3c4d",
        answer=f"{HOSTILE} is right about 90.0 % of 40 images.",
        remarks=(f"A remark on {HOSTILE}.",),
        repeat="diamond-cutter compare before after scans",
        models=(model_facts("before", 30), model_facts(HOSTILE, 36)),
        facts=ImageFacts(
            images=50, measured=45, tested=45, copies=5, split="test", labels="folders"
        ),
        test=PairedTest(
            images=40,
            both=28,
            only_first=2,
            only_second=30,
            difference=0.15,
            low=0.01,
            high=0.3,
            p_value=0.04,
        ),
        classes=(row, row.model_copy(update={"name": "owl", "first": None})),
        only_first=(),
        only_second=(shown,),
        layers=(LAYERS, LAYERS),
        cka=((1.0, 0.5, None), (0.4, 0.9, -0.02), (0.1, 0.2, 0.61)),
        pairs=(layer_pair("stem", 1.0), layer_pair(HOSTILE, 0.9), layer_pair("head", None)),
        seen=(
            SeenPair(
                first=HOSTILE,
                second="head",
                channels=(
                    ChannelPair(correlation=0.1, first=channel, second=missing),
                    ChannelPair(correlation=0.2, first=channel, second=channel),
                ),
            ),
        ),
        contributing=("head", "head"),
        contributors=(
            ClassContributors(
                name=HOSTILE, images=1, first=(contribution, alone), second=(contribution,)
            ),
            ClassContributors(name="owl", images=20, first=(), second=(contribution,)),
        ),
        refused=(RefusedImage(name=f"{HOSTILE}.jpg", reason="it is truncated"),),
        problems=("layer a of before was left out: its activations are not finite",),
        figure=Figure(title="similarity", svg="similarity.svg", csv="similarity.csv"),
        channels_table="channels.parquet",
        images_table="images.parquet",
        version="0.1.0",
    )


def write_comparison(folder: Path) -> CompareContents:
    """Write a whole report into a folder, and return its contents."""
    contents = made_up_contents()
    folder.mkdir(parents=True)
    (folder / "index.html").write_bytes(compare_page(contents))
    for key, data in asset_files(COMPARE_REPORT, "").items():
        (folder / key).write_bytes(data)
    for path, data in compare_charts(contents).items():
        (folder / path).write_bytes(data)
    for name, width in (("picture", 8), ("strip", 16)):
        Image.new("RGB", (width, 8), "teal").save(folder / f"{name}.webp")
    return contents
