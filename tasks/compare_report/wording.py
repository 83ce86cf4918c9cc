"""The sentences of a comparison: the answer, and what qualifies it."""

from collections.abc import Sequence

from diamond_cutter.tasks.compare_report.contents import (
    CompareContents,
    ComparedModelFacts,
    ImageFacts,
)
from diamond_cutter.tasks.comparing.accuracy import PairedTest
from diamond_cutter.tasks.comparing.layer_pairs import LayerPair
from diamond_cutter.tasks.pages.belief import Belief

Models = tuple[ComparedModelFacts, ComparedModelFacts]


def answer(
    models: Models, test: PairedTest | None, facts: ImageFacts, pairs: Sequence[LayerPair]
) -> str:
    """Return which model is better, by how much, and whether that may be chance."""
    if test is not None:
        return _better(models, test, facts)
    known = [model for model in models if model.accuracy is not None]
    if len(known) == 1 and known[0].accuracy is not None:
        overall = known[0].accuracy.overall
        return (
            f"Only {known[0].name} has classes for these images, and is right about "
            f"{_percent(overall.share)} of {overall.images:,}; {_alike(pairs)}."
        )
    if len(known) == 2:
        return (
            "The models cannot be ranked, because they have classes for different images; "
            f"{_alike(pairs)}."
        )
    reason = "the images have no labels" if not facts.labels else "no label is a class of theirs"
    return f"The models cannot be ranked, because {reason}; {_alike(pairs)}."


def _better(models: Models, test: PairedTest, facts: ImageFacts) -> str:
    first, second = models
    part = " test" if facts.split == "test" else " training" if facts.split == "train" else ""
    of_all = f"{test.images:,}{part} images"
    right = [test.both + test.only_first, test.both + test.only_second]
    if not test.difference:
        return (
            f"{first.name} and {second.name} are right about equally many images: "
            f"{_percent(right[0] / test.images)} of {of_all}."
        )
    leads = test.difference > 0
    better, other = (second, first) if leads else (first, second)
    shares = [each / test.images for each in (reversed(right) if leads else right)]
    chance = "chance is an unlikely explanation" if test.is_clear else "which may be chance"
    return (
        f"{better.name} is right about {_percent(shares[0])} of {of_all}, {other.name} about "
        f"{_percent(shares[1])}: {_points(abs(test.difference))} more, {'and ' * test.is_clear}"
        f"{chance} (p {p_value(test.p_value)})."
    )


def _alike(pairs: Sequence[LayerPair]) -> str:
    known = [pair for pair in pairs if pair.cka is not None]
    if not known:
        return "no layers correspond"
    last = known[-1]
    names = last.first if last.first == last.second else f"{last.first} and {last.second}"
    return f"their last corresponding layers ({names}) have a similarity of {last.cka:.2f}"


def belief(contents: CompareContents) -> Belief | None:
    """Return how far the answer can be believed; None if it names no better model."""
    test = contents.test
    if test is None or not test.difference:
        return None
    if test.is_clear:
        return Belief("reliable", "clear difference", "")
    return Belief("order-only", "may be chance", "More labelled images can decide it.")


def remarks(
    models: Models,
    test: PairedTest | None,
    facts: ImageFacts,
    pairs: Sequence[LayerPair],
    unknown: int,
) -> list[str]:
    """Return the sentences that qualify the answer.

    Args:
        models: the two models.
        test: their comparison, if both have an accuracy.
        facts: of the images.
        pairs: the corresponding layers.
        unknown: number of labelled images that are no class of both models.
    """
    without = [model.without for model in models if model.without]
    said = without if len(without) == 1 else []  # of both, the answer says it
    if test is not None:
        said.append(_interval(test, models))
        said.append(
            "If a model was trained on these images, its accuracy is too high. The files of a "
            "model do not say what it was trained on."
            if facts.split != "test"
            else "Images of the training part are left out. If a model was trained on test images, "
            "its accuracy is too high."
        )
        if unknown:
            said.append(
                f"{_images(unknown)} whose label is not a class of both models "
                f"{'is' if unknown == 1 else 'are'} left out."
            )
    said += _changed(pairs)
    if facts.copies:
        copies = "1 image is a copy" if facts.copies == 1 else f"{facts.copies:,} images are copies"
        said.append(f"{copies} of another one, pixel for pixel. Copies count once.")
    return said


def _interval(test: PairedTest, models: Models) -> str:
    return (
        f"The difference is {_signed(test.difference)} points (95 % interval: "
        f"{_signed(test.low)} to {_signed(test.high)}). Above 0, {models[1].name} is better. Only "
        f"{models[0].name} is right about {_images(test.only_first)}, only {models[1].name} about "
        f"{_images(test.only_second)}."
    )


def _changed(pairs: Sequence[LayerPair]) -> list[str]:
    known = [pair for pair in pairs if pair.cka is not None]
    if len(known) < 2:
        return []
    by_cka = sorted(known, key=lambda pair: pair.cka or 0.0)
    least, most = by_cka[0], by_cka[-1]
    if (least.cka or 0) > 0.9995:
        return ["All corresponding layers see the images alike (similarity 1.00)."]
    return [
        f"Of the corresponding layers, {_named(least)} are least alike (similarity "
        f"{least.cka:.2f}), and {_named(most)} are most alike ({most.cka:.2f})."
    ]


def _named(pair: LayerPair) -> str:
    return (
        f"the two {pair.first}" if pair.first == pair.second else f"{pair.first} and {pair.second}"
    )


def without_accuracy(name: str, labelled: bool, has_logits: bool) -> str:
    """Return why a model has no accuracy."""
    if not labelled:
        return f"{name} has no accuracy here, because the images have no labels."
    if not has_logits:
        return f"{name} has no accuracy here, because it does not end in a classifier."
    return (
        f"{name} has no accuracy here, because no label of the images is the name of one of its "
        "classes."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    shown = f"{100 * difference:.1f}"
    return f"{shown} point{'' if shown == '1.0' else 's'}"


def _signed(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")


def p_value(value: float) -> str:
    """Return the p value of a test, with its sign: `= 0.03`."""
    return "< 0.0001" if value < 0.0001 else f"= {value:.2g}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
