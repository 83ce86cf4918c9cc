"""Renders the sprites of the channels that a report on where to cut shows."""

from diamond_cutter.flows.report_sprites import render_sprites
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.sprite_set import channels_missing, read_layer
from diamond_cutter.tasks.cut_report.class_cards import ClassChannels
from diamond_cutter.tasks.cut_report.cuts import ComparedModel
from diamond_cutter.tasks.cut_report.job import ComparisonJob
from diamond_cutter.tasks.cut_report.task import find_separating_channels
from diamond_cutter.tasks.devices import DeviceSlots


def render_cut_sprites(
    job: ComparisonJob,
    best: ComparedModel,
    asked: SpritesRequest,
    slots: DeviceSlots,
    timeout_s: float,
) -> tuple[ClassChannels, list[str]]:
    """Find the channels that tell the classes apart at the best cut, and render missing sprites.

    Returns:
        the channels of each class, and a sentence for each failure.
    """
    if not job.spec.channels:
        return [], []
    channels = find_separating_channels(job, slots, timeout_s)
    wanted = sorted({each.channel for of_class in channels for each in of_class})
    bucket, layer = open_bucket(job.bucket), job.best_layer.name
    there = read_layer(bucket, best.card.key, asked.recipe.key, layer).channels()
    missing = channels_missing(wanted, there)
    if not missing:
        return channels, []
    # All of them, including what a killed run has finished, so that the bucket ends up the same.
    return channels, render_sprites(asked.model_copy(update={"selection": {layer: tuple(wanted)}}))
