"""Says in words what `show` found: lines of text and tables."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.cli.layer_statistics import (
    ATTEMPTS,
    ChannelScores,
    Distribution,
    LayerReport,
)
from diamond_cutter.flows.cli.records import SetReport, Shown, ShownRecord
from diamond_cutter.flows.cli.tables import Rows
from diamond_cutter.flows.quantities import lasting, significant
from diamond_cutter.storage.sets.layout import is_mixes
from diamond_cutter.storage.sets.records import (
    FLAGS,
    Attempt,
    FileRef,
    Flag,
    PhotoActivations,
    RunRecord,
    Score,
    ShardRecord,
    SpritemapRecord,
    SpriteScores,
)
from diamond_cutter.tasks.importing.stored import bundle_remedy
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.tuning.preset import LayerTuning, Preset

_BARS = "▁▂▃▄▅▆▇█"
_MEDIANS: tuple[Score, ...] = (
    "objective",
    "highest_activation",
    "specificity",
    "photo_ratio",
    "contrast",
    "saturation",
    "checkerboard",
)
_NAMED_CHANNELS = 8
_NAMED_VALUES = 5
_VALUE_LETTERS = 60


Part = str | Rows


def in_words(shown: Shown) -> list[Part]:
    """Return what was found as lines of text and tables; of a card only what stands beside its
    layers.
    """
    match shown:
        case LayerReport():
            return _layer(shown)
        case SetReport():
            return _set(shown)
        case ReportSummary():
            return [*shown.in_words(), Rows(*shown.table()), shown.page]
        case ShownRecord(record=ShardRecord() as record):
            return _shard(record, _file(record.file, shown))
        case ShownRecord(record=SpritemapRecord() as record):
            return _spritemap(record, _file(record.file, shown))
        case ShownRecord(record=RunRecord() as record):
            return _run(record)
        case ShownRecord(record=PhotoActivations() as record):
            return _photos(record)
        case ShownRecord(record=Preset() as record):
            return preset_in_words(record)
        case ShownRecord(record=RenderRecipe() as record):
            return _recipe(record)
        case _:
            damage = f"missing, or not what the card says. {bundle_remedy(shown.key.split('/')[1])}"
            return [
                f"{shown.key}: the card of a model, whose graph is "
                f"{'as the card says' if shown.file_is_whole else damage}"
            ]


def preset_in_words(preset: Preset) -> list[Part]:
    """Return what tuning has found for a model."""
    steps = (
        "its own steps"
        if preset.budget_s is None
        else f"as many steps as take {preset.budget_s:g} s a sprite"
    )
    rows = [
        (
            found.layer,
            f"{found.base.objective:.4g} to {found.best.objective:.4g}",
            ""
            if found.base.specificity is None
            else f"{found.base.specificity:.3g} to {_number(found.best.specificity)}",
            tuning_in_words(found),
        )
        for found in preset.layers
    ]
    return [
        f"preset of {preset.model}: {preset.recipe.key}, which sprites renders by unless told "
        "otherwise",
        f"{_count(len(rows), 'layer')} tuned, from {preset.start.key} with {steps}",
        Rows(("layer", "objective", "specificity", "found"), rows),
    ]


def tuning_in_words(found: LayerTuning) -> str:
    """Return what tuning has found for a layer."""
    changed = found.best.settings.model_dump(exclude_none=True, exclude={"steps"})
    settings = [
        _plain(name) if value is True else f"{_plain(name)} {_range(value)}"
        for name, value in changed.items()
    ]
    verdict = (
        f"merit {significant(found.merit, 3)} with {', '.join(settings)}"
        if settings
        else "nothing better than the recipe as it was"
    )
    return f"{verdict}; {_count(found.best.steps, 'step')}, {_count(found.trials, 'trial')}"


def histogram(counts: Sequence[int]) -> str:
    """Return counts as a row of bars, the highest of them full; a blank is none at all."""
    highest = max(counts, default=0)
    return "".join(_BARS[(count * len(_BARS) - 1) // highest] if count else " " for count in counts)


def _layer(report: LayerReport) -> list[Part]:
    what = "mixes" if is_mixes(report.layer) else "channels"
    done = f"{report.channels_done} of {_known(report.channels)} {what}"
    parts: list[Part] = [f"{report.key}: {_count(report.sprites, 'sprite')}, of {done}"]
    if report.damaged_shards:
        parts.append(
            f"damaged, so that they do not count: {_count(report.damaged_shards, 'shard')}; "
            "diamond-cutter verify says more"
        )
    if not report.sprites:
        return parts
    parts += [
        _flags(report.flagged, report.flags),
        _rungs(report.rungs),
        _distributions(report.distributions),
    ]
    return [
        *parts,
        f"strongest {what}",
        _channels(report.strongest),
        f"weakest {what}",
        _channels(report.weakest),
    ]


def _set(report: SetReport) -> list[Part]:
    rows = [
        (
            layer.layer,
            f"{layer.channels_done} of {_known(layer.channels)}",
            str(layer.sprites),
            str(layer.flagged),
            *(_number(layer.median(score)) for score in _MEDIANS),
        )
        for layer in report.layers
    ]
    head = ("layer", "channels", "sprites", "flagged", *map(_plain, _MEDIANS))
    return [
        f"{report.key}: {_count(len(report.layers), 'layer')}; the scores are medians",
        Rows(head, rows),
    ]


def _shard(record: ShardRecord, file: str) -> list[Part]:
    channels = {sprite.channel for sprite in record.sprites}
    grid = f"up to {record.columns} in a row, {record.cell_px} px each"
    adopted = (
        [f"copied from {record.adopted_from}, which was drawn alike"] if record.adopted_from else []
    )
    with_photos = [f"compared with the photos of {record.photos}"] if record.photos else []
    versions = ", ".join(
        f"{_plain(name)} {version}"
        for name, version in record.versions.model_dump(exclude={"device"}).items()
    )
    return [
        f"shard of {_count(len(record.sprites), 'sprite')} of {record.layer}, channels "
        f"{_span(channels)}; {grid}",
        f"{record.model} by {record.recipe}",
        *adopted,
        file,
        f"begun {record.started:%Y-%m-%d %H:%M:%S %Z}, rendered in {lasting(record.seconds)}, "
        f"{record.batch_size} sprites at once",
        f"computed in {record.execution} on {record.versions.device}; {versions}",
        *with_photos,
        *_counts(record.sprites),
        _sprites(record.sprites),
    ]


def _spritemap(record: SpritemapRecord, file: str) -> list[Part]:
    channels = {sprite.channel for sprite in record.sprites}
    grid = f"{record.columns} in a row, {record.cell_px} px each"
    return [
        f"spritemap of {_count(len(record.sprites), 'sprite')} of {record.layer}, channels "
        f"{_span(channels)}; {grid}",
        f"{record.model} by {record.recipe}, gathered from {_count(len(record.shards), 'shard')}",
        file,
        *_counts(record.sprites),
        _sprites(record.sprites),
    ]


def _run(record: RunRecord) -> list[Part]:
    asked = sum(map(len, record.selection.values()))
    spritemaps = [f"spritemap: {key}" for key in record.spritemaps]
    failures = [f"failed: {failure}" for failure in record.failures]
    return [
        f"run that asked for {_count(asked, 'channel')} of "
        f"{_count(len(record.selection), 'layer')}: {_count(record.sprites, 'sprite')}",
        f"{record.model} by {record.recipe}, finished {record.finished:%Y-%m-%d %H:%M:%S %Z}",
        _flags(None, record.flagged),
        *filter(None, [_rungs(record.rungs)]),
        Rows(
            ("layer", "channels"),
            [(layer, _span(channels)) for layer, channels in record.selection.items()],
        ),
        f"answered by {_count(len(record.shards), 'shard')} and "
        f"{_count(len(record.spritemaps), 'spritemap')}",
        *spritemaps,
        *failures,
    ]


def _photos(record: PhotoActivations) -> list[Part]:
    which = "goes into its activation function" if record.pre_activation else "the layer puts out"
    excited = sum(value > 0 for value in record.highest)
    highest = _number(max(record.highest, default=0.0))
    return [
        f"what {_count(record.images, 'photo')} of {record.photos} do to {record.layer} of "
        f"{record.model}, measured in what {which}",
        f"{excited} of {_count(len(record.highest), 'channel')} are excited by one or more; the "
        f"highest activation is {highest}",
        *(f"cannot be read: {name}" for name in record.unreadable),
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
        "as the record says"
        if shown.file_is_whole
        else "missing, or not what the record says; the same run again mends it"
    )


def _counts(sprites: Sequence[SpriteScores]) -> list[str]:
    flags = Counter(flag for sprite in sprites for flag in sprite.flags)
    return [
        _flags(sum(bool(sprite.flags) for sprite in sprites), flags),
        _rungs(Counter(sprite.rung for sprite in sprites)),
    ]


def _flags(flagged: int | None, flags: Mapping[Flag, int]) -> str:
    named = [f"{flags[flag]} {_plain(flag)}" for flag in FLAGS if flags.get(flag)]
    if not named:
        return "no flags"
    return (
        f"flags: {', '.join(named)}"
        if flagged is None
        else f"{flagged} flagged: {', '.join(named)}"
    )


def _rungs(rungs: Mapping[Attempt, int]) -> str:
    saved = [f"{rungs[attempt]} by {attempt}" for attempt in ATTEMPTS[1:-1] if rungs.get(attempt)]
    words = [f"{rungs['first']} at the first attempt"] if "first" in rungs else []
    words += [f"saved: {', '.join(saved)}"] if saved else []
    words += [f"{rungs['none']} failed at every attempt"] if rungs.get("none") else []
    return "; ".join(words)


def _distributions(found: Iterable[Distribution]) -> Rows:
    head = (
        "score",
        "sprites",
        "minimum",
        "quartile",
        "median",
        "quartile",
        "maximum",
        "from minimum to maximum",
    )
    rows = [
        (
            _plain(one.score),
            str(one.sprites),
            *map(
                _number,
                (one.minimum, one.lower_quartile, one.median, one.upper_quartile, one.maximum),
            ),
            histogram(one.histogram),
        )
        for one in found
    ]
    return Rows(head, rows)


def _channels(lines: Sequence[ChannelScores]) -> Rows:
    table = _sprites([line.scores for line in lines])
    if not any(line.label for line in lines):
        return table
    return Rows(
        [*table.head, "label"],
        [[*row, line.label or ""] for row, line in zip(table.rows, lines, strict=True)],
    )


def _sprites(sprites: Sequence[SpriteScores]) -> Rows:
    rows = [
        (
            str(sprite.channel),
            str(sprite.variant),
            *(_number(getattr(sprite, score)) for score in _MEDIANS),
            sprite.rung,
            ", ".join(map(_plain, sprite.flags)),
        )
        for sprite in sprites
    ]
    return Rows(("channel", "variant", *map(_plain, _MEDIANS), "attempt", "flags"), rows)


def _span(channels: Iterable[int]) -> str:
    ordered = sorted(channels)
    if len(ordered) <= _NAMED_CHANNELS:
        return ", ".join(map(str, ordered))
    between = f"{ordered[0]} to {ordered[-1]}"
    return (
        between
        if ordered[-1] - ordered[0] + 1 == len(ordered)
        else f"{between}, {len(ordered)} of them"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _known(count: int | None) -> str:
    return "?" if count is None else str(count)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


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
