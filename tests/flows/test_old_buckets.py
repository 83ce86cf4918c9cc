"""A bucket that an earlier version wrote is read, verified and completed by this one.

`data/bucket_of_0.1.zip` was written before the code moved into one package: a model of two
convolutions, two sprites of each, and a report of four images. The commands, in an empty folder:

    diamond-cutter models add tiny.keras --name tiny --value-range 0 1
    diamond-cutter sprites tiny --layers one two --channels 0:2
    diamond-cutter attribute tiny pets --layers one --channels 2 --groups 0

each with the options of `SMALL`.
"""

import json
import zipfile
from pathlib import Path

import pytest

from tests.flows.conftest import SMALL, Command

pytestmark = pytest.mark.prefect
OLD = Path(__file__).parent / "data" / "bucket_of_0.1.zip"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_bucket_of_an_earlier_version_is_read_verified_and_completed(
    tmp_path: Path, at_once: Command
) -> None:
    zipfile.ZipFile(OLD).extractall(tmp_path / "bucket")
    where = ("--bucket", str(tmp_path / "bucket"))
    before = contents(tmp_path / "bucket")
    assert at_once("verify", "--deep", *where).returncode == 0
    listed = json.loads(at_once("ls", "--json", *where).stdout)
    assert [found["model"] for found in listed["sets"]] == ["tiny@3ea90f0e"]
    assert len(listed["reports"]) == 1
    assert contents(tmp_path / "bucket") == before

    asked = ("sprites", "tiny", "--layers", "one", "two", "--json", *where, *SMALL)
    done = at_once(*asked, "--channels", "0:4")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rendered"] + summary["reused"], summary["failed"]) == (8, 0)
    assert summary["reused"] >= 4
    assert json.loads(at_once(*asked, "--channels", "0:4").stdout)["rendered"] == 0
    assert at_once("verify", "--deep", *where).returncode == 0
    records = {name for name in before if name.endswith(("-00001.json", "card.json", "graph.pb"))}
    assert records and all(contents(tmp_path / "bucket")[name] == before[name] for name in records)
