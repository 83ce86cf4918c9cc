"""Runs all checks of `doctor`."""

import os
from functools import partial
from pathlib import Path

from pydantic import Field

from diamond_cutter.flows.events.progress import doing
from diamond_cutter.flows.health.bucket import check_bucket
from diamond_cutter.flows.health.clock import no_clock
from diamond_cutter.flows.health.findings import Check, Finding, run_checks
from diamond_cutter.flows.health.machine import check_cache, check_disks, check_memory
from diamond_cutter.flows.health.prefect import check_prefect
from diamond_cutter.flows.health.software import check_packages, check_tensorflow
from diamond_cutter.frozen_model import FrozenModel
from diamond_cutter.model_inventory.weights import cache_folder

LIMIT_S, TENSORFLOW_LIMIT_S = 60.0, 180.0


class Examination(FrozenModel):
    """The findings of all checks."""

    findings: tuple[Finding, ...]
    failed: int = Field(description="number of findings with the state failed")
    warnings: int = Field(description="number of findings with the state warning")


def examine(bucket_url: str) -> Examination:
    """Run all checks at the same time, and leave nothing in the bucket.

    A check ends after `LIMIT_S` seconds at the latest, that of TensorFlow after
    `TENSORFLOW_LIMIT_S`.
    """
    with doing("checking"):
        cache = cache_folder()
        home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
        found = run_checks(
            [
                Check("packages", LIMIT_S, check_packages),
                Check("TensorFlow", TENSORFLOW_LIMIT_S, check_tensorflow, cleans_up=True),
                Check("Prefect", LIMIT_S, check_prefect),
                Check("bucket", LIMIT_S, partial(check_bucket, bucket_url), cleans_up=True),
                Check("disk", LIMIT_S, partial(check_disks, bucket_url, home, cache)),
                Check("weights", LIMIT_S, partial(check_cache, cache)),
                Check("memory", LIMIT_S, check_memory),
            ]
        )
    if all(finding.check != "clock" for finding in found):
        found.append(no_clock())
    return Examination(
        findings=tuple(found),
        failed=sum(finding.state == "failed" for finding in found),
        warnings=sum(finding.state == "warning" for finding in found),
    )
