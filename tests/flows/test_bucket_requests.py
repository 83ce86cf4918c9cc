"""The estimate of the requests to the bucket is that of a run, counted at a strict server."""

import pytest
import tensorflow as tf

from diamond_cutter.flows.cli.bucket_requests import count_requests
from diamond_cutter.flows.planning import plan_run
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.storage import open_bucket
from diamond_cutter.tasks.importing.stored import keep_bundle
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from tests.built_bundle import bundle_of, weights
from tests.flows.conftest import Command, small
from tests.storage.gcs_server import GcsServer

PLACE = "gs://place/team"
RECIPE = RenderRecipe(ladder=(), size_px=32, steps=1, input_sides=1)
TOLERANCE = 0.1
# A shard; then another one of that layer and two of the next; then nothing.
RUNS = (("one", "0:32"), ("one two", None), ("one two", None))


def wide(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build two layers of 64 channels, which are two shards each."""
    one = tf.nn.relu(tf.nn.conv2d(x, weights(3, 3, 3, 64), 2, "SAME"))
    two = tf.nn.relu(tf.nn.conv2d(one, weights(1, 1, 64, 64), 2, "SAME"))
    return {
        "one": one,
        "two": two,
        "scores": tf.matmul(tf.reduce_mean(two, [1, 2]), weights(64, 3)),
    }


@pytest.mark.prefect
def test_the_requests_of_a_run_are_estimated(gcs_place: GcsServer, at_once: Command) -> None:
    card = keep_bundle(PLACE, bundle_of(wide))
    for layers, channels in RUNS:
        request = SpritesRequest(
            model=card.key,
            layers=tuple(layers.split()),
            channels=channels,
            recipe=RECIPE,
            bucket=PLACE,
        )
        plan = plan_run(open_bucket(PLACE), card, request)
        estimated = count_requests(plan, processes=1)
        gcs_place.seen.clear()
        options = ("--channels", channels) if channels else ()
        asked = (card.key, "--layers", *layers.split(), *options, *small(1), "--bucket", PLACE)
        done = at_once("sprites", *asked)
        assert done.returncode == 0, done.stderr
        assert estimated == pytest.approx(len(gcs_place.seen), rel=TOLERANCE)
