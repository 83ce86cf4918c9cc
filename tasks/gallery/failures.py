"""Find what runs could not render in a set, and how to try it again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.storage.sets.layout import is_mixes, is_run_record, set_folder
from diamond_cutter.storage.sets.records import RunRecord
from diamond_cutter.storage.sets.sprite_set import read_record
from diamond_cutter.tasks.gallery.contents import ShownFailure

# Most shards of a layer fail for the same reason.
_MOST_SENTENCES = 3


class RenderedLayer(Protocol):
    """A layer, or mixes, of which the set has some sprites."""

    @property
    def layer(self) -> str:
        """Return its name."""

    @property
    def rendered(self) -> frozenset[int]:
        """Return the channels or mixes with sprites."""

    @property
    def in_progress(self) -> bool:
        """Tell whether some sprites are not in a spritemap yet."""


def read_failures(
    bucket: Bucket,
    model: str,
    recipe: str,
    layers: Collection[RenderedLayer],
    card: ModelCard | None,
    variants: int,
) -> tuple[ShownFailure, ...]:
    """Return what the runs of a set could not render, without what was rendered since.

    Args:
        bucket: the bucket with the set.
        model: the model's key.
        recipe: the recipe's key.
        layers: the layers with sprites.
        card: the card of the model.
        variants: sprites per channel.
    """
    known = {layer.layer: layer for layer in layers}
    counts = {layer.name: layer.channels for layer in (card.layers if card else ())}
    found: dict[str, ShownFailure] = {}
    # Of several runs that failed on the same channels, the last one counts.
    for record in sorted(_runs(bucket, model, recipe), key=lambda run: run.finished, reverse=True):
        for layer in record.selection:
            source = known.get(layer)
            rendered = source.rendered if source else frozenset[int]()
            channels = tuple(
                channel for channel in record.failed.get(layer, ()) if channel not in rendered
            )
            why = _sentences(record, layer)
            # Records of earlier versions name the failed parts only in sentences.
            other = why if not record.failed else _of_spritemap(why, layer)
            not_gathered = bool(source and source.in_progress and other)
            if layer not in found and (channels or not_gathered):
                found[layer] = ShownFailure(
                    layer=layer,
                    channels=channels,
                    sprites=len(channels) * variants,
                    why=why[:_MOST_SENTENCES],
                    retry=_retry(record, layer, channels, counts),
                )
    order = {layer: place for place, layer in enumerate((*counts, *known))}
    return tuple(sorted(found.values(), key=lambda failure: order.get(failure.layer, len(order))))


def _runs(bucket: Bucket, model: str, recipe: str) -> Iterator[RunRecord]:
    """Yield the records of runs that failed on something."""
    listed = bucket.list(f"{set_folder(model, recipe)}runs/")
    keys = [info.key for info in listed if is_run_record(info.key)]
    for record in at_once(bucket, lambda key: read_record(bucket, key, RunRecord), keys):
        if record and record.failures and (record.model, record.recipe) == (model, recipe):
            yield record


def _sentences(record: RunRecord, layer: str) -> tuple[str, ...]:
    starts = (f"{layer} ", f"{layer}:")
    own = (sentence for sentence in record.failures if sentence.startswith(starts))
    return (*own, *_of_spritemap(record.failures, layer))


def _of_spritemap(sentences: Sequence[str], layer: str) -> tuple[str, ...]:
    return tuple(filter(lambda sentence: sentence.startswith(f"spritemap of {layer}:"), sentences))


def _retry(
    record: RunRecord, layer: str, failed: Sequence[int], counts: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the options of `sprites` that select what a run selected, to retry what failed.

    The runs of a report select other channels in each layer, which no options do. Then the options
    select what failed.
    """
    selection = record.selection
    if any(map(is_mixes, selection)):
        return ()
    layers = ("--layers", *selection)
    if all(len(channels) == counts.get(name) for name, channels in selection.items()):
        return (*layers, "--retry-failed")
    if len(set(selection.values())) == 1:
        return (*layers, "--channels", _spans(selection[layer]), "--retry-failed")
    return ("--layers", layer, "--channels", _spans(failed or selection[layer]))


def _spans(channels: Sequence[int]) -> str:
    """Return channels as `--channels` reads them: `0:32,40`."""
    spans = []
    for _, group in groupby(enumerate(sorted(channels)), key=lambda pair: pair[1] - pair[0]):
        run = [channel for _, channel in group]
        spans.append(f"{run[0]}:{run[-1] + 1}" if len(run) > 1 else f"{run[0]}")
    return ",".join(spans)
