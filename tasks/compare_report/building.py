"""Build the contents of a comparison, and write the files of its page."""

import csv
import importlib.metadata
import io
import shlex

from diamond_cutter.tasks.compare_report.channel_cards import ChannelCards
from diamond_cutter.tasks.compare_report.contents import (
    CompareContents,
    ComparedModelFacts,
    ImageFacts,
)
from diamond_cutter.tasks.compare_report.heat_map import heat_map
from diamond_cutter.tasks.compare_report.job import Choice, CompareJob, Examined
from diamond_cutter.tasks.compare_report.results import (
    Results,
    class_rows,
    images_table,
    one_sided_images,
)
from diamond_cutter.tasks.compare_report.wording import answer, remarks, without_accuracy
from diamond_cutter.tasks.cut_report.contents import Figure
from diamond_cutter.tasks.photos.bands import preview_in_words
from diamond_cutter.tasks.reporting.contents import RefusedImage
from diamond_cutter.tasks.reporting.stored import ReportFiles


def build_contents(
    job: CompareJob,
    results: Results,
    choice: Choice,
    examined: tuple[Examined, Examined],
    files: ReportFiles,
) -> CompareContents:
    """Write the files of a comparison's page, and return what the page shows."""
    cards = ChannelCards(job, choice, examined, files)
    models = _model_facts(job, results, 0), _model_facts(job, results, 1)
    channels = [each.card.image.channels for each in job.models]
    facts, pairs, contributing = _image_facts(job), job.similar.pairs, choice.contributing
    return CompareContents(
        dataset=job.images.name,
        report=job.spec.key,
        answer=answer(models, results.test, facts, pairs),
        remarks=(
            *remarks(models, results.test, facts, pairs, results.unknown),
            *dict.fromkeys(filter(None, map(preview_in_words, channels))),
        ),
        repeat=_repeat(job),
        models=models,
        facts=facts,
        test=results.test,
        classes=class_rows(results),
        only_first=one_sided_images(job, results, 0, files),
        only_second=one_sided_images(job, results, 1, files),
        layers=job.similar.layers,
        cka=job.similar.cka,
        pairs=pairs,
        seen=cards.seen(),
        contributing=(contributing.first, contributing.second) if contributing else None,
        contributors=cards.contributors(),
        refused=_refused(job),
        problems=job.similar.problems,
        figure=_figure(job, files),
        channels_table=job.similar.table.key.removeprefix(job.folder),
        images_table=images_table(job, results, files),
        version=importlib.metadata.version("diamond-cutter"),
    )


def _model_facts(job: CompareJob, results: Results, side: int) -> ComparedModelFacts:
    model, accuracy = job.models[side], results.accuracy[side]
    labelled = any(job.numbered[number].label for number in job.compared.tested)
    return ComparedModelFacts(
        name=model.name,
        key=model.card.key,
        height=model.card.image.height,
        width=model.card.image.width,
        sprites=job.spec.sprites[side],
        accuracy=accuracy,
        without=""
        if accuracy
        else without_accuracy(model.name, labelled, model.outputs is not None),
    )


def _image_facts(job: CompareJob) -> ImageFacts:
    compared = job.compared
    return ImageFacts(
        images=len(job.numbered) - len(job.refused),
        measured=len(compared.measured),
        tested=len(compared.tested),
        copies=compared.copies,
        split=compared.split,
        labels=job.images.labels or "",
    )


def _refused(job: CompareJob) -> tuple[RefusedImage, ...]:
    listed = {bad.name: bad.reason for bad in job.images.refused} | dict(job.refused)
    return tuple(RefusedImage(name=name, reason=reason) for name, reason in sorted(listed.items()))


def _figure(job: CompareJob, files: ReportFiles) -> Figure | None:
    """Write the heat map and its numbers as files to download."""
    similar = job.similar
    if not similar.cka:
        return None
    chart = heat_map((job.models[0].name, job.models[1].name), similar.layers, similar.cka)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["", *map(_cell, similar.layers[1])])
    for name, row in zip(similar.layers[0], similar.cka, strict=True):
        writer.writerow([_cell(name), *("" if value is None else value for value in row)])
    title = "similarity-of-layers"
    return Figure(
        title=title,
        svg=files.file(title, chart.encode(), "svg"),
        csv=files.file(title, text.getvalue().encode(), "csv"),
    )


def _cell(name: str) -> str:
    """Return a name as a cell; a spreadsheet would run one that begins like a formula."""
    return f"'{name}" if name[:1] in "=+-@" else name


def _repeat(job: CompareJob) -> str:
    first, second = (model.card.key for model in job.models)
    words = ["diamond-cutter", "compare", first, second, job.place, "--layers", *job.layers]
    words += ["--split", job.spec.split, "--channels", str(job.spec.channels)]
    words += ["--show", *job.spec.show] if job.spec.show else []
    words += ["--recipe", job.recipe_name] if job.recipe_name else []
    return shlex.join([*words, "--bucket", job.bucket])
