"""Publishes the galleries of a run while it renders, so that the first sprites can be seen."""

import time
from contextlib import suppress

from diamond_cutter.flows.events.stream import GalleryShown, publish
from diamond_cutter.flows.model_run import ModelRun
from diamond_cutter.storage import Bucket, StorageError
from diamond_cutter.tasks.gallery.publishing import put_gallery

# A short run publishes its gallery once, at its end.
_FIRST_S = 10.0
# Publishing reads the records of all layers, so it becomes rarer in a long run.
_RAREST_S = 300.0


class EarlyGalleries:
    """The galleries of a run's models; each is published after a shard, less and less often."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket, self._started = bucket, time.monotonic()
        self._due: dict[str, float] = {}

    def shard_done(self, run: ModelRun) -> None:
        """Publish the gallery of a model if it is due."""
        model, passed = run.plan.card.key, time.monotonic() - self._started
        if passed < self._due.get(model, _FIRST_S):
            return
        # The end of the run publishes the gallery again, and reports the errors of that.
        with suppress(StorageError):
            recipe = run.request.recipe.key
            key = put_gallery(self._bucket, run.plan.card, recipe, at_work=True)
            publish(GalleryShown(model=model, key=key))
        self._due[model] = passed + min(max(passed, _FIRST_S), _RAREST_S)
