"""Devices that fail. There is no GPU here: functions behave as they would on a broken one."""

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from diamond_cutter.tasks.devices import DeviceSlots, NoDeviceLeft, WorkerDied
from diamond_cutter.tasks.devices.gpu_check import compute_on_gpu
from diamond_cutter.tasks.devices.messages import is_of_device
from tests.waiting import AT_MOST_S, wait_for

pytestmark = pytest.mark.slow

LOST = "INTERNAL: CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered"


class InternalError(Exception):
    """As TensorFlow raises it."""


def device():
    return os.environ["CUDA_VISIBLE_DEVICES"]


def missing_1():
    if device() == "1":
        raise RuntimeError("TensorFlow finds no such GPU")


def dying_1():
    if device() == "1":
        os._exit(7)


def failing():
    raise RuntimeError(f"nothing computes on {device()}")


def check_file():
    if not Path(os.environ["GPU_IS_THERE"]).exists():
        raise RuntimeError("the GPU has fallen off the bus")


def work(call, broken, text=LOST):
    time.sleep(0.05)
    if device() in broken:
        raise InternalError(text)
    return call, device()


def lose_device_and_die():
    Path(os.environ["GPU_IS_THERE"]).unlink()
    os._exit(1)


def begin_and_wait(begun: Path, end: Path):
    begun.touch()
    wait_for(end.exists)
    return os.getpid()


def note(begun: Path, end: Path):
    begun.with_suffix(".ahead").write_text(f"{os.getpid()} {threading.current_thread().name}")


def fail_ahead(begun: Path, end: Path):
    note(begun, end)
    raise RuntimeError("nobody hears this")


def pid(*files: Path):
    return os.getpid()


def run_all(slots, calls):
    """Run calls as a flow does, in threads; return the device that answered each."""
    with ThreadPoolExecutor(len(slots) + 1) as threads:
        started = [
            threads.submit(slots.run, work, call, (), timeout_s=AT_MOST_S) for call in range(calls)
        ]
        return dict(call.result(AT_MOST_S) for call in started)


@pytest.mark.parametrize(
    ("check", "why"),
    [(missing_1, "TensorFlow finds no such GPU"), (dying_1, "exited with code 7")],
)
def test_a_device_that_cannot_start_falls_out_and_the_calls_go_on(caplog, check, why):
    with DeviceSlots(["0", "1", "2"], check=check) as slots:
        answered = run_all(slots, 9)
        assert set(answered) == set(range(9)) and set(answered.values()) <= {"0", "2"}
        assert len(slots) == 2
    (said,) = caplog.messages
    assert said.startswith("GPU 1 has failed: ") and why in said
    assert said.endswith("The run continues on 2 other devices.")


def test_without_any_device_left_every_call_ends_with_a_sentence(caplog):
    caplog.set_level(logging.WARNING)
    with (
        DeviceSlots(["0", "1"], check=failing) as slots,
        ThreadPoolExecutor(4) as threads,
    ):
        calls = [threads.submit(slots.run, pid, timeout_s=AT_MOST_S) for _ in range(4)]
        for call in calls:
            with pytest.raises(NoDeviceLeft, match=r"no device is left\. GPU .*computes on"):
                call.result(AT_MOST_S)
    assert "The run continues on another device." in caplog.text


def test_a_device_with_errors_of_its_own_falls_out_after_two_calls(tmp_path, caplog):
    begun, end = tmp_path / "begun", tmp_path / "end"
    with DeviceSlots(["0", "1"], check=os.getpid) as slots, ThreadPoolExecutor(3) as threads:
        first = threads.submit(slots.run, begin_and_wait, begun, end, timeout_s=AT_MOST_S)
        wait_for(begun.exists)
        # While the first call keeps GPU 0, both others fail on GPU 1.
        others = [
            threads.submit(slots.run, work, call, ("1",), timeout_s=AT_MOST_S) for call in (1, 2)
        ]
        wait_for(lambda: len(slots) == 1)
        end.touch()
        assert first.result(AT_MOST_S)
        assert [call.result(AT_MOST_S) for call in others] == [(1, "0"), (2, "0")]
    assert "GPU 1 has failed" in caplog.text and "CUDA_ERROR_ECC_UNCORRECTABLE" in caplog.text


def test_one_call_that_breaks_every_device_costs_none():
    with DeviceSlots(["0"], check=os.getpid) as slots:
        for _ in range(3):
            with pytest.raises(InternalError):
                slots.run(work, 1, ("0",), timeout_s=AT_MOST_S)
        assert slots.run(work, 2, (), timeout_s=AT_MOST_S) == (2, "0")


def test_a_lack_of_memory_is_not_the_devices_fault():
    text = "RESOURCE_EXHAUSTED: CUDA_ERROR_OUT_OF_MEMORY: out of memory"
    with DeviceSlots(["0"], check=os.getpid) as slots:
        for call in range(3):
            with pytest.raises(InternalError):
                slots.run(work, call, ("0",), text, timeout_s=AT_MOST_S)
        assert len(slots) == 1


def test_the_processor_does_not_fall_out():
    with DeviceSlots([""]) as slots:
        for call in range(3):
            with pytest.raises(InternalError):
                slots.run(work, call, ("",), timeout_s=AT_MOST_S)
        assert len(slots) == 1


def test_a_device_is_checked_again_after_its_process_died(tmp_path, monkeypatch):
    (tmp_path / "gpu").touch()
    monkeypatch.setenv("GPU_IS_THERE", str(tmp_path / "gpu"))
    with DeviceSlots(["0"], check=check_file) as slots:
        with pytest.raises(WorkerDied):
            slots.run(lose_device_and_die, timeout_s=AT_MOST_S)
        with pytest.raises(NoDeviceLeft, match="fallen off the bus"):
            slots.run(pid, timeout_s=AT_MOST_S)


def test_tensorflow_without_a_gpu_does_not_pass_for_one():
    with (
        DeviceSlots(["9"], check=compute_on_gpu) as slots,
        pytest.raises(NoDeviceLeft, match=r"GPU 9 .*finds no such GPU.*--devices cpu"),
    ):
        slots.run(pid, timeout_s=AT_MOST_S)


@pytest.mark.parametrize(
    ("text", "of_device"),
    [
        (LOST, True),
        ("CUDNN_STATUS_EXECUTION_FAILED", True),
        ("failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected", True),
        ("CUDA_ERROR_OUT_OF_MEMORY: out of memory", False),
        ("CUDNN_STATUS_NOT_SUPPORTED", False),
        ("INVALID_ARGUMENT: shapes do not match", False),
    ],
)
def test_some_errors_blame_the_device(text, of_device):
    assert is_of_device(text) is of_device


@pytest.mark.parametrize("ahead", [note, fail_ahead])
def test_work_ahead_of_a_waiting_call_runs_beside_the_current_one(tmp_path, ahead):
    first, second, end = (tmp_path / name for name in ("first", "second", "end"))
    with DeviceSlots([""]) as slots, ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(slots.run, begin_and_wait, first, end, timeout_s=AT_MOST_S)]
        wait_for(first.exists)
        calls.append(
            threads.submit(slots.run, begin_and_wait, second, end, timeout_s=AT_MOST_S, ahead=ahead)
        )
        noted = second.with_suffix(".ahead")
        process, thread = wait_for(lambda: noted.exists() and noted.read_text()).split(maxsplit=1)
        assert not second.exists()
        end.touch()
        assert {call.result(AT_MOST_S) for call in calls} == {int(process)}
        assert thread != "MainThread"


def test_work_ahead_of_each_waiting_call_runs_beside_the_one_before(tmp_path):
    names = ("first", "second", "third")
    calls = [(tmp_path / name, tmp_path / f"{name}.end") for name in names]
    with DeviceSlots([""]) as slots, ThreadPoolExecutor(3) as threads:
        for number, call in enumerate(calls):
            threads.submit(slots.run, begin_and_wait, *call, timeout_s=AT_MOST_S, ahead=note)
            wait_for(lambda: calls[0][0].exists())  # before others wait
            if number == 1:
                wait_for(calls[1][0].with_suffix(".ahead").exists)
        time.sleep(0.2)
        assert not calls[2][0].with_suffix(".ahead").exists(), "a device prepares one call"
        calls[0][1].touch()
        wait_for(calls[2][0].with_suffix(".ahead").exists)
        wait_for(calls[1][0].exists)
        assert not calls[2][0].exists()
        for _, end in calls[1:]:
            end.touch()


def test_a_call_that_waits_before_the_process_has_started_is_prepared_all_the_same(tmp_path):
    first, second, end = (tmp_path / name for name in ("first", "second", "end"))
    claims = threading.Event()

    @contextmanager
    def claimed():
        yield claims.wait(AT_MOST_S)

    with DeviceSlots([""]) as slots, ThreadPoolExecutor(2) as threads:
        options = {"timeout_s": AT_MOST_S, "ahead": note}
        threads.submit(slots.run, begin_and_wait, first, end, **options, within=claimed)
        time.sleep(0.1)
        threads.submit(slots.run, begin_and_wait, second, end, **options)
        time.sleep(0.1)
        claims.set()
        wait_for(second.with_suffix(".ahead").exists)
        assert not second.exists()
        end.touch()


def test_work_ahead_of_a_call_that_is_not_here_yet_runs_beside_the_one_before(tmp_path):
    begun, second, end = (tmp_path / name for name in ("begun", "second", "end"))
    with DeviceSlots([""]) as slots, ThreadPoolExecutor(1) as threads:
        options = {"timeout_s": AT_MOST_S, "ahead": note, "then": (second, end)}
        call = threads.submit(slots.run, begin_and_wait, begun, end, **options)
        noted = second.with_suffix(".ahead")
        process, thread = wait_for(lambda: noted.exists() and noted.read_text()).split(maxsplit=1)
        assert not call.done()
        end.touch()
        assert call.result(AT_MOST_S) == int(process) and thread != "MainThread"
    assert not begun.with_suffix(".ahead").exists()


def test_nothing_is_done_ahead_if_a_device_is_free_or_does_something_else(tmp_path):
    begun, end = tmp_path / "begun", tmp_path / "end"
    with DeviceSlots([""]) as slots, ThreadPoolExecutor(2) as threads:
        slots.run(pid, begun, end, timeout_s=AT_MOST_S, ahead=note)
        current = threads.submit(slots.run, begin_and_wait, begun, end, timeout_s=AT_MOST_S)
        wait_for(begun.exists)
        waiting = threads.submit(slots.run, pid, begun, end, timeout_s=AT_MOST_S, ahead=note)
        time.sleep(0.2)
        end.touch()
        assert current.result(AT_MOST_S) == waiting.result(AT_MOST_S)
    assert not begun.with_suffix(".ahead").exists()


def test_calls_get_a_device_in_their_order():
    with DeviceSlots([""]) as slots, ThreadPoolExecutor(3) as threads:
        ended = []

        def call(number):
            slots.run(time.sleep, 0.05, timeout_s=AT_MOST_S)
            ended.append(number)

        list(threads.map(call, range(12)))
    # Up to three calls are in flight, so a number can be at most two places away from its own.
    assert all(abs(place - number) <= 2 for place, number in enumerate(ended))
    assert len(ended) == 12
