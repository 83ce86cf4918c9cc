"""Write model_inventory/wordnet_ancestors.csv and its licence from WordNet 3.0.

ImageNet's ids are the numbers of WordNet 3.0. Other versions have other numbers.

    apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet
    uv run python -m tools.wordnet_ancestors wordnet/usr/share/wordnet/data.noun

WordNet-3.0.tar.gz of wordnet.princeton.edu holds the same file (sha256 fea17d2f96566113...).
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from diamond_cutter.model_inventory.imagenet import imagenet_labels

FOLDER = Path(__file__).parents[1] / "model_inventory"
PREFACE = (
    "wordnet_ancestors.csv is a part of the file data.noun of WordNet 3.0, written in "
    "another form by tools/wordnet_ancestors.py.\n\n"
)
# The pointers of data.noun from a class or an instance to its hypernyms.
HYPERNYMS = ("@", "@i")


def main() -> None:
    """Write both files from the data.noun in the first argument."""
    text = Path(sys.argv[1]).read_text(encoding="ascii")
    if "WordNet 3.0 Copyright" not in text[:2000]:
        raise SystemExit(f"{sys.argv[1]} is not valid: expected data.noun of WordNet 3.0")
    (FOLDER / "wordnet_license.txt").write_text(
        PREFACE + "".join(licence(text.splitlines())), encoding="utf-8"
    )
    with (FOLDER / "wordnet_ancestors.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["wnid", "name", "parents"])
        classes = [label.wnid for label in imagenet_labels() if label.wnid]
        out.writerows(
            (wnid, name, " ".join(parents))
            for wnid, name, parents in rows(text.splitlines(), classes)
        )


def licence(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of the licence, without their numbers. The licence precedes the data."""
    for line in lines:
        if not line.startswith("  "):
            return
        yield line.strip().partition(" ")[2].rstrip() + "\n"


def rows(lines: Iterable[str], classes: Iterable[str]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return id, first word and parents of the classes and all their ancestors, sorted by id.

    Parents are in WordNet's order.

    Raises:
        KeyError: a class is not in the file.
    """
    synsets = dict(map(_synset, (line for line in lines if not line.startswith("  "))))
    wanted: set[str] = set()
    waiting = list(classes)
    while waiting:
        wnid = waiting.pop()
        if wnid not in wanted:
            wanted.add(wnid)
            waiting += synsets[wnid][1]
    return [(wnid, *synsets[wnid]) for wnid in sorted(wanted)]


def _synset(line: str) -> tuple[str, tuple[str, tuple[str, ...]]]:
    """Return id, first word and parents of a line; wndb(5WN) describes the format."""
    fields = line.split(" | ")[0].split()
    pointers = 4 + 2 * int(fields[3], 16)
    ends = range(pointers + 1, pointers + 1 + 4 * int(fields[pointers]), 4)
    return f"n{fields[0]}", (
        fields[4].replace("_", " "),
        tuple(f"n{fields[end + 1]}" for end in ends if fields[end] in HYPERNYMS),
    )


if __name__ == "__main__":
    main()
