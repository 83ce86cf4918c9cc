"""The functions that run in a device's process are found there without Prefect, whose import takes
most of a second.
"""

import pickle
import subprocess
import sys

import pytest

from diamond_cutter.tasks.attaching.training import bundle_and_commit
from diamond_cutter.tasks.attaching.training import train_and_commit as attach_and_commit
from diamond_cutter.tasks.attribution.job import attribute_and_commit
from diamond_cutter.tasks.cut_report.separating import separate
from diamond_cutter.tasks.cutting.job import join_and_commit, score_and_commit
from diamond_cutter.tasks.devices.inspection import inspect_devices
from diamond_cutter.tasks.features.job import costs_and_commit, features_and_commit
from diamond_cutter.tasks.importing.stored import import_bundle
from diamond_cutter.tasks.photos.activations import measure_and_commit
from diamond_cutter.tasks.rendering.estimate import measure_layers
from diamond_cutter.tasks.rendering.shard import prepare_shard, render_and_commit
from diamond_cutter.tasks.reporting.details import detail_and_commit
from diamond_cutter.tasks.training.job import train_and_commit
from diamond_cutter.tasks.tuning.job import tune_and_store

FUNCTIONS = (
    attach_and_commit,
    attribute_and_commit,
    bundle_and_commit,
    costs_and_commit,
    detail_and_commit,
    features_and_commit,
    import_bundle,
    inspect_devices,
    join_and_commit,
    measure_and_commit,
    measure_layers,
    prepare_shard,
    render_and_commit,
    score_and_commit,
    separate,
    train_and_commit,
    tune_and_store,
)
# As the process of a device does when a call arrives.
UNPICKLE = (
    "import pickle, sys, diamond_cutter.tasks.devices.worker;"
    "pickle.load(sys.stdin.buffer); print('prefect' in sys.modules)"
)


@pytest.mark.slow
def test_a_device_process_does_not_import_prefect() -> None:
    command = [sys.executable, "-c", UNPICKLE]
    done = subprocess.run(command, input=pickle.dumps(FUNCTIONS), capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]
