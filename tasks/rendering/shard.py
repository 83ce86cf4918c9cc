"""Renders one shard in a device's process and commits it."""

import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.storage import Bucket, crc32c, open_bucket
from diamond_cutter.storage.sets.layout import shard_record_key
from diamond_cutter.storage.sets.records import PhotoActivations, ShardRecord
from diamond_cutter.storage.sets.sprite_set import commit, is_whole, put_fingerprinted
from diamond_cutter.tasks.devices import report_progress
from diamond_cutter.tasks.importing.stored import read_bundle
from diamond_cutter.tasks.rendering.batch_size import batch_size_for
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.scores import with_photo_ratios
from diamond_cutter.tasks.rendering.stopwatch import Stopwatch
from diamond_cutter.tasks.rendering.subjects import Channels, Mixes, sha256_of
from diamond_cutter.tasks.rendering.work import ShardWork
from diamond_cutter.tasks.sheets import compose, encode_lossless, shard_columns
from diamond_cutter.tasks.versions import device_of_this_process, software_versions

if TYPE_CHECKING:
    from diamond_cutter.model_inventory.bundle import Bundle
    from diamond_cutter.tasks.rendering.precision import Execution
    from diamond_cutter.tasks.rendering.sprites import Sprite

SHARD_CHANNELS = 32


class ShardJob(FrozenModel):
    """One shard to render: up to 32 channels of a layer, or mixes, with all their variants."""

    bucket: str
    model: str
    subjects: Channels | Mixes
    numbers: tuple[int, ...]
    recipe: RenderRecipe
    batch_size: int | None = None
    photos: str | None = None

    @property
    def name(self) -> str:
        """Return the name of the layer or the mixes."""
        return self.subjects.name

    @property
    def title(self) -> str:
        """Return the name that people see."""
        kind = "channels " if isinstance(self.subjects, Channels) else ""
        return f"{self.name} {kind}{self.numbers[0]}-{self.numbers[-1]}"

    @property
    def sprites(self) -> int:
        """Return the number of its sprites."""
        return len(self.numbers) * self.recipe.variants

    @property
    def record_key(self) -> str:
        """Return the key of the record that commits the shard."""
        return shard_record_key(self.model, self.recipe.key, self.name, self.numbers)


def _rendered(
    job: ShardJob, bundle: "Bundle", batch_size: int, execution: "Execution", tracing: Stopwatch
) -> "list[Sprite]":
    """Render the sprites of a shard, and report the progress."""
    from diamond_cutter.tasks.rendering.sprites import render_sprites

    return render_sprites(
        bundle,
        job.subjects,
        job.numbers,
        job.recipe,
        batch_size=batch_size,
        execution=execution,
        on_batch=lambda rendered: report_progress(rendered * job.recipe.variants),
        on_ladder=lambda failed: report_progress(f"retrying {failed} sprite{'s' * (failed > 1)}"),
        tracing=tracing,
    )


def render_and_commit(job: ShardJob) -> ShardWork:
    """Render a shard in this process; write its picture first, then the record that commits it."""
    from diamond_cutter.tasks.rendering.precision import execution_here

    started, clock, execution = datetime.now(UTC), time.perf_counter(), execution_here()
    tracing, versions = Stopwatch(_tell_tracing), software_versions()
    bucket, bundle = open_bucket(job.bucket), read_bundle(job.bucket, job.model)
    highest = _highest_on_photos(bucket, job)
    batch_size = job.batch_size or batch_size_for(bundle, job.subjects, job.recipe, execution)
    sprites = _rendered(job, bundle, batch_size, execution, tracing)
    rendered_s = time.perf_counter() - clock
    report_progress("writing")
    columns = shard_columns(len(sprites), job.recipe.size_px)
    pictures = ((position, sprite.picture) for position, sprite in enumerate(sprites))
    data = encode_lossless(compose(pictures, len(sprites), columns, job.recipe.size_px))
    record = ShardRecord(
        model=job.model,
        recipe=job.recipe.key,
        layer=job.name,
        layer_sha256=sha256_of(bundle.card, job.subjects),
        batch_size=batch_size,
        execution=execution.name,
        photos=job.photos,
        cell_px=job.recipe.size_px,
        columns=columns,
        sprites=with_photo_ratios((sprite.scores for sprite in sprites), highest),
        file=put_fingerprinted(bucket, job.record_key, data, "webp", crc32c(data)),
        started=started,
        seconds=round(time.perf_counter() - clock, 3),
        versions=versions,
    )
    commit(bucket, job.record_key, record, lambda theirs: is_whole(bucket, theirs.file))
    return ShardWork(
        host=socket.gethostname(),
        device=device_of_this_process(),
        tracing_s=tracing.seconds,
        rendering_s=rendered_s - tracing.seconds,
        writing_s=time.perf_counter() - clock - rendered_s,
        bytes=len(data),
        picture=record.file.key,
        versions=versions,
    )


def _tell_tracing(begins: bool) -> None:
    report_progress("tracing" if begins else "rendering")


def prepare_shard(job: ShardJob) -> None:
    """Trace and compile what a shard needs, in this process, beside the shard that it renders.

    On a GPU, the batch size must be in the job: the probe for it needs the GPU for itself.
    """
    from diamond_cutter.tasks.rendering.precision import execution_here
    from diamond_cutter.tasks.rendering.sprites import prepare_renderers

    execution = execution_here()
    if job.batch_size is None and execution.xla:
        return
    bundle = read_bundle(job.bucket, job.model)
    batch_size = job.batch_size or batch_size_for(bundle, job.subjects, job.recipe, execution)
    prepare_renderers(
        bundle,
        job.subjects,
        job.numbers,
        job.recipe,
        batch_size=batch_size,
        execution=execution,
    )


def _highest_on_photos(bucket: Bucket, job: ShardJob) -> dict[int, float]:
    """Return the highest activation on any photo by channel, if there are photos.

    Raises:
        Corrupt, NotFound: their record is damaged. The shard would lack its ratios for good.
    """
    return (
        dict(enumerate(PhotoActivations.from_bytes(bucket.get(job.photos), job.photos).highest))
        if job.photos
        else {}
    )
