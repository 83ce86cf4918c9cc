"""One line of words for a channel, made of counted evidence and of nothing else.

No language model is asked. A line says what was seen on these images, so whoever shows it marks it
as derived and escapes it: the names of classes in it are the user's.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from diamond_cutter.model_inventory.imagenet import Ancestor, ancestors, common_ancestor

# More names than that are not read; the rest is counted.
NAMES = 3
LONGEST_NAME = 60

# A mean over images needs two. Of one image it is not known whether the channel responds to the
# class or to that image.
FEWEST_IMAGES = 2
# Half a standard deviation is what is usually called a medium effect. A whole one would be too much
# to ask: if a channel responds to half of the images and the other half leave it cold, the means of
# its classes are at most one above the mean of all.
LEAST_DEVIATIONS = 0.5
# Of the channels that care for no class, about this share is given one nevertheless. Channels are
# looked at by the thousand, and among many classes of few images some mean is always high.
GIVEN_BY_CHANCE = 0.1
# "Most" leaves out classes that are less than half as far above the mean as the first one.
SHARE_OF_HIGHEST = 0.5
# Of two classes a common ancestor says less than their names do, and two of a kind are often there
# by chance.
FEWEST_OF_A_KIND = 3
# Where more than this share of the classes that the channel does not respond to are of that kind,
# too, the kind is no explanation.
KIND_AMONG_OTHERS = 0.5


@dataclass(frozen=True)
class ClassEvidence:
    """What was measured of one channel on the images of one class; the unit of `value` depends on
    the list it stands in.
    """

    name: str
    wnid: str | None
    value: float
    images: int


@dataclass(frozen=True)
class ChannelEvidence:
    """What was measured of one channel.

    selective: for every class that has images, the mean over them of the channel's highest
    activation, in standard deviations above the
        mean over all images
    supports, opposes: the classes to whose logits the channel adds notably, above or below zero:
    its mean attribution over the images
        for which that class was explained
    dead: the activation is never above zero
    images: how many were looked at
    """

    selective: tuple[ClassEvidence, ...]
    supports: tuple[ClassEvidence, ...]
    opposes: tuple[ClassEvidence, ...]
    dead: bool
    images: int


def describe(evidence: ChannelEvidence) -> str:
    """Return what the evidence says of the channel: one line of plain text, the same whatever the
    order of the classes.
    """
    if evidence.images < 1:
        return "no images to go by"
    if evidence.dead:
        return f"silent on {_these_images(evidence.images)}"
    names = _Names((*evidence.selective, *evidence.supports, *evidence.opposes))
    supported = _strongest_first(entry for entry in evidence.supports if entry.value > 0)
    opposed = _strongest_first(entry for entry in evidence.opposes if entry.value < 0)
    parts = [_response(evidence, names)]
    if supported:
        parts.append("supports " + _attributed(supported, names))
    if opposed:
        parts.append("opposes " + _attributed(opposed, names))
    return "; ".join(parts)


def _response(evidence: ChannelEvidence, names: "_Names") -> str:
    these_images = _these_images(evidence.images)
    compared = _compared(evidence.selective)
    if len(compared) < 2:
        return f"which classes it responds to cannot be told from {these_images}"
    selective = _selective(compared)
    if not selective:
        return f"responds to no class in particular on {these_images}"
    others = set(compared) - set(selective)
    kind = _kind(selective, others)
    if kind is None:
        return "responds most to " + _listed(map(names.of, selective))
    of_that_kind = [entry for entry in selective if _is_a(entry, kind)]
    exceptions = len(selective) - len(of_that_kind)
    # "Kinds of" needs no plural, which nobody could form of every word in WordNet.
    text = f"responds most to kinds of {kind.name} ({_listed(map(names.of, of_that_kind))})"
    return text + (
        f" and {exceptions} other class{'es' if exceptions > 1 else ''}" if exceptions else ""
    )


def _compared(classes: Iterable[ClassEvidence]) -> list[ClassEvidence]:
    return _strongest_first(entry for entry in classes if entry.images >= FEWEST_IMAGES)


def _selective(compared: Sequence[ClassEvidence]) -> list[ClassEvidence]:
    """Return the classes that are notably above the mean, and further than the highest of so many
    would be by chance.
    """
    notable = [
        entry
        for entry in compared
        if entry.value >= max(LEAST_DEVIATIONS, _by_chance(len(compared), entry.images))
    ]
    return [entry for entry in notable if entry.value >= SHARE_OF_HIGHEST * notable[0].value]


@functools.lru_cache(maxsize=1024)
def _by_chance(classes: int, images: int) -> float:
    """Return how many standard deviations above the mean the highest of so many classes' means is
    where the classes play no part.

    The highest activations of images have a longer tail than a normal distribution, so they are
    taken as exponential. The mean of `images` of them has a gamma distribution, whose cube root is
    nearly normal (Wilson and Hilferty 1931).
    """
    quantile = NormalDist().inv_cdf(1 - GIVEN_BY_CHANCE / classes)
    return (1 - 1 / (9 * images) + quantile / (3 * math.sqrt(images))) ** 3 - 1


def _kind(selective: Sequence[ClassEvidence], others: Collection[ClassEvidence]) -> Ancestor | None:
    """Return what the selective classes are kinds of and the others are not, if that can be
    said.
    """
    if len(selective) < FEWEST_OF_A_KIND:
        return None
    kind = common_ancestor([entry.wnid for entry in selective])
    # The first classes have to be of that kind: they are what the channel responds to most, and
    # must not go among "other classes".
    if kind is None or not all(_is_a(entry, kind) for entry in selective[:NAMES]):
        return None
    among_others = sum(_is_a(entry, kind) for entry in others)
    return kind if others and among_others <= KIND_AMONG_OTHERS * len(others) else None


def _is_a(entry: ClassEvidence, kind: Ancestor) -> bool:
    return entry.wnid is not None and kind in ancestors(entry.wnid)


def _attributed(classes: Sequence[ClassEvidence], names: "_Names") -> str:
    # An attribution is exact for its image, so one image is evidence, but weaker: it is shown for
    # want of better, and says what it is.
    several = [entry for entry in classes if entry.images >= FEWEST_IMAGES]
    return (
        _listed(map(names.of, several))
        if several
        else _listed(f"{names.of(entry)} (1 image)" for entry in classes)
    )


def _strongest_first(classes: Iterable[ClassEvidence]) -> list[ClassEvidence]:
    sound = (entry for entry in classes if entry.images >= 1 and math.isfinite(entry.value))
    # By size without the sign: the tails are looked at one by one, and each has its strongest
    # first.
    return sorted(sound, key=lambda entry: (-abs(entry.value), entry.name, entry.wnid or ""))


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = len(every) - NAMES
    return ", ".join(every[:NAMES]) + (f" and {more} more" if more > 0 else "")


def _these_images(images: int) -> str:
    return "this one image" if images == 1 else f"these {images:,} images"


class _Names:
    """The classes' names as a line can hold them: the first synonym, unless another class has the
    same one.
    """

    def __init__(self, classes: Iterable[ClassEvidence]) -> None:
        self._taken = Counter(_first_synonym(name) for name in {entry.name for entry in classes})

    def of(self, entry: ClassEvidence) -> str:
        """Return the name of a class that was among those given."""
        short = _first_synonym(entry.name)
        return short if self._taken[short] == 1 else _in_one_line(entry.name)


@functools.lru_cache(maxsize=4096)
def _first_synonym(name: str) -> str:
    return _in_one_line(
        next((synonym for synonym in re.split("[,;]", name) if synonym.strip()), "")
    )


def _in_one_line(name: str) -> str:
    # Line breaks and marks that turn the direction of writing would reach beyond the name, and a
    # semicolon looks like the end of a part. The two joiners are not printable either, but Persian
    # and Hindi are not written without them.
    printable = "".join(
        letter if letter.isprintable() or letter in "\u200c\u200d" else " "
        for letter in name.replace(";", ",")
    )
    text = " ".join(printable.split()) or "a class without a name"
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1].rstrip() + "…"
