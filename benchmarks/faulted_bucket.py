"""Renders one run with several workers while calls to the bucket fail and workers are killed.

    uv run python benchmarks/faulted_bucket.py --workers 4 --kills 12 --chance 0.15

Each worker is the command `diamond-cutter sprites`, and all have the same run. The bucket is a
strict server of Google Cloud Storage on loopback. A proxy in front of it makes a share of the calls
fail: refused with 503, 429 or 408, reset before or within the body, the reply lost, a byte flipped,
a download cut. Whole process trees are killed with SIGKILL and started again. A seed decides which
calls fail and when workers are killed, but not the machine's speed.

Afterwards every sprite must have the pixels of an undisturbed run, spritemaps must be equal byte
for byte, every file must have the checksum in its record, and the same command must write nothing.
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from diamond_cutter.storage import Bucket, open_bucket
from diamond_cutter.storage.sets.layout import is_run_record, is_shard_record
from diamond_cutter.storage.sets.records import ShardRecord
from diamond_cutter.tasks.sheets import decode
from tests.storage.fault_proxy import FAILURES, standing_before
from tests.storage.gcs_server import GcsServer, serving

MODEL, LAYERS = "efficientnet-lite0", ("stem", "block_1", "block_2.expand")
# Small pictures and few steps, because their quality does not matter.
RECIPE = ("--recipe.size-px", "32", "--recipe.steps", "600", "--recipe.ladder")
# Limits of the seconds between kills. A command needs some seconds before it renders, and kills
# should hit the rendering too. A worker with nothing left to do does not last longer.
EARLIEST_S, LATEST_S = 3.0, 12.0
CLI = (sys.executable, "-m", "diamond_cutter.flows.cli.main")

app = App()


@app.default
def main(*, workers: int = 4, kills: int = 12, chance: float = 0.15, seed: int = 0) -> None:
    """Disturb, finish, compare; exit with 1 on any difference."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving() as server,
        standing_before(server.url) as proxy,
    ):
        os.environ |= {
            "PREFECT_HOME": str(Path(folder, "prefect")),
            "NO_PROXY": "127.0.0.1",
            "STORAGE_EMULATOR_HOST": server.url,
        }
        server.make("undisturbed")
        server.make("disturbed")
        started = time.monotonic()
        run_alone(*arguments("undisturbed")).check_returncode()
        print(f"an undisturbed run takes {time.monotonic() - started:.0f} s", flush=True)

        proxy.chance, proxy.random = chance, random.Random(seed)
        # Each stall would take a minute. The tests of the bucket cover them.
        proxy.by_chance = tuple(failure for failure in FAILURES if failure != "stall")
        faulted = {**os.environ, "STORAGE_EMULATOR_HOST": proxy.url}
        problems = disturb(workers, kills, random.Random(seed), faulted, Path(folder, "said"))
        print(
            f"{proxy.failed.total()} of {proxy.calls} calls failed: "
            f"{dict(sorted(proxy.failed.items()))}",
            flush=True,
        )
        problems += differences(open_bucket("gs://undisturbed"), open_bucket("gs://disturbed"))
        problems += verified() + written_again(server)
    print(
        "\n".join(problems)
        or f"{workers} workers, {kills} kills: all sprites are there, equal and verified, and the "
        "same command again writes nothing"
    )
    sys.exit(1 if problems else 0)


def run_alone(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that nothing disturbs, and return how it ended and what it printed."""
    return subprocess.run([*CLI, *arguments], stdout=subprocess.PIPE, text=True)


def verified() -> list[str]:
    """Return the problems that `verify` finds in the disturbed bucket."""
    done = run_alone("verify", "--deep", "--bucket", "gs://disturbed")
    return [f"verify: {done.stdout}"] if done.returncode else []


def written_again(server: GcsServer) -> list[str]:
    """Run the same command again, and return a problem if it writes to the bucket."""

    def generations() -> dict[str, int]:
        return {name: stored.generation for name, stored in server.buckets["disturbed"].items()}

    before = generations()
    server.seen.clear()
    run_alone(*arguments("disturbed")).check_returncode()
    return ["the same command again writes"] if generations() != before else []


def arguments(bucket: str) -> list[str]:
    """Return the arguments of a worker's command."""
    where = ["--bucket", f"gs://{bucket}", "--layers", *LAYERS]
    return ["sprites", MODEL, *where, *RECIPE]


def disturb(
    workers: int, kills: int, moments: random.Random, environment: dict[str, str], said: Path
) -> list[str]:
    """Run the workers, kill and restart some, and return the failures without a kill."""
    problems: list[str] = []

    def start() -> "subprocess.Popen[bytes]":
        with said.open("ab") as errors:
            return subprocess.Popen(
                [*CLI, *arguments("disturbed")],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def note(code: int | None) -> None:
        if code:
            output = said.read_text()[-2000:]
            problems.append(f"a worker failed ({code}); output of all workers: {output}")

    running = [start() for _ in range(workers)]
    killed = 0
    while killed < kills:
        time.sleep(moments.uniform(EARLIEST_S, LATEST_S))
        victim = moments.randrange(workers)
        ended = running[victim].poll()
        note(ended)
        if ended is None:
            kill_tree(running[victim])
            killed += 1
        print(
            f"worker {victim} "
            f"{f'is killed, kill {killed}' if ended is None else 'had ended and starts again'}",
            flush=True,
        )
        running[victim] = start()
    for worker in running:
        note(worker.wait())
    return problems


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    """Kill a command and all its descendants."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in tree:
        if member.is_running():
            member.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(tree, timeout=30)


def differences(undisturbed: Bucket, disturbed: Bucket) -> list[str]:
    """Return the differences between two buckets."""
    expected, found = sprites(undisturbed), sprites(disturbed)
    wrong = (
        [f"sprites are missing: {sorted(expected.keys() - found.keys())}"]
        if expected.keys() - found.keys()
        else []
    )
    wrong += [
        f"{sprite} has other pixels"
        for sprite in expected.keys() & found.keys()
        if not np.array_equal(expected[sprite], found[sprite])
    ]
    names = [
        sorted(
            info.key for info in bucket.list() if ".webp" in info.key and "spritemap." in info.key
        )
        for bucket in (undisturbed, disturbed)
    ]
    wrong += [f"spritemaps differ: {names}"] if names[0] != names[1] else []
    runs = [
        sum(is_run_record(info.key) for info in bucket.list("sprites/"))
        for bucket in (undisturbed, disturbed)
    ]
    return wrong + ([f"runs differ: {runs}"] if runs[0] != runs[1] else [])


def sprites(bucket: Bucket) -> dict[tuple[str, int], np.ndarray]:
    """Return every sprite's pixels, by layer and channel."""
    found: dict[tuple[str, int], np.ndarray] = {}
    for info in bucket.list("sprites/"):
        if not is_shard_record(info.key):
            continue
        shard = ShardRecord.from_bytes(bucket.get(info.key, want_crc=info.crc32c), info.key)
        sheet = decode(bucket.get(shard.file.key, want_crc=shard.file.crc32c))
        for cell, sprite in enumerate(shard.sprites):
            row, column = divmod(cell, shard.columns)
            top, left = row * shard.cell_px, column * shard.cell_px
            found[shard.layer, sprite.channel] = sheet[
                top : top + shard.cell_px, left : left + shard.cell_px
            ]
    return found


if __name__ == "__main__":
    app()
