import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from diamond_cutter.tasks.devices import (
    DeviceSlots,
    SlotsClosed,
    WorkerDied,
    WorkerRaised,
    WorkerTimedOut,
    report_progress,
)
from tests.waiting import AT_MOST_S, wait_for

ROOT = Path(__file__).parents[2]


class OddError(Exception):
    def __init__(self, layer, channel):
        super().__init__(f"{layer}:{channel}")


class OddErrorThatTravels(Exception):
    def __init__(self, layer, channel):
        super().__init__(layer, channel)


def raise_error(error):
    raise error


def raise_odd_error():
    raise OddError("mixed4a", 3)


def count_to(number):
    for value in range(number):
        report_progress(value)
    return number


def report_for_ever():
    while True:
        report_progress(None)


def announce_and_sleep(started: Path):
    started.write_text(str(os.getpid()))
    time.sleep(2 * AT_MOST_S)


def wait_until_there(started: Path, file: Path):
    started.write_text(str(os.getpid()))
    wait_for(file.exists)


def stay_deaf(started: Path):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    announce_and_sleep(started)


def print_and_abort():
    sys.stderr.write("CUDA_ERROR_OUT_OF_MEMORY")
    sys.stderr.flush()
    os.abort()


def start_grandchild_and_die(pid_file: Path):
    grandchild = os.fork()
    if grandchild == 0:
        time.sleep(2 * AT_MOST_S)
        os._exit(0)
    pid_file.write_text(str(grandchild))
    os.kill(os.getpid(), signal.SIGKILL)


def see_environment():
    return (
        os.environ["CUDA_VISIBLE_DEVICES"],
        os.environ["TF_CPP_MIN_LOG_LEVEL"],
        "tensorflow" in sys.modules,
    )


def make_lambda():
    return lambda: None


def pid_in(path: Path):
    return int(wait_for(lambda: path.exists() and path.read_text()))


@pytest.fixture
def slots():
    with DeviceSlots([""]) as slots:
        yield slots


@pytest.fixture
def two_slots():
    with DeviceSlots(["0", "1"], check=os.getpid) as slots:
        yield slots


def test_a_call_returns_and_its_process_stays(slots):
    assert slots.run(pow, 2, 10, timeout_s=AT_MOST_S) == 1024
    assert (
        slots.run(os.getpid, timeout_s=AT_MOST_S)
        == slots.run(os.getpid, timeout_s=AT_MOST_S)
        != os.getpid()
    )


def test_each_worker_sees_its_own_device_only(two_slots, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    together = threading.Barrier(2)

    def see(_):
        together.wait(AT_MOST_S)
        return [two_slots.run(see_environment, timeout_s=AT_MOST_S) for _ in range(10)]

    with ThreadPoolExecutor(2) as threads:
        seen = {entry for entries in threads.map(see, range(2)) for entry in entries}
    assert seen == {("0", "3", False), ("1", "3", False)}
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(("chosen", "seen"), [(None, "1"), ("0", "0")])
def test_a_worker_has_tensorflows_faster_kernels_unless_the_user_wants_others(
    slots, monkeypatch, chosen, seen
):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if chosen is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", chosen)
    assert slots.run(os.getenv, "TF_ENABLE_ONEDNN_OPTS", timeout_s=AT_MOST_S) == seen


def test_progress_arrives_in_the_thread_of_the_caller(slots):
    seen = []
    assert (
        slots.run(
            count_to,
            5,
            timeout_s=AT_MOST_S,
            on_progress=lambda value: seen.append((value, threading.get_ident())),
        )
        == 5
    )
    assert seen == [(value, threading.get_ident()) for value in range(5)]


def test_progress_nobody_asked_for_is_dropped(slots):
    assert slots.run(count_to, 5, timeout_s=AT_MOST_S) == 5
    assert count_to(2) == 2


def test_an_exception_of_on_progress_reaches_the_caller_and_ends_the_call(slots):
    def complain(value):
        raise BrokenPipeError("the bar is broken")

    with pytest.raises(BrokenPipeError, match="the bar is broken"):
        slots.run(report_for_ever, timeout_s=AT_MOST_S, on_progress=complain)
    assert slots.run(count_to, 1, timeout_s=AT_MOST_S) == 1


@pytest.mark.parametrize(
    "error",
    [ValueError("bad layer"), FileNotFoundError(2, "gone", "x.npy"), OddErrorThatTravels("a", 1)],
)
def test_an_exception_keeps_its_type_and_shows_where_it_was_raised(slots, error):
    with pytest.raises(type(error)) as caught:
        slots.run(raise_error, error, timeout_s=AT_MOST_S)
    assert caught.value.args == error.args
    assert "in raise_error" in caught.value.__notes__[0]


def test_an_exception_that_cannot_travel_arrives_as_text(slots):
    with pytest.raises(WorkerRaised, match="OddError: mixed4a:3"):
        slots.run(raise_odd_error, timeout_s=AT_MOST_S)
    pid = slots.run(os.getpid, timeout_s=AT_MOST_S)
    with pytest.raises(WorkerRaised, match="SystemExit: 3"):
        slots.run(sys.exit, 3, timeout_s=AT_MOST_S)
    with pytest.raises((WorkerRaised, pickle.PicklingError, AttributeError), match="lambda"):
        slots.run(make_lambda, timeout_s=AT_MOST_S)
    assert slots.run(os.getpid, timeout_s=AT_MOST_S) == pid


def test_what_cannot_be_sent_to_a_worker_fails_before_it_takes_a_device(slots):
    with pytest.raises((pickle.PicklingError, AttributeError)):
        slots.run(lambda: None, timeout_s=AT_MOST_S)
    assert slots.run(pow, 2, 3, timeout_s=AT_MOST_S) == 8


def test_a_killed_worker_is_reported_and_replaced(slots, tmp_path):
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(slots.run, announce_and_sleep, tmp_path / "pid", timeout_s=AT_MOST_S)
        os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)
        with pytest.raises(WorkerDied, match="the CPU worker was killed by SIGKILL"):
            call.result(AT_MOST_S)
    assert slots.run(os.getpid, timeout_s=AT_MOST_S) != int((tmp_path / "pid").read_text())


def test_a_worker_that_exits_tells_its_code_and_last_words(slots):
    with pytest.raises(WorkerDied, match="exited with code 7"):
        slots.run(os._exit, 7, timeout_s=AT_MOST_S)
    with pytest.raises(WorkerDied, match=r"killed by SIGABRT(.|\n)*CUDA_ERROR_OUT_OF_MEMORY"):
        slots.run(print_and_abort, timeout_s=AT_MOST_S)


def test_a_death_is_noticed_though_a_child_of_the_worker_lives_on(slots, tmp_path):
    with pytest.raises(WorkerDied, match="SIGKILL"):
        slots.run(start_grandchild_and_die, tmp_path / "pid", timeout_s=2 * AT_MOST_S)
    psutil.Process(pid_in(tmp_path / "pid")).kill()  # it lives


def test_a_worker_that_died_between_calls_is_replaced_unseen(slots):
    pid = slots.run(os.getpid, timeout_s=AT_MOST_S)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert slots.run(os.getpid, timeout_s=AT_MOST_S) != pid


@pytest.mark.slow
def test_a_hanging_call_is_killed_and_the_other_slot_goes_on(two_slots, tmp_path):
    with ThreadPoolExecutor(1) as thread:
        # Both processes run before the time of the call that hangs does.
        first = thread.submit(
            two_slots.run,
            wait_until_there,
            tmp_path / "begun",
            tmp_path / "go on",
            timeout_s=AT_MOST_S,
        )
        pid_in(tmp_path / "begun")
        two_slots.run(os.getpid, timeout_s=AT_MOST_S)
        (tmp_path / "go on").touch()
        first.result()
        hanging = thread.submit(two_slots.run, stay_deaf, tmp_path / "pid", timeout_s=2.5)
        hung = psutil.Process(pid_in(tmp_path / "pid"))
        others = {two_slots.run(os.getpid, timeout_s=AT_MOST_S) for _ in range(10)}
        with pytest.raises(
            WorkerTimedOut,
            match=r"device '0' was killed because it did not finish the call within 2.5 s",
        ):
            hanging.result(AT_MOST_S)
    assert len(others) == 1
    assert not hung.is_running()
    assert {two_slots.run(see_environment, timeout_s=AT_MOST_S)[0] for _ in range(2)} == {"0"}


def test_reporting_progress_does_not_save_a_call_from_its_limit(slots):
    with pytest.raises(WorkerTimedOut):
        slots.run(report_for_ever, timeout_s=0.5, on_progress=lambda _: time.sleep(0.01))


@pytest.mark.slow
def test_the_start_of_the_process_does_not_count(slots, tmp_path, monkeypatch):
    slow = (
        "import sys, time\nif 'worker' in sys.argv[0]:\n    time.sleep(2)\ndef answer():\n    "
        "return 4\n"
    )
    (tmp_path / "slow_to_import.py").write_text(slow)
    monkeypatch.syspath_prepend(tmp_path)
    assert slots.run(importlib.import_module("slow_to_import").answer, timeout_s=1.5) == 4


def test_ctrl_c_does_not_reach_a_worker(slots, tmp_path):
    pid = slots.run(os.getpid, timeout_s=AT_MOST_S)
    assert os.getpgid(pid) != os.getpgrp()
    os.kill(pid, signal.SIGINT)
    assert slots.run(os.getpid, timeout_s=AT_MOST_S) == pid


def test_closing_ends_running_and_waiting_calls(tmp_path):
    slots = DeviceSlots([""])
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(
            slots.run, announce_and_sleep, tmp_path / "pid", timeout_s=AT_MOST_S
        )
        worker = psutil.Process(pid_in(tmp_path / "pid"))
        waiting = threads.submit(slots.run, pow, 2, 3, timeout_s=AT_MOST_S)
        slots.close()
        for call in running, waiting:
            with pytest.raises(SlotsClosed):
                call.result(AT_MOST_S)
    assert not worker.is_running()
    with pytest.raises(SlotsClosed):
        slots.run(pow, 2, 3, timeout_s=AT_MOST_S)
    slots.close()


def test_there_must_be_a_device():
    with pytest.raises(ValueError, match="at least one device"):
        DeviceSlots([])


PARENT = """
import os, time
from diamond_cutter.tasks.devices.slots import DeviceSlots
with DeviceSlots(["0", "1"], check=os.getpid) as slots:
    print(slots.run(os.getpid, timeout_s=300), flush=True)
    slots.run(time.sleep, 600, timeout_s=700)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to_signal", "to_group"),
    [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGINT, True)],
)
def test_no_worker_outlives_its_parent(to_signal, to_group):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert parent.stdout is not None
    workers = [psutil.Process(int(parent.stdout.readline()))]
    time.sleep(0.2)
    (os.killpg if to_group else os.kill)(parent.pid, to_signal)
    _, errors = parent.communicate(timeout=AT_MOST_S)
    _, alive = psutil.wait_procs(workers, timeout=AT_MOST_S)
    assert not alive
    assert parent.returncode == -to_signal
    assert errors.count(b"Traceback") == (to_signal == signal.SIGINT)


def test_importing_devices_imports_neither_prefect_nor_tensorflow():
    code = (
        "import sys, diamond_cutter.tasks.devices.slots; sys.exit(bool({'prefect', "
        "'tensorflow'} & set(sys.modules)))"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
