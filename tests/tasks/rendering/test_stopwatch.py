"""Time in which several threads are in a block counts once."""

import time

import pytest

from diamond_cutter.tasks.rendering.stopwatch import Stopwatch
from diamond_cutter.tasks.versions import device_of_this_process


def test_overlapping_blocks_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, moments = Stopwatch(), iter([1.0, 4.0, 10.0, 10.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    with watch, watch:
        pass
    with watch:
        pass
    assert watch.seconds == 3.5


@pytest.mark.parametrize(
    ("visible", "device"), [(None, "cpu"), ("", "cpu"), ("1", "gpu:1"), ("GPU-8a", "gpu:GPU-8a")]
)
def test_a_process_knows_its_device(
    visible: str | None, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device_of_this_process() == device
