import os

import pytest

from diamond_cutter.tasks.devices.choice import (
    BadDevices,
    check_devices,
    cores_of,
    devices_of,
    visible_devices,
)
from diamond_cutter.tasks.devices.environment import worker_environment


@pytest.mark.parametrize(
    ("chosen", "devices"),
    [
        ("0,1", ["0", "1"]),
        (" 2 , GPU-8a ", ["2", "GPU-8a"]),
        ("", [""]),
        ("-1", [""]),
        ("0,-1,1", ["0"]),
    ],
)
def test_the_users_choice_of_devices_holds(monkeypatch, chosen, devices):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_devices() == devices


@pytest.mark.parametrize(
    ("script", "devices"),
    [
        (
            "echo 'GPU 0: H200 (UUID: GPU-1)'; echo '  MIG 1g: x'; echo 'GPU 1: H200 (UUID: "
            "GPU-2)'",
            ["0", "1"],
        ),
        ("echo 'No devices found'", [""]),
        ("echo 'driver/library version mismatch'; exit 18", [""]),
    ],
)
def test_gpus_are_counted_without_tensorflow(monkeypatch, tmp_path, script, devices):
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_devices() == devices


def test_a_machine_without_nvidia_smi_has_the_cpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_devices() == [""]


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-8a")


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 4, 5})


@pytest.mark.parametrize(
    ("choice", "devices"),
    [
        (None, ["2", "GPU-8a"]),
        ("gpu", ["2", "GPU-8a"]),
        ("gpu:1", ["GPU-8a"]),
        ("gpu:1, gpu:0", ["GPU-8a", "2"]),
        ("cpu", [""]),
        ("cpu:1", [""]),
        ("cpu:2", ["cpu/2", "cpu/2"]),
    ],
)
def test_devices_are_chosen_by_kind_and_number(two_gpus, four_cores, choice, devices):
    assert devices_of(choice) == devices


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ("gpu:7", "the device gpu:7 does not exist: expected gpu:0, gpu:1, found 2 GPUs"),
        ("cpu:5", "cpu:5 do not exist: expected at most a process for each core, found 4 cores"),
    ],
)
def test_devices_that_the_machine_lacks_are_refused(two_gpus, four_cores, choice, problem):
    with pytest.raises(BadDevices, match=problem):
        devices_of(choice)


@pytest.mark.parametrize("choice", ["gpu:0", "gpu"])
def test_without_a_gpu_none_can_be_chosen(monkeypatch, choice):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(BadDevices, match=f"{choice} does not exist: found no GPU. Choose --dev"):
        devices_of(choice)


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ("", "cannot be read"),
        ("tpu:0", "cannot be read: expected gpu:0,gpu:1"),
        ("gpu:x", "cannot be read"),
        ("gpu:-1", "cannot be read"),
        ("cpu:0", "no process"),
        ("gpu:0,gpu:0", "repeat"),
        ("gpu:0,cpu", "do not go together"),
        ("cpu,cpu:2", "do not go together"),
        ("gpu,gpu:1", "do not go together"),
    ],
)
def test_a_choice_that_cannot_be_read_is_refused_anywhere(choice, problem):
    with pytest.raises(BadDevices, match=problem):
        check_devices(choice)


def test_processes_share_the_cores(four_cores, monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    assert [cores_of(device) for device in ("", "cpu/2", "cpu/3", "cpu/4")] == [None, 2, 1, 1]
    environment = worker_environment("cpu/2")
    assert environment["TF_NUM_INTRAOP_THREADS"] == "2"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert "TF_NUM_INTRAOP_THREADS" not in worker_environment("")
