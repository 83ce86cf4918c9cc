"""Each image chooses what explains it, and what it is held against, never itself."""

import numpy as np
import pytest
import tensorflow as tf

from diamond_cutter.tasks.attribution.score import NONE, ChosenClasses, choose_classes, score_of
from diamond_cutter.tasks.attribution.spec import (
    AttributionSpec,
    Negative,
    Positive,
    ablated_channels,
)

LOGITS = np.array([[0.5, 3, -1, 2], [4, -2, 1, -3], [-5, -4, -3, -2]], np.float32)


def chosen(
    logits: np.ndarray, positive: Positive, negative: Negative
) -> tuple[list[int], list[int]]:
    found = choose_classes(tf.constant(logits, tf.float32), positive, negative)
    assert found.positive.dtype == found.negative.dtype == tf.int32
    return found.positive.numpy().tolist(), found.negative.numpy().tolist()


def test_classes_are_chosen_for_each_image() -> None:
    for positive, negative, wanted in [
        ("auto", "auto", ([1, 0, 3], [3, 2, 2])),
        ("auto", "none", ([1, 0, 3], [NONE] * 3)),
        ("auto", 2, ([1, 0, 3], [2] * 3)),
        (
            "auto",
            1,
            ([3, 0, 3], [1] * 3),
        ),  # the first image's highest is what it is held against: the next highest explains it
        (2, "auto", ([2] * 3, [1, 0, 3])),
        (3, "auto", ([3] * 3, [1, 0, 2])),
        (2, "none", ([2] * 3, [NONE] * 3)),
        (2, 0, ([2] * 3, [0] * 3)),
        ("all", "auto", ([NONE] * 3, [NONE] * 3)),
        ("all", "none", ([NONE] * 3, [NONE] * 3)),
        ("all", 1, ([NONE] * 3, [1] * 3)),
    ]:
        assert chosen(LOGITS, positive, negative) == wanted


def test_of_logits_that_are_as_high_the_first_comes_first_and_none_twice() -> None:
    assert chosen([[1, 1, 1]], "auto", "auto") == ([0], [1])
    assert chosen([[0, 2, 2]], "auto", "auto") == ([1], [2])
    assert chosen([[2, 2, 0]], "auto", 0) == ([1], [0])
    assert chosen([[2, 2, 2]], 1, "auto") == ([1], [0])


@pytest.mark.parametrize(
    ("positive", "negative", "wanted"),
    [
        ("auto", "auto", ([0], [NONE])),
        ("auto", "none", ([0], [NONE])),
        (0, "auto", ([0], [NONE])),
        ("all", "auto", ([NONE], [NONE])),
    ],
)
def test_a_single_class_is_held_against_nobody(
    positive: Positive, negative: Negative, wanted: tuple[list[int], list[int]]
) -> None:
    assert chosen([[-2.0]], positive, negative) == wanted


def test_a_score_is_a_logit_or_a_difference_or_the_log_sum_exp_for_each_image() -> None:
    every = np.log(np.exp(LOGITS.astype(np.float64)).sum(axis=1))
    choice = ChosenClasses(tf.constant([1, 0, NONE]), tf.constant([3, NONE, NONE]))
    np.testing.assert_allclose(
        score_of(tf.constant(LOGITS), choice), [3 - 2, 4, every[2]], rtol=1e-6
    )
    against = ChosenClasses(tf.constant([NONE] * 3), tf.constant([1] * 3))
    np.testing.assert_allclose(
        score_of(tf.constant(LOGITS), against), every - LOGITS[:, 1], rtol=1e-6
    )


def test_the_gradient_reaches_the_chosen_logits_only() -> None:
    @tf.function(autograph=False)
    def gradient(logits: tf.Tensor) -> tf.Tensor:
        return tf.gradients(
            tf.reduce_sum(
                score_of(
                    logits, ChosenClasses(tf.constant([1, 0, NONE]), tf.constant([3, NONE, NONE]))
                )
            ),
            [logits],
        )[0]

    shares = np.exp(LOGITS[2]) / np.exp(LOGITS[2]).sum()
    np.testing.assert_allclose(
        gradient(tf.constant(LOGITS)), [[0, 1, 0, -1], [1, 0, 0, 0], shares], atol=1e-6
    )


def test_huge_logits_have_a_score() -> None:
    logits = tf.constant([[3e4, -3e4], [-3e38, 3e38]])
    assert score_of(
        logits, ChosenClasses(tf.constant([NONE, 1]), tf.constant([NONE, NONE]))
    ).numpy().tolist() == pytest.approx([3e4, 3e38])


@pytest.mark.parametrize(
    ("channels", "count"), [(1, 1), (9, 1), (20, 1), (30, 2), (100, 5), (1280, 64)]
)
def test_a_twentieth_of_the_channels_is_silenced_at_least_one(channels: int, count: int) -> None:
    assert ablated_channels(channels) == count


def test_a_report_is_named_by_all_that_was_asked_for() -> None:
    spec = AttributionSpec(layers=("a", "b"), sprites="fast@01234567")
    changes = [
        {"layers": ("b", "a")},
        {"layers": ("a,b",)},
        {"positive": 1},
        {"positive": "all"},
        {"negative": 1},
        {"negative": "none"},
        {"method": "integrated"},
        {"steps": 99},
        {"groups": 0},
        {"channels": 1},
        {"shown": 1},
        {"sprites": "fast@01234568"},
        {"card": "01234567"},
        {"threshold": 0.4},
        {"classes_by_label": True},
    ]
    keys = [spec.key, *(spec.model_copy(update=change).key for change in changes)]
    # What auto chooses follows from the request, the model and the images.
    fields = {change for each in changes for change in each} | {"methods"}
    assert len(set(keys)) == len(keys) and fields == set(AttributionSpec.model_fields)
    chosen = spec.model_copy(update={"method": "auto", "methods": ("gradient", "integrated")})
    assert chosen.key == spec.model_copy(update={"method": "auto"}).key not in keys
    assert [chosen.method_of(layer) for layer in "ab"] == ["gradient", "integrated"]
    assert spec.key == AttributionSpec.model_validate_json(spec.model_dump_json()).key
