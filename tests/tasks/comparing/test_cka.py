"""Linear CKA against the formula with kernels, and what it must not depend on."""

import numpy as np
import pytest

from diamond_cutter.tasks.comparing.cka import PARTS, Similarity, linear_kernel, similarity


def layer(seed: int, images: int = 40, channels: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (images, channels)).astype(np.float32)


def mixed(seed: int, share: float, images: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return two layers of which a share is common."""
    one, other = layer(seed, images), layer(seed + 1, images, 9)
    other[:, :7] = share * one + (1 - share) * other[:, :7]
    return one, other


def cka_of(one: np.ndarray, other: np.ndarray) -> Similarity:
    return similarity(linear_kernel(one), linear_kernel(other))


def value_of(one: np.ndarray, other: np.ndarray) -> float:
    found = cka_of(one, other).cka
    assert found is not None
    return found


def hsic_by_sums(one: np.ndarray, other: np.ndarray) -> float:
    """Return the unbiased HSIC by its definition as a U-statistic, image by image: kernels
    whose diagonal is left out, then centred such that rows and columns add up to 0.
    """
    kernels = []
    for features in (one, other):
        count = len(features)
        kernel = [[float(x.astype(float) @ y.astype(float)) for y in features] for x in features]
        matrix = np.array(kernel)
        np.fill_diagonal(matrix, 0)
        rows = matrix.sum(axis=1, keepdims=True) / (count - 2)
        matrix = matrix - rows - rows.T + matrix.sum() / ((count - 1) * (count - 2))
        np.fill_diagonal(matrix, 0)
        kernels.append(matrix)
    return float((kernels[0] * kernels[1]).sum() / (count * (count - 3)))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_it_is_that_of_the_kernels(share: float) -> None:
    one, other = mixed(1, share)
    slow = hsic_by_sums(one, other) / np.sqrt(hsic_by_sums(one, one) * hsic_by_sums(other, other))
    assert value_of(one, other) == pytest.approx(slow, abs=1e-5)


def test_without_a_part_it_is_that_of_the_other_images() -> None:
    one, other = mixed(2, 0.5)
    parts = np.array_split(np.random.default_rng(0).permutation(len(one)), PARTS)
    left = [
        value_of(np.delete(one, part, axis=0), np.delete(other, part, axis=0)) for part in parts
    ]
    from scipy import stats

    found = cka_of(one, other)
    error = np.sqrt((PARTS - 1) / PARTS * ((left - np.mean(left)) ** 2).sum())
    half = stats.t.ppf(0.975, PARTS - 1) * error
    assert found.cka is not None and found.low == pytest.approx(found.cka - half, abs=1e-6)
    assert found.high == pytest.approx(min(1, found.cka + half), abs=1e-6)


def test_a_layer_is_like_itself_rotated_scaled_and_shifted() -> None:
    one = layer(3)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(7, 7)))[0]
    same = cka_of(one, one)
    assert same.cka == pytest.approx(1, abs=1e-9) and same.low == pytest.approx(1, abs=1e-6)
    assert value_of(one, 5 * one @ rotation.astype(np.float32) - 40) == pytest.approx(1, abs=1e-5)
    other = mixed(3, 0.4)[1]
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(9, 9)))[0].astype(np.float32)
    assert value_of(one, other @ turned) == pytest.approx(value_of(one, other), abs=1e-5)
    assert value_of(one, other) == pytest.approx(value_of(other, one), abs=1e-12)


def test_unrelated_layers_are_not_alike_however_many_channels_they_have() -> None:
    found = [value_of(layer(seed, 20, 300), layer(seed + 50, 20, 300)) for seed in range(8)]
    assert abs(np.mean(found)) < 0.05


@pytest.mark.slow
def test_the_interval_narrows_with_more_images_and_mostly_holds_the_truth() -> None:
    one, other = mixed(4, 0.6, images=4000)
    truth = value_of(one, other)
    widths, held = [], 0
    for images in (100, 400):
        for first in range(0, 4000, images):
            found = cka_of(one[first : first + images], other[first : first + images])
            assert found.low is not None and found.high is not None
            widths.append((images, found.high - found.low))
            held += images == 100 and found.low <= truth <= found.high
    means = [
        np.mean([width for count, width in widths if count == images]) for images in (100, 400)
    ]
    assert means[1] < 0.7 * means[0]
    assert held >= 34  # of 40


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_a_constant_layer_is_like_none(constant: float) -> None:
    same = np.full((12, 3), constant, np.float32)
    assert cka_of(same, layer(5, 12)) == Similarity(None, None, None)
    assert cka_of(same, same) == Similarity(None, None, None)


def test_ten_images_are_enough() -> None:
    found = cka_of(*mixed(6, 0.9, images=10))
    assert found.cka is not None and found.low is not None and found.low < found.cka
