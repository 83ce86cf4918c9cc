"""Models and cuts with made-up numbers and hostile names."""

from pathlib import Path

from PIL import Image

from diamond_cutter.tasks.cut_report.contents import (
    ClassCard,
    ComparedModelCard,
    CutContents,
    CutName,
    CutRow,
    DataFacts,
    Figure,
    Lead,
    ShownChannel,
    ShownImage,
    TrainedCut,
)
from diamond_cutter.tasks.cut_report.pages import CUT_REPORT, charts, cut_page
from diamond_cutter.tasks.cutting.agreement import Agreement
from diamond_cutter.tasks.pages.frontend import asset_files
from diamond_cutter.tasks.reporting.contents import RefusedImage

HOSTILE = "block</title><script>alert(1)</script>&\x07\"'"


def compared_models() -> tuple[ComparedModelCard, ...]:
    """Return three models."""
    return tuple(
        ComparedModelCard(
            name=f"network-{place}",
            key=f"network-{place}@1a2b3c4d",
            height=32,
            width=32,
            imagenet=None if place == 2 else 0.7 + place / 20,
            imagenet_source=None,
            verdict="early",
            words="The accuracy peaks early.",
            join=None,
        )
        for place in range(3)
    )


def rows_of(models: tuple[ComparedModelCard, ...]) -> tuple[CutRow, ...]:
    """Return three cuts of each model, one of them with a hostile name."""
    return tuple(
        CutRow(
            model=model.name,
            layer=f"{place} {HOSTILE}" if place == 1 else f"block_{place}",
            probe=0.5 + 0.1 * place + 0.03 * number,
            probe_low=0.45 + 0.1 * place + 0.03 * number,
            probe_high=0.55 + 0.1 * place + 0.03 * number,
            balanced=0.5,
            knn=0.5,
            knn_1=0.4,
            knn_20=0.5,
            logme=-0.2,
            h_score=1.0,
            total_activation=12345.0,
            effective_rank=7.0,
            dead=0.01,
            imagenet=model.imagenet,
            depth=(place + 1) / 3,
            parameters=1000 * (place + 1),
            macs=10**6 * (place + 1) * (number + 1),
            ms=0.5,
            on_front=place == 2,
        )
        for number, model in enumerate(models)
        for place in range(3)
    )


def made_up_contents(figure_names: tuple[str, str] = ("depth", "cost")) -> CutContents:
    """Return the contents of a report whose names are hostile; its pictures are `picture.webp`."""
    models = compared_models()
    rows = rows_of(models)
    shown = ShownImage(
        name=f"scans/{HOSTILE}.png", label=HOSTILE, file="picture.webp", taken_for="owl"
    )
    channel = ShownChannel(
        channel=7, weight=0.5, sprite="picture.webp", flags=("grey",), patches="strip.webp", shown=2
    )
    missing = channel.model_copy(update={"channel": 8, "sprite": None, "flags": ()})
    classes = tuple(
        ClassCard(
            name=name, images=20, right_best=0.9, right_last=last, channels=(channel, missing)
        )
        for name, last in ((HOSTILE, 0.7), ("owl", 0.95))
    )
    agreed = Agreement(tau=0.5, tau_low=None, tau_high=0.9, regret_1=2.0, regret_3=0.0)
    return CutContents(
        dataset="scans@1a2b3c4d",
        report="cut@1a2b3c4d",
        sprites="fast@1a2b3c4d",
        answer=f"Cut network-2 at {HOSTILE}: 88 % ± 3.",
        remarks=(f"A remark on {HOSTILE}.",),
        command=f"diamond-cutter attribute network-2 '{HOSTILE}'",
        repeat="diamond-cutter cut scans",
        best=CutName(model=rows[-1].model, layer=rows[-1].layer),
        last=CutName(model=rows[-2].model, layer=rows[-2].layer),
        lead=Lead(mean=0.04, low=0.012, high=0.071),
        models=models,
        rows=rows,
        trained=(TrainedCut(model="network-2", layer=HOSTILE, accuracy=0.8, probe=0.9, epochs=3),),
        regret={"probe": agreed, "imagenet": agreed},
        facts=DataFacts(
            images=50,
            scored=40,
            tested=10,
            copies=2,
            contradicting=0,
            given_split=False,
            labels="folders",
            folds=5,
            repeats=3,
            seed=0,
            pooling="average",
        ),
        classes=classes,
        confusion_best=((18, 2), (0, 20)),
        confusion_last=((14, 6), (1, 19)),
        confused=(),
        only_best=(shown,),
        only_best_count=30,
        only_last=(),
        only_last_count=0,
        refused=(RefusedImage(name=f"{HOSTILE}.jpg", reason="it is truncated"),),
        problems=("layer a of network-1 was left out: its features are not finite",),
        figures=tuple(
            Figure(title=name, svg=f"{name}.svg", csv=f"{name}.csv") for name in figure_names
        ),
        table="cuts.parquet",
        images_table="images.parquet",
        version="0.1.0",
    )


def write_comparison(folder: Path) -> CutContents:
    """Write a whole report into a folder, and return its contents."""
    contents = made_up_contents()
    folder.mkdir(parents=True)
    (folder / "index.html").write_bytes(cut_page(contents))
    for key, data in asset_files(CUT_REPORT, "").items():
        (folder / key).write_bytes(data)
    for path, data in charts(contents).items():
        (folder / path).write_bytes(data)
    for name, width in (("picture", 8), ("strip", 16)):
        Image.new("RGB", (width, 8), "teal").save(folder / f"{name}.webp")
    return contents
