"""Quantities are written in a unit in which two or more of their digits are seen."""

import math

import pytest

from diamond_cutter.flows.quantities import counted, lasting, rounded, share, significant, sized


@pytest.mark.parametrize(
    ("count", "written"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (57_600, "57.6 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (3.858e9, "3.86 G"),
    ],
)
def test_a_count_is_not_zero_in_its_unit(count: float, written: str) -> None:
    assert counted(count) == written


def test_bytes_have_a_unit_of_at_most_three_digits() -> None:
    assert [sized(count) for count in (0, 5, 999_999, 1_234_567_890, 2.5e12, 5e16)] == [
        "0 B",
        "5 B",
        "1.00 MB",
        "1.23 GB",
        "2.50 TB",
        "50,000 TB",
    ]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (0.0042, "0.0042 s"),
        (0.42, "0.42 s"),
        (9.96, "10 s"),
        (12.3, "12 s"),
        (150, "2 min"),
        (7300, "2 h 2 min"),
    ],
)
def test_a_time_that_is_short_is_not_none(seconds: float, written: str) -> None:
    assert lasting(seconds) == written


def test_a_share_that_is_small_is_not_none() -> None:
    assert [share(part) for part in (0, 0.00012, -0.00012, 0.004, 0.126, 1)] == [
        "0.0%",
        "0.012%",
        "-0.012%",
        "0.40%",
        "12.6%",
        "100.0%",
    ]


def test_a_number_keeps_its_digits_without_an_exponent() -> None:
    assert [significant(value, 3) for value in (1.2, 0.00412, 1234567.0, -0.5)] == [
        "1.20",
        "0.00412",
        "1,234,567",
        "-0.500",
    ]
    assert [rounded(value) for value in (0.0, 0.0041234, 0.8642)] == [0.0, 0.00412, 0.864]
    assert significant(math.nan) == "nan" and significant(math.inf) == "inf"
