"""The 1000 classes of ImageNet, and their ancestors in WordNet: a pug is a dog, a dog a canine.

WordNet is a graph, not a tree: a dog is a domestic animal as well as a canine. All parents are
kept, since everyday words are often not on the first path. `tools/wordnet_ancestors.py` writes the
data, which come under WordNet's own licence (wordnet_license.txt).
"""

import csv
import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from diamond_cutter.model_inventory.card import ClassLabel

# Ancestors of a larger share of the classes are too general. This excludes vertebrate and
# instrumentality, then animal, artifact and all above; it keeps mammal (218 classes).
LARGEST_SHARE = 1 / 3
# So near the top are only abstract terms, such as matter, abstraction or causal agent, even with
# few classes below. One step further down are geological formations.
TOP_STEPS = 2
# Scientific terms for nearly all members of mammal, reptile, bird or fish.
ZOOLOGISTS_WORDS = frozenset(
    (
        "placental",
        "diapsid",
        "passerine",
        "oscine",
        "bony fish",
        "teleost fish",
        "cartilaginous fish",
        "elasmobranch",
    )
)


@dataclass(frozen=True)
class Ancestor:
    """A synset above classes of ImageNet.

    Attributes:
        wnid: its WordNet id.
        name: its first word.
        classes: the number of classes of ImageNet below it.
    """

    wnid: str
    name: str
    classes: int


@functools.cache
def imagenet_labels() -> tuple[ClassLabel, ...]:
    """Return the classes by logit, each with its WordNet id and a name that no other class has."""
    text = (
        resources.files("diamond_cutter.model_inventory")
        .joinpath("imagenet_classes.csv")
        .read_text(encoding="utf-8")
    )
    return tuple(
        ClassLabel(name=row["name"], wnid=row["wnid"]) for row in csv.DictReader(text.splitlines())
    )


@functools.cache
def ancestors(wnid: str) -> tuple[Ancestor, ...]:
    """Return the ancestors of a class, from the most specific up to "entity".

    Those with fewer classes below them come first. Unknown ids have no ancestors.
    """
    graph = _graph()
    return tuple(
        sorted(
            (graph.known[above] for above in graph.above.get(wnid, ())), key=_most_specific_first
        )
    )


def common_ancestor(wnids: Sequence[str | None], share: float = 0.8) -> Ancestor | None:
    """Return the most specific everyday ancestor of at least a share of the classes, or None.

    By default one of five classes may be of another kind, because networks seldom group classes
    exactly as WordNet does. A class without a known id has no ancestors.
    """
    above = Counter(ancestor for wnid in wnids if wnid is not None for ancestor in ancestors(wnid))
    shared = (
        ancestor
        for ancestor, count in above.items()
        if count >= share * len(wnids) and _says_something(ancestor)
    )
    return min(shared, key=_most_specific_first, default=None)


def _most_specific_first(ancestor: Ancestor) -> tuple[int, int, str]:
    # With the same classes below, one may be above the other. The one further from the top is more
    # specific.
    return ancestor.classes, -_graph().steps[ancestor.wnid], ancestor.wnid


def _says_something(ancestor: Ancestor) -> bool:
    graph = _graph()
    general = (
        ancestor.classes > LARGEST_SHARE * graph.classes or graph.steps[ancestor.wnid] <= TOP_STEPS
    )
    return not general and ancestor.name not in ZOOLOGISTS_WORDS


@dataclass(frozen=True)
class _Graph:
    known: dict[str, Ancestor]
    above: dict[str, frozenset[str]]  # all ancestors of each synset
    steps: dict[str, int]  # on the longest path up, so that a synset has more than its ancestors
    classes: int


@functools.cache
def _graph() -> _Graph:
    text = (
        resources.files("diamond_cutter.model_inventory")
        .joinpath("wordnet_ancestors.csv")
        .read_text(encoding="utf-8")
    )
    rows = {row["wnid"]: row for row in csv.DictReader(text.splitlines())}
    above: dict[str, frozenset[str]] = {}
    steps: dict[str, int] = {}

    def climb(wnid: str) -> None:
        parents = rows[wnid]["parents"].split()
        for parent in parents:
            if parent not in above:
                climb(parent)
        above[wnid] = frozenset(parents).union(*(above[parent] for parent in parents))
        steps[wnid] = 1 + max((steps[parent] for parent in parents), default=-1)

    for wnid in rows:
        climb(wnid)
    # No class of ImageNet is above another, so the classes are the synsets with none below.
    classes = rows.keys() - frozenset().union(*above.values())
    below = Counter(ancestor for wnid in classes for ancestor in above[wnid])
    known = {
        wnid: Ancestor(wnid=wnid, name=rows[wnid]["name"], classes=count)
        for wnid, count in below.items()
    }
    return _Graph(known=known, above=above, steps=steps, classes=len(classes))
