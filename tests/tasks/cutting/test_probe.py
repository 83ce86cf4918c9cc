"""The probe is the cross-validated logistic regression of scikit-learn, only faster."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diamond_cutter.tasks.cutting.dataset import Part
from diamond_cutter.tasks.cutting.probe import (
    accuracy_interval,
    choose_penalty,
    divisions,
    fit_predict,
    interval,
    location_and_scale,
    probe,
    repeats_for,
)
from tests.tasks.cutting.made_up_features import overlapping

# In a process that has loaded nothing yet, as the processes of scores.
THREADS_IN_A_FIT = """
import numpy as np
from threadpoolctl import threadpool_info
from diamond_cutter.tasks.cutting.probe import fit, one_thread
with one_thread():
    fit(np.eye(4), np.array([0, 1, 0, 1]), 1.0)
    print({each["num_threads"] for each in threadpool_info()})
"""


@pytest.mark.slow
def test_a_process_fits_in_one_thread_from_its_first_fit() -> None:
    unlimited = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", THREADS_IN_A_FIT],
        env=unlimited,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "{1}\n"


@pytest.mark.parametrize(
    ("width", "spread"),
    [(12, 0.35), (400, 0.1)],
    ids=["fewer features than images", "more features"],
)
def test_accuracies_are_those_of_scikit_learn_on_the_same_folds(width: int, spread: float) -> None:
    features, part = overlapping(images=90, width=width, spread=spread)
    folds = divisions(part, folds=3, seed=5)
    found = probe(features, part, folds)
    for place, fold in enumerate(folds):
        direct = make_pipeline(
            StandardScaler(), LogisticRegression(C=found.penalties[place], tol=1e-8, max_iter=5000)
        )
        # In float64: scikit-learn would compute with float32 features in float32.
        exact = features.astype(np.float64)
        direct.fit(exact[fold.train], part.labels[fold.train])
        accuracy = direct.score(exact[fold.test], part.labels[fold.test])
        assert found.accuracies[place] == pytest.approx(accuracy, abs=1e-12)
    assert 0.4 < found.accuracies.mean() < 1.0


def test_no_penalty_of_the_grid_is_better_on_the_inner_folds() -> None:
    features, part = overlapping(images=60, width=20)
    fold = divisions(part, folds=3, seed=0)[0]
    train, labels = features[fold.train].astype(np.float64), part.labels[fold.train]

    def right(strength: float) -> int:
        direct = make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, tol=1e-8, max_iter=5000)
        )
        rest = [np.setdiff1d(np.arange(len(train)), test) for test in fold.inner]
        return sum(
            int(
                (
                    direct.fit(train[others], labels[others]).predict(train[test]) == labels[test]
                ).sum()
            )
            for others, test in zip(rest, fold.inner, strict=True)
        )

    chosen = choose_penalty(train, labels, fold.inner)
    assert right(chosen) >= max(right(10.0**power) for power in (-4, -3, -2, -1, 0, 1))


def test_what_is_tested_decides_nothing() -> None:
    features, part = overlapping(images=60, width=30)
    fold = divisions(part, folds=3, seed=0)[0]
    spoilt = features.copy()
    spoilt[fold.test] = 1e6 * spoilt[fold.test] + 7
    before = choose_penalty(features[fold.train], part.labels[fold.train], fold.inner)
    after = choose_penalty(spoilt[fold.train], part.labels[fold.train], fold.inner)
    assert before == after


@pytest.mark.slow
def test_features_of_chance_are_right_by_chance() -> None:
    stream = np.random.default_rng(1)
    numbers = np.arange(120)
    part = Part(numbers, numbers % 2, numbers)
    noise = stream.normal(size=(120, 300)).astype(np.float32)
    found = probe(noise, part, divisions(part, 5, 0))
    assert 0.35 < found.accuracies.mean() < 0.65


@pytest.mark.slow
def test_a_feature_that_never_varies_does_no_harm() -> None:
    features, part = overlapping(images=45, width=10)
    with_constant = np.concatenate([features, np.full((45, 1), 3.7, np.float32)], axis=1)
    folds = divisions(part, 3, 0)
    assert (
        probe(with_constant, part, folds).accuracies == probe(features, part, folds).accuracies
    ).all()
    nothing = probe(np.ones((45, 4), np.float32), part, folds)
    assert nothing.accuracies.mean() == pytest.approx(1 / 3, abs=0.1)


def test_each_image_is_tested_once_in_each_repeat() -> None:
    _, part = overlapping(images=66)
    folds = divisions(part, folds=5, seed=3)
    for repeat in range(repeats_for(66)):
        tested = np.concatenate([fold.test for fold in folds if fold.repeat == repeat])
        assert sorted(tested) == list(range(66))
    assert all(not np.intersect1d(fold.train, fold.test).size for fold in folds)


def test_copies_are_always_in_one_fold() -> None:
    numbers = np.arange(60)
    part = Part(numbers, (numbers // 2) % 3, numbers // 2)
    for fold in divisions(part, folds=5, seed=0):
        assert not np.intersect1d(part.groups[fold.train], part.groups[fold.test]).size
        for test in fold.inner:
            rest = np.setdiff1d(np.arange(len(fold.train)), test)
            inside = part.groups[fold.train]
            assert not np.intersect1d(inside[test], inside[rest]).size


def test_the_interval_is_that_of_nadeau_and_bengio() -> None:
    values = np.array([0.7, 0.8, 0.75, 0.9, 0.6, 0.85])
    low, high = interval(values, folds=3)
    # n_test / n_train = 1 / 2 with three folds.
    half = stats.t.ppf(0.975, 5) * np.sqrt((1 / 6 + 1 / 2) * values.var(ddof=1))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))


@pytest.mark.parametrize(("share", "images"), [(1.0, 10), (0.0, 10), (0.5, 8), (0.9, 200)])
def test_folds_that_agree_leave_the_interval_of_wilson(share: float, images: int) -> None:
    low, high = accuracy_interval(np.full(5, share), folds=5, images=images)
    expected = proportion(round(share * images), images)
    assert (low, high) == pytest.approx(expected, abs=1e-6)
    assert 0 <= low <= share <= high <= 1


def proportion(right: int, images: int) -> tuple[float, float]:
    """Return the interval of Wilson from SciPy."""
    found = stats.binomtest(right, images).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def test_folds_that_differ_widen_the_interval() -> None:
    wide = np.array([0.5, 1.0, 0.4, 0.9, 0.7])
    low, high = accuracy_interval(wide, folds=5, images=100_000)
    assert (low, high) == pytest.approx(
        (max(0, interval(wide, 5)[0]), min(1, interval(wide, 5)[1]))
    )


def test_a_feature_of_equal_float32_numbers_does_not_vary() -> None:
    constant = np.full((1600, 2), 5.3, np.float32)
    assert np.isinf(location_and_scale(constant)[1]).all()


def test_more_images_need_fewer_repeats() -> None:
    assert [repeats_for(images) for images in (40, 400, 1000, 2000)] == [3, 2, 1, 1]


def test_predictions_do_not_depend_on_the_rotation() -> None:
    features, part = overlapping(images=40, width=200)
    train, test = np.arange(30), np.arange(30, 40)
    (found,) = fit_predict(features[train], part.labels[train], features[test], [0.1])
    scaler = StandardScaler().fit(features[train])
    direct = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000)
    direct.fit(scaler.transform(features[train]), part.labels[train])
    assert (found == direct.predict(scaler.transform(features[test]))).all()
