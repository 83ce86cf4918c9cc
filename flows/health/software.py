"""Checks Python, the installed packages, TensorFlow and its devices."""

import importlib.metadata
import platform
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from diamond_cutter.errors import DiamondCutterError, first_line
from diamond_cutter.flows.health.findings import Finding, Findings
from diamond_cutter.tasks.devices import DeviceSlots, visible_devices

if TYPE_CHECKING:
    from diamond_cutter.tasks.devices.inspection import DeviceReport

_PACKAGE = "diamond-cutter"
_CALL_TIMEOUT_S = 170.0
_REINSTALL = f"Run pip install --force-reinstall {_PACKAGE}"


class TensorFlowBroken(DiamondCutterError):
    """TensorFlow cannot be used in a device's process."""

    exit_code = 1


def check_packages(stop: threading.Event) -> Findings:
    """Yield the findings about Python, the required packages and the optional extras."""
    extras = _requirements_by_extra()
    missing = [problem for each in extras.pop("", []) for problem in _problems(each)]
    found = f"Python {platform.python_version()}, {_PACKAGE} {importlib.metadata.version(_PACKAGE)}"
    yield (
        Finding(check="packages", state="ok", found=found)
        if not missing
        else Finding(
            check="packages",
            state="failed",
            found=f"{found}; {', '.join(missing)}. Run pip install --upgrade {_PACKAGE}.",
        )
    )
    yield _extras(extras)


def check_tensorflow(stop: threading.Event) -> Findings:
    """Yield the finding about TensorFlow, from a process that sees all devices.

    Raises:
        TensorFlowBroken: TensorFlow cannot be imported, or the process dies.
    """
    # Not at the top, because it imports packages that the other check may find missing.
    from diamond_cutter.tasks.devices.inspection import inspect_devices

    # A broken driver can hang here, so this runs in the thread of the check.
    devices = visible_devices()
    with DeviceSlots([",".join(devices)]) as slots:
        threading.Thread(target=_close_when, args=(stop, slots), daemon=True).start()
        try:
            report = slots.run(inspect_devices, timeout_s=_CALL_TIMEOUT_S)
        except Exception as error:
            # The import runs code of TensorFlow and its plugins, which can raise anything.
            raise TensorFlowBroken(
                f"TensorFlow does not work ({type(error).__name__}: {first_line(error)}). "
                f"Remove other files named tensorflow from PYTHONPATH. {_REINSTALL}."
            ) from error
    yield _describe(report, [device for device in devices if device])


def _close_when(stop: threading.Event, slots: DeviceSlots) -> None:
    stop.wait()
    slots.close()


def _describe(report: "DeviceReport", visible: Sequence[str]) -> Finding:
    versions = report.versions
    found = f"TensorFlow {versions.tensorflow}, NumPy {versions.numpy}; {_devices(report)}"
    if report.broken:
        name, why = next(iter(report.broken.items()))
        remedy = f"{name} does not compute ({why}). Set CUDA_VISIBLE_DEVICES to the other GPUs."
        return Finding(check="TensorFlow", state="failed", found=f"{found}. {remedy}")
    if len(report.gpus) < len(visible):
        remedy = (
            f"This machine has {len(visible)} GPUs, but TensorFlow finds {len(report.gpus)}. Run "
            f"pip install '{_PACKAGE}[gpu]' and update the driver, or set CUDA_VISIBLE_DEVICES='' "
            "to use the processor."
        )
        return Finding(check="TensorFlow", state="failed", found=f"{found}. {remedy}")
    return Finding(check="TensorFlow", state="ok", found=found)


def _devices(report: "DeviceReport") -> str:
    if report.gpus:
        return f"{len(report.gpus)} GPU{'s' * (len(report.gpus) > 1)} ({report.versions.device})"
    return f"no GPU; {report.versions.device} with {report.cores} cores"


def _requirements_by_extra() -> dict[str, list[Requirement]]:
    """Return the requirements of this package, by extra; those of '' are always needed."""
    found: dict[str, list[Requirement]] = defaultdict(list)
    extras = importlib.metadata.metadata(_PACKAGE).get_all("Provides-Extra") or []
    for each in map(Requirement, importlib.metadata.requires(_PACKAGE) or []):
        if each.marker is None or each.marker.evaluate({"extra": ""}):
            found[""].append(each)
            continue
        for extra in extras:
            if each.marker.evaluate({"extra": extra}):
                found[extra].append(each)
    return found


def _problems(requirement: Requirement) -> Iterator[str]:
    """Yield why a requirement, or one of its own extras, is not met."""
    try:
        distribution = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{requirement.name} is missing"
        return
    if not requirement.specifier.contains(distribution.version, prereleases=True):
        yield f"{requirement.name} is {distribution.version}: expected {requirement.specifier}"
    for inner in map(Requirement, distribution.requires or []):
        if inner.marker is not None and not inner.marker.evaluate({"extra": ""}):
            for extra in requirement.extras:
                if inner.marker.evaluate({"extra": extra}):
                    yield from _problems(inner)


def _extras(extras: dict[str, list[Requirement]]) -> Finding:
    problems = {
        extra: [problem for each in requirements for problem in _problems(each)]
        for extra, requirements in sorted(extras.items())
    }
    wrong = [
        f"{extra} ({', '.join(found)})"
        for extra, found in problems.items()
        if any("expected" in each for each in found)
    ]
    here = [extra for extra, found in problems.items() if not found]
    absent = [extra for extra, found in problems.items() if found]
    found = f"{', '.join(here) or 'none'} installed"
    if absent:
        found += f"; not installed: {', '.join(absent)}"
    if not wrong:
        return Finding(check="extras", state="ok", found=found)
    remedy = f"Versions differ: {'; '.join(wrong)}. Run pip install --upgrade '{_PACKAGE}[EXTRA]'."
    return Finding(check="extras", state="warning", found=f"{found}. {remedy}")
