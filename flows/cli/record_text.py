"""Records as text: shards, spritemaps, runs, photo activations, presets and recipes."""

from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.cli.execution_text import execution_in_words, executions_in_words
from diamond_cutter.flows.cli.layer_statistics import LayerReport
from diamond_cutter.flows.cli.layer_text import layer_in_words, set_in_words
from diamond_cutter.flows.cli.records import SetReport, Shown, ShownRecord
from diamond_cutter.flows.cli.score_text import (
    count_of,
    flags_and_rungs,
    flags_in_words,
    number,
    plain,
    rungs_in_words,
    span,
    sprites_table,
)
from diamond_cutter.flows.cli.tables import Part, Rows
from diamond_cutter.flows.compare_summary import CompareSummary
from diamond_cutter.flows.cut_summary import CutSummary
from diamond_cutter.flows.quantities import lasting, significant
from diamond_cutter.storage.sets.executions import RunExecution
from diamond_cutter.storage.sets.records import (
    FileRef,
    PhotoActivations,
    RunRecord,
    ShardRecord,
    SpritemapRecord,
)
from diamond_cutter.tasks.importing.stored import bundle_remedy
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset

_NAMED_VALUES = 5
_VALUE_LETTERS = 60


def in_words(shown: Shown) -> list[Part]:
    """Return the result of `show` as lines of text and tables; a card without its layers."""
    match shown:
        case LayerReport():
            return layer_in_words(shown)
        case SetReport():
            return set_in_words(shown)
        case ReportSummary():
            return report_in_words(shown)
        case CutSummary() | CompareSummary():
            return [*shown.in_words(), *(Rows(*table) for table in shown.tables()), shown.report]
        case ShownRecord(record=ShardRecord() as record):
            return _shard(record, _file(record.file, shown))
        case ShownRecord(record=SpritemapRecord() as record):
            return _spritemap(record, _file(record.file, shown))
        case ShownRecord(record=RunRecord() as record):
            return [*_run(record), *executions_in_words(shown.executions)]
        case ShownRecord(record=RunExecution() as record):
            return execution_in_words(record)
        case ShownRecord(record=PhotoActivations() as record):
            return _photos(record)
        case ShownRecord(record=Preset() as record):
            return preset_in_words(record)
        case ShownRecord(record=RenderRecipe() as record):
            return _recipe(record)
        case _:
            damage = f"missing or damaged. {bundle_remedy(shown.key.split('/')[1])}"
            return [
                f"{shown.key}: the card of a model; its graph is "
                f"{'whole' if shown.file_is_whole else damage}"
            ]


def report_in_words(summary: ReportSummary) -> list[Part]:
    """Return the summary of a report as lines of text and a table: the answer first."""
    finding = [summary.finding] if summary.finding else []
    table = Rows(*summary.table())
    return [*finding, table, *summary.advice(), *summary.in_words(), summary.page]


def preset_in_words(preset: Preset) -> list[Part]:
    """Return the preset of a model as lines of text and a table."""
    steps = (
        "its own steps"
        if preset.budget_s is None
        else f"a budget of {preset.budget_s:g} s a sprite"
    )
    rows = [
        (
            found.layer,
            f"{found.base.objective:.4g} to {found.best.objective:.4g}",
            ""
            if found.base.specificity is None
            else f"{found.base.specificity:.3g} to {number(found.best.specificity)}",
            tuning_in_words(found),
        )
        for found in preset.layers
    ]
    return [
        f"preset of {preset.model}: {preset.recipe.key}, the default recipe of sprites",
        f"{count_of(len(rows), 'layer')} tuned, from {preset.start.key} with {steps}",
        Rows(("layer", "objective", "specificity", "found"), rows),
    ]


def tuning_in_words(found: LayerTuning) -> str:
    """Return the tuning of a layer in one line."""
    changed = found.best.settings.model_dump(exclude_none=True, exclude={"steps"})
    settings = [
        plain(name) if value is True else f"{plain(name)} {_range(value)}"
        for name, value in changed.items()
    ]
    verdict = (
        f"merit {significant(found.merit, 3)} with {', '.join(settings)}"
        if settings
        else "nothing better than the original recipe"
    )
    return f"{verdict}; {count_of(found.best.steps, 'step')}, {count_of(found.trials, 'trial')}"


def _shard(record: ShardRecord, file: str) -> list[Part]:
    channels = {sprite.channel for sprite in record.sprites}
    grid = f"up to {record.columns} in a row, {record.cell_px} px each"
    adopted = [f"copied from {record.adopted_from}, an equal shard"] if record.adopted_from else []
    with_photos = [f"compared with the photos of {record.photos}"] if record.photos else []
    versions = ", ".join(
        f"{plain(name)} {version}"
        for name, version in record.versions.model_dump(exclude={"device"}).items()
    )
    return [
        f"shard of {count_of(len(record.sprites), 'sprite')} of {record.layer}, channels "
        f"{span(channels)}; {grid}",
        f"{record.model} by {record.recipe}",
        *adopted,
        file,
        f"started {record.started:%Y-%m-%d %H:%M:%S %Z}, rendered in {lasting(record.seconds)}, "
        f"{record.batch_size} sprites at once",
        f"computed in {record.execution} on {record.versions.device}; {versions}",
        *with_photos,
        *flags_and_rungs(record.sprites),
        sprites_table(record.sprites),
    ]


def _spritemap(record: SpritemapRecord, file: str) -> list[Part]:
    channels = {sprite.channel for sprite in record.sprites}
    grid = f"{record.columns} in a row, {record.cell_px} px each"
    return [
        f"spritemap of {count_of(len(record.sprites), 'sprite')} of {record.layer}, channels "
        f"{span(channels)}; {grid}",
        f"{record.model} by {record.recipe}, gathered from {count_of(len(record.shards), 'shard')}",
        file,
        *flags_and_rungs(record.sprites),
        sprites_table(record.sprites),
    ]


def _run(record: RunRecord) -> list[Part]:
    asked = sum(map(len, record.selection.values()))
    spritemaps = [f"spritemap: {key}" for key in record.spritemaps]
    failures = [f"failed: {failure}" for failure in record.failures]
    return [
        f"run of {count_of(asked, 'channel')} of "
        f"{count_of(len(record.selection), 'layer')}: {count_of(record.sprites, 'sprite')}",
        f"{record.model} by {record.recipe}, finished {record.finished:%Y-%m-%d %H:%M:%S %Z}",
        flags_in_words(None, record.flagged),
        *filter(None, [rungs_in_words(record.rungs)]),
        Rows(
            ("layer", "channels"),
            [(layer, span(channels)) for layer, channels in record.selection.items()],
        ),
        f"contained in {count_of(len(record.shards), 'shard')} and "
        f"{count_of(len(record.spritemaps), 'spritemap')}",
        *spritemaps,
        *failures,
    ]


def _photos(record: PhotoActivations) -> list[Part]:
    where = "before its activation function" if record.pre_activation else "at its output"
    excited = sum(value > 0 for value in record.highest)
    highest = number(max(record.highest, default=0.0))
    return [
        f"activations of {record.layer} of {record.model} on {count_of(record.images, 'photo')} of "
        f"{record.photos}, measured {where}",
        f"{excited} of {count_of(len(record.highest), 'channel')} are active on some photo; "
        f"the highest activation is {highest}",
        *(f"unreadable: {name}" for name in record.unreadable),
    ]


def _recipe(recipe: RenderRecipe) -> list[Part]:
    values = recipe.model_dump(mode="json")
    rows = [
        (name, _short(values[name]), field.description or "")
        for name, field in RenderRecipe.model_fields.items()
    ]
    return [f"recipe {recipe.key}", Rows(("field", "value", "meaning"), rows)]


def _file(file: FileRef, shown: ShownRecord) -> str:
    return f"file {file.key}, {file.size:,} bytes: {_soundness(shown)}"


def _soundness(shown: ShownRecord) -> str:
    return (
        "whole" if shown.file_is_whole else "missing or damaged. Run the same command to repair it"
    )


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _VALUE_LETTERS else f"{text[:_VALUE_LETTERS]}..."


def _range(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, tuple):
        return f"{value:g}"
    return (
        " ".join(f"{one:g}" for one in value)
        if len(value) <= _NAMED_VALUES
        else f"{min(value):g} to {max(value):g}"
    )
