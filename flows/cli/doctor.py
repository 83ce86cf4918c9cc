"""The command `doctor`, which imports its modules when it runs."""

from typing import TYPE_CHECKING

from diamond_cutter.flows.cli.bucket_commands import FAILED
from diamond_cutter.flows.cli.options import BucketUrl, Json

if TYPE_CHECKING:
    from diamond_cutter.flows.health.doctor import Examination

_WORDS = {"ok": "OK", "warning": "warning", "failed": "FAILED"}


def doctor(*, bucket: BucketUrl = "./bucket", json: Json = False) -> int:
    """Check the software, the devices, the Prefect server, the bucket and this machine.

    Each problem is printed with its remedy. Nothing stays in the bucket. A check ends after at most
    60 seconds, that of TensorFlow after at most 180 seconds. The exit code is 1 if a check fails.
    """
    from diamond_cutter.flows.health.doctor import examine

    found = examine(bucket)
    print_examination(found, as_json=json)
    return FAILED if found.failed else 0


def print_examination(found: "Examination", *, as_json: bool) -> None:
    """Print a line for each finding, and how many failed."""
    from diamond_cutter.flows.cli.output import print_result
    from diamond_cutter.flows.cli.tables import Rows

    rows = [(each.check, _WORDS[each.state], each.found) for each in found.findings]
    total = f"{len(rows)} checks: {found.failed} failed, {found.warnings} warnings"
    print_result(found, as_json, Rows(("check", "state", "found"), rows), total)
