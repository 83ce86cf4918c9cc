"""Describe a channel in one line of text, made from counted evidence only.

No language model takes part. The line holds names of classes from the user, so pages must escape
it, and mark it as derived.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from diamond_cutter.model_inventory.imagenet import Ancestor, ancestors, common_ancestor

# Nobody reads more names than this; the line counts the rest.
NAMES = 3
LONGEST_NAME = 60

# With one image, it is unknown whether the channel responds to the class or to that image.
FEWEST_IMAGES = 2
# Half a standard deviation is usually called a medium effect. A whole one would ask too much: if a
# channel responds to half of the images, its classes' means are at most one deviation above the
# mean of all.
LEAST_DEVIATIONS = 0.5
# The share of channels without a class of their own that receive one by chance. There are thousands
# of channels, and among many classes with few images some mean is always high.
GIVEN_BY_CHANCE = 0.1
# What a channel does with a class: for it, and against it.
CLASS_VERBS = ("supports", "opposes")
# "Responds most to" leaves out classes less than half as far above the mean as the first class.
SHARE_OF_HIGHEST = 0.5
# The common ancestor of two classes says less than their names, and is often there by chance.
FEWEST_OF_A_KIND = 3
# A kind explains nothing if more than this share of the other classes is also of that kind.
KIND_AMONG_OTHERS = 0.5


@dataclass(frozen=True)
class ClassEvidence:
    """The evidence of one class for one channel; the unit of `value` depends on its list."""

    name: str
    wnid: str | None
    value: float
    images: int


@dataclass(frozen=True)
class ChannelEvidence:
    """The evidence about one channel.

    selective: for each class with images, the mean of the channel's highest activations, in
        standard deviations above the mean over all images.
    supports, opposes: the classes that the channel notably supports or opposes, with its mean
        attribution over the images that explain this class.
    dead: whether the activation is never above 0.
    images: the number of images.
    verbs: what a channel does with a class, for and against it; other words for values.
    """

    selective: tuple[ClassEvidence, ...]
    supports: tuple[ClassEvidence, ...]
    opposes: tuple[ClassEvidence, ...]
    dead: bool
    images: int
    verbs: tuple[str, str] = CLASS_VERBS


def describe(evidence: ChannelEvidence) -> str:
    """Return one line of plain text; the order of the classes does not matter."""
    if evidence.images < 1:
        return "no images"
    if evidence.dead:
        return f"silent on {_these_images(evidence.images)}"
    names = _Names((*evidence.selective, *evidence.supports, *evidence.opposes))
    supported = _strongest_first(entry for entry in evidence.supports if entry.value > 0)
    opposed = _strongest_first(entry for entry in evidence.opposes if entry.value < 0)
    compared = _compared(evidence.selective)
    selective = _selective(compared)
    parts = [_response(selective, set(compared) - set(selective), names)] if selective else []
    if supported:
        parts.append(f"{evidence.verbs[0]} {_attributed(supported, names)}")
    if opposed:
        parts.append(f"{evidence.verbs[1]} {_attributed(opposed, names)}")
    if not selective:
        # A narrow column shows only the start of the line, so the classes come first.
        parts.append(_no_response(compared, evidence))
    return "; ".join(parts)


def _response(
    selective: Sequence[ClassEvidence], others: Collection[ClassEvidence], names: "_Names"
) -> str:
    kind = _kind(selective, others)
    if kind is None:
        return "responds most to " + _listed(map(names.of, selective))
    of_that_kind = [entry for entry in selective if _is_a(entry, kind)]
    exceptions = len(selective) - len(of_that_kind)
    # "Kinds of" needs no plural: no rule forms the plural of every word in WordNet.
    text = f"responds most to kinds of {kind.name} ({_listed(map(names.of, of_that_kind))})"
    return text + (
        f" and {exceptions} other class{'es' if exceptions > 1 else ''}" if exceptions else ""
    )


def _no_response(compared: Sequence[ClassEvidence], evidence: ChannelEvidence) -> str:
    if len(compared) < 2:
        return f"{_too_few(evidence)} to say which classes it responds to"
    return f"responds to no class in particular on {_these_images(evidence.images)}"


def _too_few(evidence: ChannelEvidence) -> str:
    classes = len(_strongest_first(evidence.selective))
    if classes < 2 <= evidence.images:
        return f"too few classes ({classes})"
    return f"too few images ({evidence.images:,})"


def _compared(classes: Iterable[ClassEvidence]) -> list[ClassEvidence]:
    return _strongest_first(entry for entry in classes if entry.images >= FEWEST_IMAGES)


def _selective(compared: Sequence[ClassEvidence]) -> list[ClassEvidence]:
    """Return the classes notably above the mean, and above the chance level of the highest one.

    A class alone cannot stand out.
    """
    if len(compared) < 2:
        return []
    notable = [
        entry
        for entry in compared
        if entry.value >= max(LEAST_DEVIATIONS, _by_chance(len(compared), entry.images))
    ]
    return [entry for entry in notable if entry.value >= SHARE_OF_HIGHEST * notable[0].value]


@functools.lru_cache(maxsize=1024)
def _by_chance(classes: int, images: int) -> float:
    """Return the highest class mean to expect by chance, in deviations above the overall mean.

    The highest activations of images have a longer tail than a normal distribution, so the model is
    exponential. The mean of `images` such values has a gamma distribution. Its cube root is nearly
    normal (Wilson and Hilferty 1931).
    """
    quantile = NormalDist().inv_cdf(1 - GIVEN_BY_CHANCE / classes)
    return (1 - 1 / (9 * images) + quantile / (3 * math.sqrt(images))) ** 3 - 1


def _kind(selective: Sequence[ClassEvidence], others: Collection[ClassEvidence]) -> Ancestor | None:
    """Return the common kind of the selective classes, unless many others are of it, too."""
    if len(selective) < FEWEST_OF_A_KIND:
        return None
    kind = common_ancestor([entry.wnid for entry in selective])
    # The channel responds most to the first classes, so they must not count as "other classes".
    if kind is None or not all(_is_a(entry, kind) for entry in selective[:NAMES]):
        return None
    among_others = sum(_is_a(entry, kind) for entry in others)
    return kind if others and among_others <= KIND_AMONG_OTHERS * len(others) else None


def _is_a(entry: ClassEvidence, kind: Ancestor) -> bool:
    return entry.wnid is not None and kind in ancestors(entry.wnid)


def _attributed(classes: Sequence[ClassEvidence], names: "_Names") -> str:
    # An attribution is exact for its image. A single image is weak evidence, so the line marks it,
    # and shows it only if no class has several images.
    several = [entry for entry in classes if entry.images >= FEWEST_IMAGES]
    return (
        _listed(map(names.of, several))
        if several
        else _listed(f"{names.of(entry)} (1 image)" for entry in classes)
    )


def _strongest_first(classes: Iterable[ClassEvidence]) -> list[ClassEvidence]:
    sound = (entry for entry in classes if entry.images >= 1 and math.isfinite(entry.value))
    # Sorted by absolute value, because callers pass each tail separately.
    return sorted(sound, key=lambda entry: (-abs(entry.value), entry.name, entry.wnid or ""))


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = len(every) - NAMES
    return ", ".join(every[:NAMES]) + (f" and {more} more" if more > 0 else "")


def _these_images(images: int) -> str:
    return "this one image" if images == 1 else f"these {images:,} images"


class _Names:
    """Shortens class names to their first synonym, unless two classes share it."""

    def __init__(self, classes: Iterable[ClassEvidence]) -> None:
        self._taken = Counter(_first_synonym(name) for name in {entry.name for entry in classes})

    def of(self, entry: ClassEvidence) -> str:
        """Return the short name of a class."""
        short = _first_synonym(entry.name)
        return short if self._taken[short] == 1 else _in_one_line(entry.name)


@functools.lru_cache(maxsize=4096)
def _first_synonym(name: str) -> str:
    return _in_one_line(
        next((synonym for synonym in re.split("[,;]", name) if synonym.strip()), "")
    )


def _in_one_line(name: str) -> str:
    # Line breaks and marks of writing direction would affect the text around the name, and a
    # semicolon would look like the end of a part. The two joiners are not printable, but Persian
    # and Hindi need them.
    printable = "".join(
        letter if letter.isprintable() or letter in "\u200c\u200d" else " "
        for letter in name.replace(";", ",")
    )
    text = " ".join(printable.split()) or "a class without a name"
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1].rstrip() + "…"
