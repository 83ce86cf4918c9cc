"""Kills a run repeatedly, lets it finish, and compares its bucket with that of an undisturbed run.

    uv run python benchmarks/kill_and_resume.py --kills 10

Each kill sends SIGKILL to the whole process tree of `diamond-cutter sprites` at a random moment.
The seed is fixed, but not the machine's speed. Afterwards the same command must finish the job: all
sprites have the pixels of the undisturbed run, no shard that was committed at a kill was rendered
again, and no process is left behind.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from cyclopts import App

from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import is_shard_record
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.tasks.sheets import decode

LAYERS = ("stem", "block_1", "block_2.expand", "block_4.expand")
# Small pictures and few steps, because their quality does not matter.
RECIPE = ("--recipe.size-px", "32", "--recipe.steps", "300")
# Limits of a kill's moment, as shares of an undisturbed run. Every command needs some seconds
# before it renders. Kills should hit the rendering too, but before it finishes.
EARLIEST, LATEST = 0.05, 0.4
ENDS_WITHIN_S = 30.0

app = App()


@app.default
def main(*, kills: int = 10, seed: int = 0) -> None:
    """Kill, resume, compare; exit with 1 on any difference."""
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, disturbed = Path(folder, "undisturbed"), Path(folder, "disturbed")
        os.environ["PREFECT_HOME"] = str(Path(folder, "prefect"))
        started = time.monotonic()
        subprocess.run(command(undisturbed), check=True, stdout=subprocess.DEVNULL)
        whole_s = time.monotonic() - started
        print(f"an undisturbed run takes {whole_s:.0f} s", flush=True)
        moments, seen = random.Random(seed), dict[str, bytes]()
        problems = []
        for kill in range(kills):
            moment_s = moments.uniform(EARLIEST, LATEST) * whole_s
            left = kill_after(command(disturbed), moment_s)
            problems += [f"process {process} outlived kill {kill + 1}" for process in left]
            seen |= {key: data for key, data in records(disturbed).items() if key not in seen}
            print(
                f"kill {kill + 1:2} after {moment_s:5.1f} s: {len(seen)} shards committed so far",
                flush=True,
            )
        subprocess.run(command(disturbed), check=True, stdout=subprocess.DEVNULL)
        problems += differences(undisturbed, disturbed, seen)
        verified = subprocess.run(
            [
                sys.executable,
                "-m",
                "diamond_cutter.flows.cli.main",
                "verify",
                "--bucket",
                str(disturbed),
            ],
            stdout=subprocess.DEVNULL,
        )
        problems += ["verify finds problems"] if verified.returncode else []
    print(
        "\n".join(problems)
        or f"{kills} kills: all sprites are there, all pixels are equal, no committed shard was "
        "rendered twice"
    )
    sys.exit(1 if problems else 0)


def command(bucket: Path) -> list[str]:
    """Return the command line that is killed."""
    sprites = [
        sys.executable,
        "-m",
        "diamond_cutter.flows.cli.main",
        "sprites",
        "efficientnet-lite0",
        "--bucket",
        str(bucket),
    ]
    return [*sprites, "--layers", *LAYERS, *RECIPE]


def kill_after(arguments: list[str], seconds: float) -> list[str]:
    """Start a command, kill it and its descendants, and return the processes that survive."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    tree = descendants(process.pid)
    for member in [psutil.Process(process.pid), *tree]:
        if member.is_running():
            member.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(tree, timeout=ENDS_WITHIN_S)
    return [str(member) for member in alive]


def descendants(pid: int) -> list[psutil.Process]:
    """Return the descendants of a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def records(root: Path) -> dict[str, bytes]:
    """Return the shard records of a bucket by key."""
    bucket = LocalBucket(root)
    return {
        info.key: bucket.get(info.key)
        for info in bucket.list("sprites/")
        if is_shard_record(info.key)
    }


def differences(undisturbed: Path, disturbed: Path, seen: dict[str, bytes]) -> list[str]:
    """Return the differences between two buckets, and the records that changed after a kill."""
    expected, found = records(undisturbed), records(disturbed)
    wrong = [f"{key} was rendered again" for key, data in seen.items() if found.get(key) != data]
    if expected.keys() != found.keys():
        return [*wrong, f"shards differ: {sorted(expected.keys() ^ found.keys())}"]
    for key in expected:
        if not np.array_equal(
            pixels(undisturbed, expected[key], key), pixels(disturbed, found[key], key)
        ):
            wrong.append(f"{key} has other pixels")
    names = [
        sorted(path.name for path in root.rglob("spritemap.*.webp"))
        for root in (undisturbed, disturbed)
    ]
    return (
        wrong if names[0] == names[1] else [*wrong, f"spritemaps differ: {names[0]} and {names[1]}"]
    )


def pixels(root: Path, record: bytes, key: str) -> np.ndarray:
    """Return the sprites of a shard."""
    return decode(LocalBucket(root).get(ShardRecord.from_bytes(record, key).file.key))


if __name__ == "__main__":
    app()
