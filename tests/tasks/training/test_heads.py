"""Heads are trained on augmented images, all of one network at once."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss

from diamond_cutter.tasks.cutting.probe import fit, standardised
from diamond_cutter.tasks.features.extraction import BATCH
from diamond_cutter.tasks.training.augmentation import augmentation
from diamond_cutter.tasks.training.heads import (
    MOST_EPOCHS,
    Head,
    HeadData,
    Labels,
    cross_entropy,
    train_heads,
)

pytestmark = pytest.mark.slow

SIZE = 16


def stripes(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of horizontal and vertical stripes with noise, and which they are."""
    stream = np.random.default_rng(seed)
    labels = np.arange(images) % 2
    wave = np.tile([60.0, 190.0], SIZE // 2)
    pattern = np.stack([np.tile(wave[:, None], (1, SIZE)), np.tile(wave, (SIZE, 1))])
    pictures = pattern[labels][..., None] + stream.normal(0, 50, (images, SIZE, SIZE, 3))
    return np.clip(pictures, 0, 255).astype(np.uint8), labels


def edges(images: tf.Tensor) -> list[tf.Tensor]:
    """Return features at two made-up cuts: one tells the stripes apart, the other does not."""
    values = tf.cast(images, tf.float32) / 255
    down = tf.reduce_mean(tf.abs(values[:, 1:] - values[:, :-1]), (1, 2))
    right = tf.reduce_mean(tf.abs(values[:, :, 1:] - values[:, :, :-1]), (1, 2))
    return [tf.concat([down, right], 1), tf.reduce_mean(values, (1, 2))]


def train(seed: int) -> tuple[dict[str, Head], np.ndarray, np.ndarray]:
    pictures, labels = stripes(60, 0)
    held, held_labels = stripes(20, 1)
    plain, plain_held = ([found.numpy() for found in edges(each)] for each in (pictures, held))
    data = {
        name: HeadData(plain[place], plain_held[place], 0.1)
        for place, name in enumerate(("edges", "colours"))
    }
    done: list[int] = []
    heads = train_heads(
        edges,
        lambda places: pictures[places],
        augmentation(seed, "light"),
        data,
        Labels(labels, held_labels, 2),
        seed,
        done.append,
    )
    assert max(done) <= BATCH and sum(done) % 60 == 0
    return heads, *stripes(40, 2)


def test_a_head_learns_what_its_features_tell_and_no_more() -> None:
    heads, pictures, labels = train(seed=0)
    right = {
        name: float((heads[name].logits(found.numpy()).argmax(1) == labels).mean())
        for name, found in zip(heads, edges(pictures), strict=True)
    }
    assert right["edges"] > 0.95 and 0.2 < right["colours"] < 0.8
    assert all(0 <= head.epochs <= MOST_EPOCHS for head in heads.values())


def test_a_head_is_no_worse_on_the_validation_images_than_the_regression_it_begins_as() -> None:
    pictures, labels = stripes(24, 5)
    held, held_labels = stripes(40, 6)
    plain, plain_held = (edges(each)[1].numpy() for each in (pictures, held))
    heads = train_heads(
        lambda images: edges(images)[1:],
        lambda places: pictures[places],
        augmentation(0, "light"),
        {"colours": HeadData(plain, plain_held, 100.0)},
        Labels(labels, held_labels, 2),
        0,
        lambda done: None,
    )
    (scaled, others) = standardised(plain, plain_held)
    regression = fit(scaled, labels, 100.0)
    before = log_loss(held_labels, regression.predict_proba(others))
    assert heads["colours"].loss < before and heads["colours"].epochs > 0


def test_the_same_seed_trains_the_same_head_bit_for_bit() -> None:
    first, again, other = (train(seed)[0]["edges"] for seed in (3, 3, 4))
    assert (first.weights == again.weights).all() and (first.bias == again.bias).all()
    assert (first.weights != other.weights).any()


def test_augmentation_varies_images_a_little_and_repeats_itself() -> None:
    pictures, _ = stripes(4, 0)
    one, again = augmentation(1, "light"), augmentation(1, "light")
    first, second = one(pictures), one(pictures)
    assert (first == again(pictures)).all() and (first != second).any()
    assert first.shape == pictures.shape and first.min() >= 0 and first.max() <= 255


def test_the_cross_entropy_is_that_of_its_formula() -> None:
    logits = np.float32([[2.0, 1.0, -1.0], [0.0, 0.0, 1000.0]])
    expected = np.mean([np.log(np.exp([2.0, 1.0, -1.0]).sum()) - 1.0, 0.0])
    assert cross_entropy(logits, np.array([1, 2])) == pytest.approx(expected)
