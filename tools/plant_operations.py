"""Plant every forbidden operation in every place of every model format, and import the model.

    uv run python -m tools.plant_operations [--sample 400] [--seed 0]

No planted operation may touch its bait: a folder that inotify watches, and a server on the loopback
interface. An operation must be refused if the output depends on its value. The script prints a
table of counts. It exits with 1 if bait was touched, a forbidden operation was accepted, or an
import failed without a proper error. First, it runs some operations unguarded to test the watch.
"""

import argparse
import ctypes
import faulthandler
import os
import select
import socket
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from diamond_cutter.model_inventory.errors import ModelError
from tools.planted_graphs import Bait, can_be_needed, planted_node
from tools.planted_models import cases

_HANGS_AFTER_S = 300
_ALL_EVENTS = 0xFFF  # of inotify: opened, read, changed, made, removed, moved


class Watch:
    """A watched folder with one file, and a watched server."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        (folder / "there").write_text("bait")
        self._events = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if (
            self._events < 0
            or self._libc.inotify_add_watch(self._events, os.fsencode(folder), _ALL_EVENTS) < 0
        ):
            raise OSError(ctypes.get_errno(), "inotify cannot watch the folder")
        self._server = socket.create_server(("127.0.0.1", 0))
        self.bait = Bait(folder, f"127.0.0.1:{self._server.getsockname()[1]}")

    def touched(self) -> list[str]:
        """Return `files` and `network` if they were touched since the last call."""
        ready, _, _ = select.select([self._events, self._server], [], [], 0)
        found = []
        if self._events in ready:
            os.read(self._events, 1 << 16)
            found.append("files")
        if self._server in ready:
            self._server.accept()[0].close()
            found.append("network")
        return found


def main() -> None:
    """Plant and import all cases, and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, help="cases, evenly from all places; default: all")
    parser.add_argument("--seed", type=int, default=0, help="for the sample; default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        watched = Path(folder, "watched")
        watched.mkdir()
        os.chdir(watched)
        watch = Watch(watched)
        watch.touched()
        unseen = unseen_operations(watch)
        if unseen:
            sys.exit(f"the watch misses {', '.join(unseen)}, so the results would prove nothing")
        sys.exit(plant_all(watch, Path(folder), options.seed, options.sample))


def plant_all(watch: Watch, folder: Path, seed: int, sample: int | None) -> int:
    """Import each model with a planted operation; return the exit code."""
    counts: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []
    for number, (op, place) in enumerate(cases(seed, sample)):
        faulthandler.dump_traceback_later(_HANGS_AFTER_S, exit=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            outcome = "accepted"
            try:
                place.plant(op, watch.bait, Path(own))
            except ModelError as error:
                outcome = "refused"
                named = op in str(error) or "planted" in str(error)
                if "\n" in str(error) or (place.on_the_way and can_be_needed(op) and not named):
                    faults.append(
                        f"{op} in {place.title} was refused for another reason: "
                        f"{str(error)[:200]!r}"
                    )
            except Exception as error:
                outcome = "failed"
                faults.append(
                    f"{op} in {place.title} failed: {type(error).__name__}: {str(error)[:200]}"
                )
        if outcome == "accepted" and place.on_the_way and can_be_needed(op):
            faults.append(f"{op} in {place.title} was accepted")
        faults += [f"{op} in {place.title} touched {what}" for what in watch.touched()]
        counts[place.title, outcome] += 1
        if number % 1000 == 999:
            print(f"{number + 1} planted", file=sys.stderr)
    faulthandler.cancel_dump_traceback_later()
    for title in dict.fromkeys(title for title, _ in counts):
        print(
            f"{title}: "
            + ", ".join(
                f"{counts[title, kind]} {kind}" for kind in ("refused", "accepted", "failed")
            )
        )
    print(f"{sum(counts.values())} planted, {len(faults)} faults")
    for fault in faults[:50]:
        print(fault)
    return 1 if faults else 0


def unseen_operations(watch: Watch) -> list[str]:
    """Run operations on files, and open a connection; return the names that the watch misses."""
    import tensorflow as tf

    unseen = []
    for op in ("WriteFile", "ReadFile", "MatchingFiles"):
        graph = tf.compat.v1.GraphDef()
        node, inputs = planted_node(op, watch.bait)
        for text in inputs:
            if text.op == "Const" and text.attr["dtype"].type == tf.string.as_datatype_enum:
                text.attr["value"].tensor.tensor_shape.Clear()  # a single string
        graph.node.extend([*inputs, node])
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.graph_util.import_graph_def(graph, name="")
            session.run("planted" if op == "WriteFile" else "planted:0")
        if "files" not in watch.touched():
            unseen.append(op)
    socket.create_connection(tuple(watch.bait.address.split(":"))).close()
    if "network" not in watch.touched():
        unseen.append("a connection")
    return unseen


if __name__ == "__main__":
    main()
